"""Four real models' inputs and scores as streams through Kafka: their weights are unknown, conditions are judged."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from monitor.stream.codec import encode, encode_end
from monitor.stream.kafka import Connection, KafkaSink, ensure_topics
from monitor.stream.record import Outgoing
from monitor.trigger.batch import Batch, EndOfLumisection
from monitor.trigger.header import Header
from monitor.trigger.lumisection import Lumisection
from tests.brokers import Broker
from tests.house.daemons import Daemon, settings, until

pytestmark = [pytest.mark.kafka, pytest.mark.shared]

VECTORS = Path(__file__).parents[3] / "shared" / "data" / "vectors"
RUN, LUMISECTIONS, EVENTS, LEARN, SHIFTED_FROM = 392_000, 75, 100, 30, 61


@dataclass(frozen=True)
class Recorded:
    """One model's inputs and scores: `dtype` is how its inputs travel, `score` how its raw score is stored."""

    file: str
    dtype: type[np.signedinteger[Any]]
    score: str

    @property
    def stream(self) -> str:
        return self.file.lower()

    def read(self) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """Return inputs (n, inputs) and raw scores (n, outputs)."""
        if not VECTORS.is_dir():
            pytest.skip(f"{VECTORS} is absent: the real vectors lie beside the checkout")
        content = np.load(VECTORS / f"{self.file}.npz")
        inputs = content["x"].astype(self.dtype)
        assert (inputs == content["x"]).all()
        scores = np.ascontiguousarray(content["y"][:, 16:20] if self.score == "<u4" else content["y"])
        return inputs, scores.view(self.score).astype(np.int64)


MODELS = (
    Recorded("GTADModel_v3", np.int32, "<u4"),
    Recorded("GTADModel_v4", np.int32, "<u4"),
    Recorded("CICADAModel_v2p1p2", np.int16, "<u2"),
    Recorded("emtfnn_v1", np.int16, "u1"),
)


def lumisections(model: Recorded) -> Iterator[tuple[Batch, EndOfLumisection]]:
    """Yield a seeded bootstrap of the recorded events; late in the run every input is doubled."""
    inputs, scores = model.read()
    random = np.random.default_rng(20_261)
    for ls in range(1, LUMISECTIONS + 1):
        rows = random.integers(len(inputs), size=EVENTS)
        raw = inputs[rows]
        header = Header(model.stream, model.file, "menu-1", "fw-1", "2e34", "crate-1", ls)
        batch = Batch(
            header=header,
            run=np.full(EVENTS, RUN, np.uint32),
            ls=np.full(EVENTS, ls, np.uint32),
            orbit=np.sort(random.integers(0, 2**18, EVENTS)).astype(np.uint32),
            event=np.arange(EVENTS, dtype=np.uint64) + np.uint64(ls * EVENTS),
            bx=random.integers(0, 3564, EVENTS).astype(np.uint16),
            pileup=random.normal(50, 3, EVENTS).astype(np.float32),
            inputs=raw if ls < SHIFTED_FROM else raw * 2,
            score=scores[rows],
        )
        yield batch, EndOfLumisection(model.stream, Lumisection(RUN, ls), EVENTS)


def send(broker: Broker, model: Recorded) -> None:
    connection = Connection((broker.bootstrap,))
    ensure_topics(connection, {model.stream: 1})
    sink = KafkaSink(connection)
    for batch, end in lumisections(model):
        for headers, value in (encode(batch), encode_end(end)):
            sink.send([Outgoing(model.stream, value, headers, partition=0)])
    sink.close()


@pytest.fixture(scope="module")
def watching(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon process that has read all four streams to their ends."""
    for model in MODELS:
        send(broker, model)
    folder = tmp_path_factory.mktemp("vectors")
    first, *others = MODELS
    config = settings(
        folder,
        f'[kafka]\nbootstrap = ["{broker.bootstrap}"]\ngroup = "vectors"',
        stream=first.stream,
        topic=first.stream,
        more=f'[reference]\nlearn_lumisections = {LEARN}\n[topics]\nverdicts = "vectors.verdicts"',
    )
    with config.open("a") as file:
        file.writelines(f'[[streams]]\nname = "{each.stream}"\ntopic = "{each.stream}"\n' for each in others)
    daemon = Daemon(config)
    daemon.start()
    for model in MODELS:
        until(lambda each=model: len(rows(daemon, each)) == LUMISECTIONS, what=f"all of {model.file} is judged")
    yield daemon
    assert daemon.stop() == 0


def rows(daemon: Daemon, model: Recorded) -> list[dict[str, Any]]:
    """Return the judged lumisections, oldest first."""
    found = daemon.get(f"/api/v1/lumisections?stream={model.stream}&limit=1000")["lumisections"]
    return list(reversed(found))


@pytest.mark.parametrize("model", MODELS, ids=lambda each: each.file)
def test_every_event_of_an_unknown_model_is_counted_as_not_comparable(watching: Daemon, model: Recorded):
    expected = float(LUMISECTIONS * EVENTS)
    metrics = watching.text("/metrics").splitlines()
    assert f'trigwatch_events_total{{stream="{model.stream}"}} {expected}' in metrics
    counted = f'trigwatch_not_comparable_total{{reason="unknown-model",stream="{model.stream}"}} {expected}'
    assert counted in metrics
    assert not [line for line in metrics if line.startswith("trigwatch_rejected_total{")]
    assert f'trigwatch_mismatches_total{{model="{model.file}",stream="{model.stream}"}} 0.0' in metrics


@pytest.mark.parametrize("model", MODELS, ids=lambda each: each.file)
def test_an_unknown_model_is_unknown_and_its_conditions_are_judged_after_learning(watching: Daemon, model: Recorded):
    quiet = rows(watching, model)[: SHIFTED_FROM - 1]
    assert {(each["level"], each["blame"]) for each in quiet} == {("unknown", "identity")}
    assert all(each["evidence"]["alarm"] is None for each in quiet[:LEARN])
    alarms = [each["evidence"]["alarm"] for each in quiet[LEARN:]]
    assert all(alarm is not None and math.isfinite(alarm) and alarm < 1 for alarm in alarms)


@pytest.mark.parametrize("model", MODELS, ids=lambda each: each.file)
def test_a_shift_of_the_inputs_of_an_unknown_model_is_found_all_the_same(watching: Daemon, model: Recorded):
    shifted = rows(watching, model)[SHIFTED_FROM - 1 :]
    acts = [each for each in shifted if each["level"] == "act"]
    assert acts
    assert acts[0]["ls"] <= SHIFTED_FROM + 5
    assert {each["blame"] for each in acts} <= {"conditions", "detector"}
    assert acts[0]["evidence"]["alarm"] >= 1
    assert all(each["evidence"]["agreement"]["compared"] == 0 for each in shifted)


@pytest.mark.parametrize(
    ("model", "outputs"), [(MODELS[0], 1), (MODELS[1], 1), (MODELS[2], 1), (MODELS[3], 2)], ids=str
)
def test_the_recorded_scores_are_decoded_as_the_hardware_wrote_them(model: Recorded, outputs: int):
    """Guards the test itself: scores that are all alike, or negative, would have been read from the wrong bytes."""
    _, scores = model.read()
    assert scores.shape[1] == outputs
    assert scores.min() >= 0
    assert len(np.unique(scores[:, 0])) > 20
