"""The reading half of a turn: records become closed partitions, rejections become dead letters."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from emulator.pack import Unreadable
from monitor.decide.verdict import identify
from monitor.store.commit import CounterKey, Letter, PartitionKey
from monitor.stream.codec import decode
from monitor.stream.columns import Limits
from monitor.stream.deadletter import dead_letter
from monitor.stream.record import Record
from monitor.stream.transport import Partition
from monitor.trigger.batch import Place, Reason, Received, Rejected
from monitor.watch.closed import PartitionClosed
from monitor.watch.frontier import Frontier
from monitor.watch.worker import Worker, WorkerStep

log = logging.getLogger(__name__)

DEAD_LETTER = "dead-letter"


@dataclass(frozen=True, slots=True)
class Read:
    """What one turn's records came to.

    `moved` are the partitions whose frontier changed, `troubles` sentences about emulators that failed.
    """

    closed: tuple[PartitionClosed, ...] = ()
    letters: tuple[Letter, ...] = ()
    moved: frozenset[PartitionKey] = frozenset()
    counters: Mapping[CounterKey, int] = field(default_factory=dict)
    troubles: tuple[str, ...] = ()


class Front(Protocol):
    """What reads: the trigger's output, or the summaries of the workers."""

    def begin(self, partition: Partition, frontier: Mapping[str, Any] | None, *, now: float) -> int | None:
        """Take over a partition; return the offset to read from, or None for the transport's own choice."""
        ...

    def leave(self, partitions: Iterable[Partition]) -> None:
        """Forget partitions that somebody else reads now."""
        ...

    def read(self, records: Sequence[Record], *, now: float) -> Read:
        """Return what the records came to, and what the passing of time has closed."""
        ...

    def frontier(self, partition: PartitionKey) -> Mapping[str, Any]:
        """Return what must be stored to go on from here."""
        ...

    def resumes(self, partition: PartitionKey) -> int:
        """Return the offset from which somebody else would have to read."""
        ...


class TriggerFront:
    """Reads the trigger's output; every record is decoded, checked, re-emulated and summed up by the worker."""

    def __init__(self, worker: Worker, *, limits: Limits, dead_letter_topic: str) -> None:
        self._worker = worker
        self._limits = limits
        self._topic = dead_letter_topic

    def begin(self, partition: Partition, frontier: Mapping[str, Any] | None, *, now: float) -> int | None:
        """See Front.begin: the open lumisections are read again."""
        if frontier is None:
            return None
        known = Frontier.from_json(frontier)
        self._worker.resume(partition, known, now=now)
        return known.resume

    def leave(self, partitions: Iterable[Partition]) -> None:
        """See Front.leave."""
        self._worker.forget(tuple(partitions))

    def read(self, records: Sequence[Record], *, now: float) -> Read:
        """See Front.read."""
        received = [Received(r.place, r.timestamp, decode(r, limits=self._limits)) for r in records]
        step, waited = self._worker.step(received, now=now), self._worker.tick(now)
        _tell(step.rejected)
        bytes_of = {record.place: record for record in records}
        return Read(
            closed=step.closed + waited.closed,
            letters=tuple(letter(bytes_of[place], why, topic=self._topic, now=now) for place, why in step.rejected),
            moved=step.moved | waited.moved,
            counters=_rejections(step),
            troubles=step.troubles,
        )

    def frontier(self, partition: PartitionKey) -> Mapping[str, Any]:
        """See Front.frontier."""
        return self._worker.frontier(partition).to_json()

    def resumes(self, partition: PartitionKey) -> int:
        """See Front.resumes."""
        return self._worker.frontier(partition).resume


class SummariesFront:
    """Reads what workers have closed; the aggregator ignores what it has seen, so reading twice does no harm."""

    def __init__(self, *, dead_letter_topic: str) -> None:
        self._topic = dead_letter_topic
        self._next: dict[PartitionKey, int] = {}

    def begin(self, partition: Partition, frontier: Mapping[str, Any] | None, *, now: float) -> int | None:
        """See Front.begin."""
        del now
        if frontier is None:
            return None
        self._next[partition] = int(frontier["next"])
        return self._next[partition]

    def leave(self, partitions: Iterable[Partition]) -> None:
        """See Front.leave."""
        for partition in partitions:
            self._next.pop(partition, None)

    def read(self, records: Sequence[Record], *, now: float) -> Read:
        """See Front.read: a record that is no closed partition goes to the dead letters."""
        closed: list[PartitionClosed] = []
        refused: list[tuple[Record, Rejected]] = []
        for record in records:
            self._next[record.place.topic, record.place.partition] = record.place.offset + 1
            try:
                closed.append(PartitionClosed.from_bytes(record.value))
            except Unreadable as error:
                refused.append((record, Rejected(Reason.MALFORMED, str(error))))
        return Read(
            closed=tuple(closed),
            letters=tuple(letter(record, why, topic=self._topic, now=now) for record, why in refused),
            moved=frozenset((record.place.topic, record.place.partition) for record in records),
            counters=Counter(("rejected", why.stream, why.reason.value) for _, why in refused),
        )

    def frontier(self, partition: PartitionKey) -> Mapping[str, Any]:
        """See Front.frontier."""
        return {"next": self._next[partition]}

    def resumes(self, partition: PartitionKey) -> int:
        """See Front.resumes."""
        return self._next[partition]


def letter(record: Record, why: Rejected, *, topic: str, now: float) -> Letter:
    """Return the rejected record for the outbox: its bytes, and the headers that say why and where it stood.

    Its time stamp too, unless that is absurd: a broker would refuse it, and with it everything behind it.
    """
    outgoing = dead_letter(record, why, topic=topic)
    place: Place = record.place
    headers = [[name, value.decode("latin-1")] for name, value in outgoing.headers]
    return Letter(
        id=identify(DEAD_LETTER, place.topic, place.partition, place.offset),
        kind=DEAD_LETTER,
        stream=why.stream,
        body=outgoing.value,
        attributes={
            "headers": headers,
            "key": None if outgoing.key is None else outgoing.key.decode("latin-1"),
            "timestamp": record.timestamp if 0.0 <= record.timestamp <= now else None,
        },
    )


def _tell(rejected: Sequence[tuple[Place, Rejected]]) -> None:
    """Log each reason once a turn: the dead letters have every record, a log only needs to say that there are some."""
    counts = Counter(why.reason for _, why in rejected)
    first = {why.reason: (place, why) for place, why in reversed(rejected)}
    for reason, (place, why) in first.items():
        at = f"{place.topic}/{place.partition} offset {place.offset}"
        log.warning("%d records rejected (%s), the first at %s: %s", counts[reason], reason.value, at, why.detail)


def _rejections(step: WorkerStep) -> dict[CounterKey, int]:
    return dict(Counter(("rejected", why.stream, why.reason.value) for _, why in step.rejected))
