"""An aggregator over the small trigger of `plays`, and lumisections to give it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from monitor.drift.battery import Battery
from monitor.drift.budget import Budget
from monitor.reference.book import Book
from monitor.trigger.batch import Received
from monitor.trigger.site import DEFAULT
from monitor.watch.aggregator import Aggregator, AggregatorStep
from monitor.watch.calendar import Calendar
from monitor.watch.closed import PartitionClosed
from tests.unit.watch.plays import STREAM, V1, Library, Linear, Log, batch, end, worker

LEARN = 12
CALENDAR = Calendar(lateness=60, silence=100)


def aggregator(partitions: tuple[int, ...] = (0, 1), **options: Any) -> Aggregator:
    return Aggregator(
        **{
            "partitions": {STREAM: partitions},
            "shelf": Library(),
            "book": Book({}),
            "battery": Battery(Budget(lumisection_seconds=DEFAULT.lumisection_seconds)),
            "site": DEFAULT,
            "calendar": CALENDAR,
            "learn_lumisections": LEARN,
            **options,
        }
    )


def partition(
    number: int,
    *lumisections: int,
    events: int = 60,
    hardware: Linear = V1,
    batches: int = 2,
    run: int = 1,
    **head: Any,
) -> list[Received]:
    """Return what a producer puts on one partition: whole lumisections with their end records."""
    log, sequence = Log(partition=number), 0
    for ls in lumisections:
        for part in range(batches):
            here = batch(
                (run, ls),
                events=events // batches,
                seed=1000 * number + part,
                hardware=hardware,
                sequence=sequence,
                producer=f"p{number}",
                **head,
            )
            log.put(here, at=23.0 * ls)
            sequence += 1
        log.put(end(run, ls, events // batches * batches), at=23.0 * ls)
    return log.records


def closed(number: int, *lumisections: int, **options: Any) -> list[PartitionClosed]:
    """Return a partition's closed lumisections, as a worker of its own makes them."""
    records = partition(number, *lumisections, **options)
    return list(worker().step(records, now=1e9).closed)


def judged(bench: Aggregator, *parts: list[PartitionClosed], at: float = 0.0) -> Iterator[AggregatorStep]:
    """Give parts to the aggregator lumisection by lumisection; yield every step."""
    for row in zip(*parts, strict=True):
        yield bench.step(row, now=at)


def levels(step: AggregatorStep) -> list[tuple[int, str, str]]:
    return [(each.lumisection.ls, each.verdict.level.value, each.verdict.blame.value) for each in step.judged]
