"""The second half of the walk: closed partitions in, verdicts out."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emulator.pack import Unreadable, pack, unpack
from monitor.decide.action import Action
from monitor.decide.case import Rules
from monitor.drift.battery import Battery
from monitor.reference.book import Book
from monitor.reference.page import Page
from monitor.trigger.header import Epoch
from monitor.trigger.known import KnownConditions
from monitor.trigger.site import Site
from monitor.watch.calendar import Calendar
from monitor.watch.canary import Plan
from monitor.watch.closed import PartitionClosed
from monitor.watch.court import Court
from monitor.watch.judged import Judged
from monitor.watch.shelf import Shelf
from monitor.watch.stream import Ruling, StreamWatch

SCHEMA = "aggregator/1"


@dataclass(frozen=True, slots=True)
class AggregatorStep:
    """What some closed partitions, or the passing of time, led to; lumisections in order within each stream."""

    judged: tuple[Judged, ...] = ()
    actions: tuple[Action, ...] = ()


class Aggregator:
    """Judges every lumisection of every stream once all of its partitions have reported, or waited long enough.

    Parameters
    ----------
    partitions
        The partition numbers that every lumisection of a stream must come from.
    floors
        Share of mismatches that a stream is known for; for others the battery's own floor counts.
    learn_lumisections
        How long to learn where the Book has no page.
    canary
        Which faults are planted in a shadow of each stream; None for none.
    """

    def __init__(  # noqa: PLR0913 - the parts of a court, each named
        self,
        *,
        partitions: Mapping[str, Collection[int]],
        shelf: Shelf,
        book: Book,
        battery: Battery,
        site: Site,
        calendar: Calendar | None = None,
        rules: Rules | None = None,
        floors: Mapping[str, float] | None = None,
        learn_lumisections: int = 40,
        canary: Plan | None = None,
    ) -> None:
        self._court = Court(
            shelf,
            book,
            battery,
            rules or Rules(),
            site,
            calendar or Calendar(),
            learn_lumisections,
            canary=canary or Plan(faults=()),
        )
        self._streams = {
            name: StreamWatch(name, expected=frozenset(numbers), floor=(floors or {}).get(name))
            for name, numbers in sorted(partitions.items())
        }

    @property
    def learnt(self) -> Book:
        """Return the pages that were learnt while watching, for people to look at and to promote."""
        return Book({page.key: page for stream in self._streams.values() for page in stream.learnt()})

    def adopt(self, book: Book) -> None:
        """Judge by this Book from now on."""
        self._court.book = book

    def know(self, known: KnownConditions) -> None:
        """Let what is known to be going on silence what it covers, from the next lumisection on."""
        self._court.known = known

    def page(self, stream: str, epoch: Epoch) -> Page | None:
        """Return the page that lumisections of this epoch are judged by, or None."""
        return self._streams[stream].page(epoch, self._court) if stream in self._streams else None

    def step(self, closed: Sequence[PartitionClosed], *, now: float) -> AggregatorStep:
        """Take closed partitions in. What was seen before is ignored, and so are streams that are not configured."""
        for each in closed:
            if each.stream in self._streams:
                self._streams[each.stream].report(each, now=now)
        return self._advance(now)

    def tick(self, now: float) -> AggregatorStep:
        """Judge what has waited long enough, and say which streams have gone silent."""
        step = self._advance(now)
        silent = [_step(stream.silence(self._court, now=now)) for stream in self._streams.values()]
        return _joined([step, *silent])

    def _advance(self, now: float) -> AggregatorStep:
        return _joined([_step(stream.advance(self._court, now=now)) for stream in self._streams.values()])

    def to_bytes(self) -> bytes:
        """Return the canonical bytes of everything that the next lumisections depend on."""
        streams = {name: np.frombuffer(stream.to_bytes(), np.uint8) for name, stream in self._streams.items()}
        return pack({"schema": SCHEMA}, {f"stream.{name}": each for name, each in streams.items()})

    def restore(self, content: bytes) -> None:
        """Take the state that `to_bytes` wrote; the configuration is the constructor's. Raises `Unreadable`.

        Streams that are no longer configured are forgotten, new ones begin.
        """
        names, arrays = unpack(content)
        if names.get("schema") != SCHEMA:
            raise Unreadable(f"schema is {names.get('schema')!r}, not {SCHEMA!r}: this is not an aggregator's state")
        for name, stream in self._streams.items():
            if f"stream.{name}" in arrays:
                stream.restore(arrays[f"stream.{name}"].tobytes())


def _step(rulings: Iterable[Ruling]) -> AggregatorStep:
    found = list(rulings)
    return AggregatorStep(
        tuple(judged for judged, _ in found), tuple(action for _, actions in found for action in actions)
    )


def _joined(steps: Sequence[AggregatorStep]) -> AggregatorStep:
    judged = tuple(each for step in steps for each in step.judged)
    return AggregatorStep(judged, tuple(each for step in steps for each in step.actions))
