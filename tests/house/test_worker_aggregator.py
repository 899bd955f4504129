"""worker + aggregator == solo: byte for byte, however the stream was cut, dealt and interrupted."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

import emulator
from emulator.detector import MODELS, SCENARIOS, play
from emulator.detector.run import End
from monitor.app.shelf import CardShelf
from monitor.decide.action import Action
from monitor.drift.battery import Battery
from monitor.drift.budget import Budget
from monitor.reference.book import Book
from monitor.stream.codec import decode, encode, encode_end
from monitor.stream.columns import Limits
from monitor.stream.record import Record
from monitor.trigger.batch import Batch, EndOfLumisection, Place, Received
from monitor.trigger.header import Header
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import CMS
from monitor.watch.aggregator import Aggregator
from monitor.watch.closed import PartitionClosed
from monitor.watch.judged import Judged
from monitor.watch.worker import Worker

STREAM, TOPIC, PARTITIONS = "anomaly", "trigger", (0, 1, 2)
LUMISECTIONS, ONSET, EVENTS = 20, 14, 240
Contents = list[Batch | EndOfLumisection]


@pytest.fixture(scope="module")
def shelf() -> Iterator[CardShelf]:
    models = [emulator.load(path, engine="gemm") for path in sorted(Path(MODELS).iterdir())]
    yield CardShelf(models)
    for model in models:
        model.close()


@pytest.fixture(scope="module", params=["stale-model", "quiet"])
def run(request: pytest.FixtureRequest) -> dict[int, Contents]:
    """Return what a short run puts on every partition."""
    scenario = SCENARIOS[request.param]
    late = type(scenario)(scenario.name, scenario.fault, ONSET, LUMISECTIONS, scenario.expected)
    found: dict[int, Contents] = {number: [] for number in PARTITIONS}
    for each in play(
        late, seed=5, lumisections=LUMISECTIONS, events_per_lumisection=EVENTS, partitions=len(PARTITIONS)
    ):
        if isinstance(each, End):
            found[each.partition].append(EndOfLumisection(STREAM, Lumisection(each.run, each.ls), each.events))
            continue
        n = len(each)
        found[each.partition].append(
            Batch(
                Header(
                    STREAM,
                    each.label,
                    each.menu,
                    each.firmware,
                    each.prescale_column,
                    each.producer,
                    each.sequence,
                    each.digest,
                ),
                np.full(n, each.run, np.uint32),
                np.full(n, each.ls, np.uint32),
                each.orbit,
                each.event,
                each.bx,
                each.pileup,
                each.inputs,
                each.score,
                each.accept,
            )
        )
    return found


def cut(contents: Contents, size: int) -> Contents:
    """Cut batches into pieces of `size` events, numbered anew."""
    pieces: Contents = []
    number = 0
    for each in contents:
        if isinstance(each, EndOfLumisection):
            pieces.append(each)
            continue
        for start in range(0, len(each), size):
            part = each.select(slice(start, start + size))
            head = Header(*(getattr(part.header, name) for name in Header.__slots__[:6]), number, part.header.digest)
            pieces.append(Batch(head, *(getattr(part, name) for name in Batch.__slots__[1:])))
            number += 1
    return pieces


def on_the_wire(contents: Contents, partition: int) -> list[Received]:
    """Send contents through the codec, as bytes."""
    received = []
    for offset, each in enumerate(contents):
        headers, value = encode_end(each) if isinstance(each, EndOfLumisection) else encode(each)
        ls = each.lumisection.ls if isinstance(each, EndOfLumisection) else int(each.ls[0])
        record = Record(Place(TOPIC, partition, offset), 23.0 * ls, value, headers)
        received.append(
            Received(record.place, record.timestamp, decode(record, limits=Limits(crossings=CMS.crossings)))
        )
    return received


BATTERY = Battery(Budget(lumisection_seconds=CMS.lumisection_seconds))


def aggregator(shelf: CardShelf) -> Aggregator:
    return Aggregator(
        partitions={STREAM: PARTITIONS}, shelf=shelf, book=Book({}), battery=BATTERY, site=CMS, learn_lumisections=10
    )


def told(judged: Sequence[Judged], actions: Sequence[Action]) -> str:
    """Return everything that was said, as one text."""
    verdicts = [[each.verdict.to_json(), [capsule.id for capsule in each.capsules]] for each in judged]
    said = [[action.id, action.kind.value, dict(action.payload)] for action in actions]
    return "\n".join(json.dumps(each, sort_keys=True) for each in (*verdicts, *said))


def solo(shelf: CardShelf, run: dict[int, Contents]) -> str:
    """One process that reads all partitions, lumisection by lumisection."""
    worker, bench = Worker(streams={STREAM: TOPIC}, shelf=shelf), aggregator(shelf)
    judged: list[Judged] = []
    actions: list[Action] = []
    records = [each for number in PARTITIONS for each in on_the_wire(run[number], number)]
    for record in sorted(records, key=lambda each: (each.timestamp, each.place.partition, each.place.offset)):
        step = bench.step(worker.step([record], now=1e9).closed, now=1e9)
        judged += step.judged
        actions += step.actions
    return told(judged, actions)


def halves(shelf: CardShelf, run: dict[int, Contents], *, seed: int, size: int) -> str:
    """A worker process per partition, their summaries as bytes in any order, and an aggregator that is restarted."""
    chance = random.Random(seed)
    letters: dict[int, list[bytes]] = {}
    for number in PARTITIONS:
        worker = Worker(streams={STREAM: TOPIC}, shelf=shelf)
        records = on_the_wire(cut(run[number], size), number)
        letters[number] = []
        while records:
            count = chance.randint(1, 9)
            letters[number] += [each.to_bytes() for each in worker.step(records[:count], now=1e9).closed]
            records = records[count:]
    bench = aggregator(shelf)
    judged: list[Judged] = []
    actions: list[Action] = []
    while any(letters.values()):
        number = chance.choice([each for each in PARTITIONS if letters[each]])
        letter = letters[number].pop(0)
        again = [letter] if chance.random() < 0.2 else []
        step = bench.step([PartitionClosed.from_bytes(each) for each in (letter, *again)], now=1e9)
        judged += step.judged
        actions += step.actions
        if chance.random() < 0.1:
            content, bench = bench.to_bytes(), aggregator(shelf)
            bench.restore(content)
    return told(judged, actions)


@pytest.mark.parametrize(("seed", "size"), [(1, 1000), (2, 37), (3, 7)])
def test_two_halves_say_what_one_whole_says(shelf: CardShelf, run: dict[int, Contents], seed: int, size: int) -> None:
    assert halves(shelf, run, seed=seed, size=size) == solo(shelf, run)


def test_the_fault_is_found_and_named(shelf: CardShelf, run: dict[int, Contents]) -> None:
    verdicts = [json.loads(line) for line in solo(shelf, run).splitlines()[:LUMISECTIONS]]
    levels = {verdict["ls"]: (verdict["level"], verdict["blame"]) for verdict, _ in verdicts}
    stale = any("identity" in each for each in levels.values())
    assert levels[ONSET - 1] == ("ok", "none")
    assert levels[LUMISECTIONS] == (("act", "identity") if stale else ("ok", "none"))
