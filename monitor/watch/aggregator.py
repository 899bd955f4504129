"""Interface of the second half of the walk (being written)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from monitor.decide.action import Action
from monitor.trigger.site import CMS, Site
from monitor.watch.calendar import Calendar
from monitor.watch.closed import PartitionClosed
from monitor.watch.judged import Judged
from monitor.watch.shelf import Shelf


@dataclass(frozen=True, slots=True)
class AggregatorStep:
    judged: tuple[Judged, ...] = ()
    actions: tuple[Action, ...] = ()


class Aggregator:
    def __init__(
        self,
        *,
        partitions: Mapping[str, Collection[int]],  # stream -> partition numbers of its topic
        shelf: Shelf,
        book: Any,  # reference.book.Book
        battery: Any,  # drift.battery.Battery
        site: Site = CMS,
        calendar: Calendar = Calendar(),
        rules: Any = None,  # decide.rules.Rules(clear_after, persistent_after, …)
        floors: Mapping[str, float] = {},
        learn_lumisections: int = 40,
    ) -> None: ...
    def step(self, closed: Sequence[PartitionClosed], *, now: float) -> AggregatorStep: ...
    def tick(self, now: float) -> AggregatorStep: ...
    def to_bytes(self) -> bytes: ...
    def restore(self, content: bytes) -> None:
        """Take the state that `to_bytes` wrote; the configuration is the constructor's. Raises `Unreadable`."""
