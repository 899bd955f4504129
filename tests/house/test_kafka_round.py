"""The whole line on real programs: simulate -> Kafka -> daemon -> verdict topic, and Prometheus scraping it."""

import json
import os
import shutil
import socket
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from monitor.stream.kafka import Connection, KafkaSource
from tests.brokers import Broker
from tests.house.daemons import Daemon, settings, simulate, until

pytestmark = [pytest.mark.kafka, pytest.mark.services]

LUMISECTIONS = 90
EVENTS = 600


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


@pytest.fixture
def prometheus(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """A real Prometheus that scrapes the targets in a file; yields its address and that file."""
    if shutil.which("prometheus") is None:
        if os.environ.get("CI") == "true":
            pytest.fail("no prometheus: run deploy/test-services")
        pytest.skip("no prometheus: run deploy/test-services")
    targets, config, port = tmp_path / "targets.json", tmp_path / "prometheus.yml", free_port()
    targets.write_text("[]")
    config.write_text(
        "global: {scrape_interval: 1s}\n"
        "scrape_configs:\n"
        f"- {{job_name: trigwatch, file_sd_configs: [{{files: ['{targets}'], refresh_interval: 1s}}]}}\n"
    )
    program = subprocess.Popen(
        [
            "prometheus",
            f"--config.file={config}",
            f"--web.listen-address=127.0.0.1:{port}",
            f"--storage.tsdb.path={tmp_path / 'tsdb'}",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    yield f"http://127.0.0.1:{port}", targets
    program.terminate()
    program.wait(timeout=20)


def ask(prometheus: str, expression: str) -> list[dict[str, object]]:
    """Return the samples of an instant query; none while Prometheus is starting."""
    try:
        with urllib.request.urlopen(
            f"{prometheus}/api/v1/query?query={urllib.parse.quote(expression)}", timeout=5
        ) as answer:
            return list(json.loads(answer.read())["data"]["result"])
    except OSError:
        return []


def value(prometheus: str, expression: str) -> float | None:
    found = ask(prometheus, expression)
    return float(found[0]["value"][1]) if found else None  # type: ignore[index]


def read_events(bootstrap: str, topic: str) -> list[dict[str, object]]:
    """Return every CloudEvent that lies on a topic now."""
    source = KafkaSource(Connection((bootstrap,)), [topic])
    events: list[dict[str, object]] = []
    source.poll(timeout=5)
    while records := source.poll(timeout=2).records:
        events += [json.loads(record.value) for record in records]
    source.close()
    return events


def kafka_settings(folder: Path, broker: Broker, topic: str) -> Path:
    supply = f'[kafka]\nbootstrap = ["{broker.bootstrap}"]\ngroup = "{topic}"'
    topics = f'[topics]\nverdicts = "{topic}.verdicts"\nsummaries = "{topic}.summaries"'
    more = f"[reference]\nlearn_lumisections = 25\n{topics}"
    return settings(folder, supply, topic=topic, more=more)


def test_a_weight_upset_on_kafka_becomes_a_verdict_on_kafka_and_a_level_in_prometheus(
    broker: Broker, prometheus: tuple[str, Path], tmp_path: Path
):
    address, targets = prometheus
    out = f"kafka://{broker.bootstrap}/round-solo"
    simulate("weight-upset", "--lumisections", str(LUMISECTIONS), "--events", str(EVENTS), "--out", out)
    daemon = Daemon(kafka_settings(tmp_path, broker, "round-solo"))
    daemon.start()
    targets.write_text(json.dumps([{"targets": [daemon.url.removeprefix("http://")]}]))
    expected = LUMISECTIONS * EVENTS
    until(lambda: value(address, "sum(trigwatch_events_total)") == expected, what="Prometheus has counted every event")
    assert value(address, 'trigwatch_stream_level{stream="l1anomaly"}') == 2
    assert (value(address, "sum(trigwatch_mismatches_total)") or 0) > 0
    assert value(address, "sum(trigwatch_rejected_total) or vector(0)") == 0
    until(lambda: read_events(broker.bootstrap, "round-solo.verdicts"), what="a verdict is on its topic")
    assert daemon.stop() == 0
    verdicts = [each["data"] for each in read_events(broker.bootstrap, "round-solo.verdicts")]
    acts = [each for each in verdicts if each["level"] == "act"]  # type: ignore[index]
    assert acts
    assert acts[0]["blame"] == "firmware"  # type: ignore[index]
    assert acts[0]["ls"] == 61  # type: ignore[index]


def test_a_worker_and_an_aggregator_say_what_a_solo_says(broker: Broker, tmp_path: Path):
    """Two processes with the summaries topic between them: the same verdicts under the same ids."""
    out = f"kafka://{broker.bootstrap}/round-pair"
    simulate("stale-model", "--lumisections", "70", "--events", str(EVENTS), "--out", out)
    said = {}
    for name, roles in (("solo", ("solo",)), ("pair", ("worker", "aggregator"))):
        daemons = []
        for role in roles:
            folder = tmp_path / f"{name}-{role}"
            folder.mkdir()
            daemons.append(Daemon(kafka_settings(folder, broker, "round-pair"), role=role))
            daemons[-1].start()
        judge = daemons[-1]
        until(
            lambda each=judge: len(each.get("/api/v1/lumisections?limit=1000")["lumisections"]) == 70,
            what=f"{name} has judged every lumisection",
        )
        rows = judge.get("/api/v1/lumisections?limit=1000")["lumisections"]
        said[name] = [(row["ls"], row["level"], row["blame"], row["verdict"]) for row in rows]
        assert [daemon.stop() for daemon in daemons] == [0] * len(daemons)
    assert said["pair"] == said["solo"]
    assert {level for _, level, _, _ in said["solo"]} >= {"unknown", "act"}
