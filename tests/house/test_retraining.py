"""A retraining request through the whole daemon: proposed, told, approved, trained elsewhere, and done."""

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

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
from tests.unit.serve.listener import Listener, listening

EVENTS, ONSET, LUMISECTIONS, LEARN = 500, 36, 52, 25
MODE = {"alarms": {"persistent_after_lumisections": 6}, "reference": {"learn_lumisections": LEARN}}
SCENARIO = replace(SCENARIOS["jet-scale"], fault=JetScale(0.8), onset=ONSET)
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
