"""A killed worker that starts again from its frontier tells the same story as one that was never disturbed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from monitor.trigger.batch import Batch, EndOfLumisection, Reason, Received, Rejected
from monitor.watch.calendar import Calendar
from monitor.watch.closed import PartitionClosed
from monitor.watch.frontier import Frontier
from monitor.watch.worker import Worker, WorkerStep
from tests.unit.watch.plays import TOPIC, V1, V2, Log, batch, end, worker

CALENDAR = Calendar(lateness=30, most_epochs=2, most_open=4)
Content = Batch | EndOfLumisection | Rejected
seeds = st.integers(0, 2**32)


@dataclass
class Told:
    """What has become durable: one commit per step."""

    closed: list[PartitionClosed] = field(default_factory=list)
    rejected: list[tuple[int, str]] = field(default_factory=list)
    frontier: Frontier | None = None

    def commit(self, watch: Worker, done: WorkerStep) -> None:
        self.closed += done.closed
        self.rejected += [(place.offset, rejected.reason.value) for place, rejected in done.rejected]
        if done.moved:
            self.frontier = watch.frontier((TOPIC, 0))


def log_of(seed: int, *, records: int = 40) -> Log:
    """Return a partition as it might be: mostly in order, with everything that can go wrong now and then."""
    chance = random.Random(seed)
    log, clock, ls = Log(), 1000.0, 1
    sequences = {"p0": 0, "p1": 0}
    while len(log.records) < records:
        clock += chance.choice([0, 1, 2, 5, 5, 25, 25, -40])
        ls += chance.random() < 0.25
        log.put(_content(chance, ls, sequences), at=clock)
    return log


def _content(chance: random.Random, ls: int, sequences: dict[str, int]) -> Content:
    kind, near = chance.random(), max(1, ls - chance.choice([0, 0, 0, 1, 1, 2]))
    if kind < 0.15:
        return end(1, near, chance.randrange(30))
    if kind < 0.2:
        return Rejected(Reason.MALFORMED, "not Arrow")
    producer = chance.choice(list(sequences))
    sequences[producer] += chance.choice([1, 1, 1, 1, 2, 4, 0, -2])
    return batch(
        *[(1, near + i) for i in range(chance.choice([1, 1, 2]))],
        events=chance.choice([0, 1, 2, 5]),
        sequence=max(0, sequences[producer]),
        producer=producer,
        menu=chance.choice("aaaabc"),
        width=chance.choice([12] * 12 + [15]),
        hardware=chance.choice([V1, V1, V2]),
        seed=len(str(sequences)),
    )


def undisturbed(log: Log) -> Told:
    told, watch = Told(), worker(calendar=CALENDAR)
    for record in log.records:
        told.commit(watch, watch.step([record], now=1e6))
    return told


def killed(log: Log, *, sizes: list[int], kills: list[bool]) -> Told:
    """Read in steps of `sizes`; after a step whose `kills` is set, the process dies before it has committed it."""
    told, watch, offset = Told(), worker(calendar=CALENDAR), 0
    for turn in range(10_000):
        records: list[Received] = log.since(offset)[: sizes[turn % len(sizes)]]
        if not records:
            break
        done = watch.step(records, now=1e6)
        offset = records[-1].place.offset + 1
        if turn < len(kills) and kills[turn]:
            watch, offset = worker(calendar=CALENDAR), 0
            if told.frontier is not None:
                watch.resume((TOPIC, 0), Frontier.from_json(told.frontier.to_json()), now=1e6)
                offset = told.frontier.resume
        else:
            told.commit(watch, done)
    return told


@settings(max_examples=60, deadline=None)
@given(seeds, st.lists(st.integers(1, 5), min_size=1, max_size=5), st.lists(st.booleans(), min_size=6, max_size=30))
def test_nothing_is_lost_and_nothing_is_counted_twice(seed: int, sizes: list[int], kills: list[bool]) -> None:
    log = log_of(seed)
    whole, broken_off = undisturbed(log), killed(log, sizes=sizes, kills=kills)
    assert [each.to_bytes() for each in broken_off.closed] == [each.to_bytes() for each in whole.closed]
    assert broken_off.rejected == whole.rejected
    assert broken_off.frontier == whole.frontier


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_every_event_is_in_one_lumisection_or_in_a_rejected_record(seed: int) -> None:
    log = log_of(seed)
    watch = worker(calendar=CALENDAR)
    done, rest = watch.step(log.records, now=1e6), watch.tick(1e9)
    counted = sum(each.received for each in (*done.closed, *rest.closed))
    refused = {place.offset for place, _ in done.rejected}
    sent = [len(each.content) if isinstance(each.content, Batch) else 0 for each in log.records]
    whole = sum(number for offset, number in enumerate(sent) if offset not in refused)
    assert whole <= counted <= sum(sent)


@settings(max_examples=30, deadline=None)
@given(seeds)
def test_a_lumisection_closes_once_and_in_order(seed: int) -> None:
    watch = worker(calendar=CALENDAR)
    log = log_of(seed)
    closed = [*watch.step(log.records, now=1e6).closed, *watch.tick(1e9).closed]
    marks = [each.lumisection for each in closed]
    assert marks == sorted(set(marks))
