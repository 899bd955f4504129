"""Interface of the first half of the walk (being written)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from monitor.trigger.batch import Place, Received, Rejected
from monitor.watch.calendar import Calendar
from monitor.watch.closed import PartitionClosed
from monitor.watch.frontier import Frontier
from monitor.watch.shelf import Shelf

PartitionKey = tuple[str, int]  # (topic, partition): what stream.transport.Partition is, too


@dataclass(frozen=True, slots=True)
class WorkerStep:
    closed: tuple[PartitionClosed, ...] = ()
    rejected: tuple[tuple[Place, Rejected], ...] = ()
    moved: frozenset[PartitionKey] = frozenset()  # partitions whose frontier changed


class Worker:
    def __init__(self, *, streams: Mapping[str, str], shelf: Shelf, calendar: Calendar = Calendar()) -> None:
        """`streams` maps every configured stream to its topic."""
    def step(self, received: Sequence[Received], *, now: float) -> WorkerStep: ...
    def tick(self, now: float) -> WorkerStep: ...
    def forget(self, partitions: Collection[PartitionKey]) -> None: ...
    def frontier(self, partition: PartitionKey) -> Frontier: ...
    def resume(self, partition: PartitionKey, frontier: Frontier, *, now: float) -> None: ...
