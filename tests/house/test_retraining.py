"""A retraining request through the whole daemon: proposed, told, approved, trained elsewhere, and done."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from emulator.detector import SCENARIOS, Block, play
from emulator.detector.faults import JetScale
from monitor.app.cli import main
from monitor.app.compose import Daemon
from monitor.app.simulate import produce
from monitor.stream.kafka import Connection, KafkaSink, ensure_topics
from monitor.stream.record import Outgoing
from monitor.trigger.site import DEFAULT
from tests.brokers import Broker
from tests.house import daemons
from tests.house import inprocess as house
from tests.house.test_kafka_round import read_events
from tests.unit.serve.listener import Letter, Listener, listening

EVENTS, ONSET, LUMISECTIONS, LEARN = 500, 36, 52, 25
MODE = {"alarms": {"persistent_after_lumisections": 6}, "reference": {"learn_lumisections": LEARN}}
SCENARIO = replace(SCENARIOS["jet-scale"], fault=JetScale(0.8), onset=ONSET)
EXAMPLES = Path(__file__).parents[2] / "deploy" / "examples"
WRONG = 45
"""A lumisection in which the producer loses a batch."""


def taken(topic: str = "trigger-output") -> Iterator[Outgoing]:
    blocks = list(play(SCENARIO, seed=3, lumisections=LUMISECTIONS, events_per_lumisection=EVENTS))
    lost = next(each for each in blocks if isinstance(each, Block) and each.ls == WRONG)
    return produce([each for each in blocks if each is not lost], site=DEFAULT, topic=topic)


@pytest.fixture
def told() -> Iterator[Listener]:
    with listening() as ear:
        yield ear


@pytest.fixture
def daemon(tmp_path: Path, told: Listener) -> Iterator[Daemon]:
    house.write(tmp_path, taken())
    webhook = {"targets": [{"url": told.url, "kinds": ["retrain"], "mode": "binary"}]}
    with house.daemon(tmp_path, webhook=webhook, **MODE) as composed:
        house.read(composed)
        yield composed


def test_a_pipeline_takes_a_request_from_its_proposal_to_its_end(
    daemon: Daemon, told: Listener, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    def call(*arguments: str) -> tuple[int, str]:
        capsys.readouterr()
        status = main(["retrain", *arguments, "--url", daemon.server.url])
        return status, capsys.readouterr().out

    ((request, state),) = daemon.database.requests()
    assert state.value == "proposed"
    assert call("list", "--ready") == (0, ""), "nobody has approved it yet"
    assert request.id in call("list")[1]
    assert json.loads(call("show", request.id)[1])["dossier"]["effect"]["ratio"] < 1.0
    who = ("--who", "pipeline", "--note", "job 7")
    assert call("start", request.id, *who)[0] == 1, "not before a person approves"
    assert call("approve", request.id, "--who", "anna") == (0, f"{request.id} is approved\n")
    assert call("list", "--ready") == (0, f"{request.id}\n")
    assert call("start", request.id, *who)[0] == 0
    assert call("start", request.id, "--who", "another")[0] == 1, "only one can begin"
    assert call("fail", request.id, *who) == (0, f"{request.id} is approved\n")
    assert call("list", "--ready") == (0, ""), "what has failed is not tried again by itself"
    assert [call(step, request.id, *who)[0] for step in ("start", "finish", "finish")] == [0, 0, 1]

    house.delivered(daemon)
    daemons.until(lambda: not daemon.database.waiting("webhook-0"), what="the webhook was told")
    steps = [letter.json["step"] for letter in told.letters]
    assert steps == ["propose", "approve", "start", "fail", "start", "finish"]
    ids = [letter.headers["ce-id"] for letter in told.letters]
    assert ids[0] == request.id
    assert len(set(ids)) == len(ids)
    assert {letter.headers["ce-type"] for letter in told.letters} == {"trigwatch.retrain.v1"}

    file = tmp_path / "train.parquet"
    assert call("lumisections", request.id, "--out", str(file)) == (0, f"wrote {file}\n")
    query = json.loads(call("lumisections", request.id)[1])
    rows = pq.read_table(io.BytesIO(file.read_bytes())).to_pylist()
    usable = [row["ls"] for row in rows if row["usable"]]
    assert min(usable) >= ONSET
    assert max(usable) == LUMISECTIONS
    assert {row["ls"]: row["reason"] for row in rows}[WRONG] == "incomplete"
    assert sum(row["events"] for row in rows if row["usable"]) == query["events"] == EVENTS * len(usable)
    ranges = [range(first, last + 1) for first, last in query["runs"][str(rows[0]["run"])]]
    assert [ls for span in ranges for ls in span] == usable
    assert not query["growing"], "it has been trained"


def test_what_is_asked_for_but_not_there_is_said(daemon: Daemon, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    url = ("--url", daemon.server.url)
    assert main(["retrain", "show", "nope", *url]) == 2
    assert "no retraining request has id 'nope'" in capsys.readouterr().err
    assert main(["retrain", "lumisections", "nope", "--out", str(tmp_path / "no" / "x.parquet"), *url]) == 2
    assert "is not a folder" in capsys.readouterr().err
    assert main(["retrain", "list", "--url", "http://127.0.0.1:1"]) == 2
    assert "127.0.0.1:1" in capsys.readouterr().err


def shell(script: str, *arguments: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a script of an example, with this tree's `trigwatch` as the command."""
    place = folder / "bin"
    place.mkdir(exist_ok=True)
    command = place / "trigwatch"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m monitor.app "$@"\n')
    command.chmod(0o755)
    environment = {
        **daemons.ALONE,
        "PATH": f"{place}:{os.environ['PATH']}",
        "PYTHONPATH": str(EXAMPLES.parents[1]),
        **variables,
    }
    return subprocess.run(
        ["sh", "-euc", script, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_the_gitlab_example_takes_what_is_approved_and_only_that(daemon: Daemon, tmp_path: Path):
    pipeline = yaml.safe_load((EXAMPLES / "gitlab" / ".gitlab-ci.yml").read_text())

    def job(name: str, **variables: str) -> subprocess.CompletedProcess[str]:
        known = {"TRIGWATCH_URL": daemon.server.url, "WHO": "gitlab/x", "NOTE": "pipeline 7", "REQUEST": ""}
        return shell("\n".join(pipeline[name]["script"]), folder=tmp_path, **(known | variables))

    ((request, _),) = daemon.database.requests()
    idle = job("take")
    assert (idle.returncode, idle.stdout) == (0, "no approved retraining waits\n"), idle.stderr
    assert not (tmp_path / "request.env").exists()
    assert job("finish").returncode == job("fail").returncode == 0, "nothing was begun, nothing is reported"
    assert main(["retrain", "approve", request.id, "--who", "anna", "--url", daemon.server.url]) == 0
    taken_up = job("take")
    assert taken_up.returncode == 0, taken_up.stderr
    assert (tmp_path / "request.env").read_text() == f"REQUEST={request.id}\n"
    assert json.loads((tmp_path / "lumisections.json").read_text())["runs"]
    assert pq.read_table(tmp_path / "lumisections.parquet").num_rows > 0
    assert job("finish", REQUEST=request.id).returncode == 0
    assert [each["event"] for each in daemon.database.transitions(request.id)] == [
        "propose",
        "approve",
        "start",
        "finish",
    ]


def test_the_argo_example_wants_the_approval_and_nothing_else(daemon: Daemon, told: Listener):
    """What the sensor's filters and parameters make of the events that the webhook was told."""
    sensor = yaml.safe_load((EXAMPLES / "argo" / "sensor.yaml").read_text())["spec"]
    filters = sensor["dependencies"][0]["filters"]["data"]
    ((request, _),) = daemon.database.requests()
    for step in ("approve", "start", "finish"):
        assert main(["retrain", step, request.id, "--who", "anna", "--url", daemon.server.url]) == 0
    daemons.until(lambda: len(told.letters) == 4, what="the webhook was told")
    events = [{"body": {**_attributes(letter), "data": letter.json}} for letter in told.letters]
    passed = [
        each
        for each in events
        if all(any(re.search(value, _at(each, f["path"])) for value in f["value"]) for f in filters)
    ]
    assert [each["body"]["data"]["step"] for each in passed] == ["approve"]
    trigger = sensor["triggers"][0]["template"]["argoWorkflow"]
    ids = {_at(passed[0], each["src"]["dataKey"]) for each in trigger["parameters"]}
    assert ids == {request.id}


def test_the_argo_example_begins_once_and_reports_only_what_it_began(daemon: Daemon, tmp_path: Path):
    templates = yaml.safe_load((EXAMPLES / "argo" / "workflow.yaml").read_text())["spec"]["templates"]
    script = {each["name"]: each["container"]["args"][0] for each in templates if "container" in each}
    ((request, _),) = daemon.database.requests()
    url = daemon.server.url
    script["start"] = script["start"].replace("/tmp/", f"{tmp_path}/")  # noqa: S108 - the container's, not ours
    start = ("start", request.id, "retrain-1", url)
    assert shell(script["start"], *start, folder=tmp_path).returncode == 1, "not approved"
    assert main(["retrain", "approve", request.id, "--who", "anna", "--url", url]) == 0
    assert shell(script["start"], *start, folder=tmp_path).returncode == 0
    assert pq.read_table(tmp_path / "lumisections.parquet").num_rows > 0
    assert shell(script["start"], *start, folder=tmp_path).returncode == 1, "begun already"
    assert shell(script["report"], "report", "Failed", request.id, "retrain-1", url, folder=tmp_path).returncode == 0
    last = daemon.database.transitions(request.id)[-1]
    assert (last["event"], last["who"], last["note"]) == ("fail", "argo/retrain-1", "training: Failed")


def _attributes(letter: Letter) -> dict[str, str]:
    """Return a CloudEvent's attributes as structured mode has them in the body."""
    return {name[3:]: value for name, value in letter.headers.items() if name.startswith("ce-")}


def _at(value: Any, path: str) -> str:
    for key in path.split("."):
        value = value[key]
    return str(value)


@pytest.mark.kafka
def test_on_kafka_a_replay_says_the_same_under_the_same_id(broker: Broker, tmp_path: Path):
    """One daemon is killed and goes on; another reads everything again into a state of its own."""
    topic, retrain = "retrain-round", "retrain-round.retrain"
    connection = Connection((broker.bootstrap,))
    ensure_topics(connection, {topic: 2})
    sink = KafkaSink(connection)
    sink.send(list(taken(topic)))
    sink.close()
    more = (
        f"[reference]\nlearn_lumisections = {LEARN}\n[alarms]\npersistent_after_lumisections = 6\n"
        f'[topics]\nretrain = "{retrain}"\nverdicts = "{topic}.verdicts"'
    )
    said = []
    for name in ("first", "second"):
        folder = tmp_path / name
        folder.mkdir()
        supply = f'[kafka]\nbootstrap = ["{broker.bootstrap}"]\ngroup = "{topic}-{name}"'
        daemon = daemons.Daemon(daemons.settings(folder, supply, topic=topic, more=more))
        daemon.start()
        daemons.until(lambda each=daemon: each.get("/api/v1/retrain")["retrain"], what="a request is proposed")
        daemon.kill()
        daemon.start()
        daemons.until(
            lambda each=daemon: len(each.get("/api/v1/lumisections?limit=1000")["lumisections"]) == LUMISECTIONS,
            what=f"{name} has judged every lumisection",
        )
        (request,) = daemon.get("/api/v1/retrain")["retrain"]
        assert main(["retrain", "approve", request["id"], "--who", "anna", "--url", daemon.url]) == 0
        wanted = 2 * (len(said) + 1)
        daemons.until(
            lambda number=wanted: len(ids(broker, retrain)) >= number, what="the topic has proposal and approval"
        )
        assert daemon.stop() == 0
        said.append(read_events(broker.bootstrap, retrain))
    first, second = said[0], said[1][len(said[0]) :]
    assert {each["id"] for each in first} == {each["id"] for each in second}
    assert len({each["id"] for each in first}) == 2
    by_id = {each["id"]: each["data"] for each in first}
    assert all(by_id[each["id"]] == each["data"] for each in second), "not the id alone: the same words"
    assert {each["type"] for each in first} == {"trigwatch.retrain.v1"}


def ids(broker: Broker, topic: str) -> list[object]:
    return [each["id"] for each in read_events(broker.bootstrap, topic)]
