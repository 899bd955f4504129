"""The first half of the walk: records of some partitions in, closed lumisections out."""

from __future__ import annotations

import ctypes
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from monitor.observe.shape import CROSSINGS
from monitor.trigger.batch import Batch, EndOfLumisection, Place, Reason, Received, Rejected
from monitor.trigger.lumisection import Lumisection
from monitor.watch.calendar import Calendar
from monitor.watch.closed import PartitionClosed
from monitor.watch.frontier import Frontier
from monitor.watch.partition import PartitionReading, Reach, StreamReading
from monitor.watch.scoring import Scored, Scoring
from monitor.watch.shelf import Shelf

PartitionKey = tuple[str, int]
Rows = slice | NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class WorkerStep:
    """What some records led to.

    Attributes
    ----------
    closed
        Finished lumisections, per partition in order.
    rejected
        Records that could not be used, or not completely; their bytes belong in the dead-letter topic. `stream` is a
        configured stream or "".
    moved
        (topic, partition) whose frontier has changed and must be stored with this step.
    troubles
        Sentences about emulators that failed, each once.
    """

    closed: tuple[PartitionClosed, ...] = ()
    rejected: tuple[tuple[Place, Rejected], ...] = ()
    moved: frozenset[PartitionKey] = frozenset()
    troubles: tuple[str, ...] = ()


@dataclass(slots=True)
class _Notes:
    closed: list[PartitionClosed] = field(default_factory=list)
    rejected: list[tuple[Place, Rejected]] = field(default_factory=list)
    moved: set[PartitionKey] = field(default_factory=set)
    troubles: dict[str, None] = field(default_factory=dict)

    def step(self) -> WorkerStep:
        return WorkerStep(tuple(self.closed), tuple(self.rejected), frozenset(self.moved), tuple(self.troubles))


class Worker:
    """Reads any number of partitions; partitions know nothing of each other.

    Parameters
    ----------
    streams
        Every configured stream and its topic.
    library
        The compiled counting of inputs; numpy counts without it.
    crossings
        Bunch crossings in an orbit of the site's machine.
    """

    def __init__(
        self,
        *,
        streams: Mapping[str, str],
        shelf: Shelf,
        calendar: Calendar | None = None,
        library: ctypes.CDLL | None = None,
        crossings: int = CROSSINGS,
    ) -> None:
        self._streams = dict(streams)
        self._scoring = Scoring(shelf, library, crossings=crossings)
        self._calendar = calendar or Calendar()
        self._readings: dict[PartitionKey, PartitionReading] = {}

    def step(self, received: Sequence[Received], *, now: float) -> WorkerStep:
        """Take records in, per partition in offset order. Repeated offsets are ignored; nothing here raises for one."""
        notes = _Notes()
        for each in received:
            key = (each.place.topic, each.place.partition)
            if key not in self._readings:
                self._readings[key] = PartitionReading(Frontier(each.place.offset, each.place.offset), now=now)
            if each.place.offset >= self._readings[key].position:
                _Record(self, self._readings[key], each, now=now, notes=notes).take()
                notes.moved.add(key)
        return notes.step()

    def tick(self, now: float) -> WorkerStep:
        """Close what is open on partitions where a stream has been silent for longer than the calendar allows."""
        notes = _Notes()
        for key, reading in self._readings.items():
            if reading.replaying:
                continue  # half of an open lumisection has not been read again yet
            for name, stream in reading.streams.items():
                if now - stream.heard >= self._calendar.silence:
                    over = [stream.close(name, each, partition=key[1]) for each in sorted(stream.open)]
                    notes.closed.extend(over)
                    notes.moved.update([key] if over else [])
        return notes.step()

    def forget(self, partitions: Collection[PartitionKey]) -> None:
        """Drop partitions that belong to another reader now; unknown ones are ignored."""
        for key in partitions:
            self._readings.pop(key, None)

    def frontier(self, partition: PartitionKey) -> Frontier:
        """Return how far a partition has been read. Raises KeyError for one that was never read nor resumed."""
        return self._readings[partition].frontier()

    def resume(self, partition: PartitionKey, frontier: Frontier, *, now: float) -> None:
        """Go on from a stored frontier: the next record delivered must be that of `frontier.resume` or later."""
        self._readings[partition] = PartitionReading(frontier, now=now)

    def _owner(self, stream: str, topic: str) -> str:
        """Return the configured stream that a record of this name on this topic counts for, or ""."""
        if self._streams.get(stream) == topic:
            return stream
        own = [name for name, where in self._streams.items() if where == topic]
        return own[0] if len(own) == 1 and not stream else ""


class _Record:
    """One record on its way in."""

    def __init__(
        self, worker: Worker, reading: PartitionReading, received: Received, *, now: float, notes: _Notes
    ) -> None:
        self._worker, self._reading, self._received, self._now, self._notes = worker, reading, received, now, notes
        self._calendar = worker._calendar  # noqa: SLF001 - one noun in two classes
        self._offset = received.place.offset

    def take(self) -> None:
        """Count it, or refuse it; either way the partition has moved past it."""
        reading = self._reading
        reading.believe(self._received.timestamp, now=self._now)
        if not (reading.replaying and reading.refused(self._offset)):
            self._read()
        was_new = not reading.replaying
        reading.advance(self._offset)
        if was_new:
            self._close()

    def _read(self) -> None:
        content = self._received.content
        if isinstance(content, Rejected):
            self._refuse(content)
            return
        name = content.stream if isinstance(content, EndOfLumisection) else content.header.stream
        if not self._worker._owner(name, self._received.place.topic):  # noqa: SLF001
            detail = (
                f"stream {name!r} is not configured on topic {self._received.place.topic!r}: add it to the settings"
            )
            self._refuse(Rejected(Reason.STREAM, detail, name))
            return
        stream = self._reading.stream(name, now=self._now)
        stream.heard = self._now
        if isinstance(content, EndOfLumisection):
            self._end(stream, content)
        else:
            self._batch(stream, content)

    def _end(self, stream: StreamReading, end: EndOfLumisection) -> None:
        if stream.is_over(end.lumisection):
            self._refuse(Rejected(Reason.LATE, f"lumisection {end.lumisection} has ended before", end.stream))
        elif problem := self._unbelievable(stream, [end.lumisection]):
            self._refuse(Rejected(Reason.VALUES, problem, end.stream))
        else:
            stream.opened(end.lumisection, offset=self._offset, clock=self._reading.clock).declared = end.events

    def _batch(self, stream: StreamReading, batch: Batch) -> None:
        parts = list(split(batch))
        problem = self._unbelievable(stream, [ls for ls, _ in parts])
        if not self._in_sequence(stream, batch, reach=None if problem or not parts else _reach(batch, parts[-1])):
            return
        if problem:
            self._refuse(Rejected(Reason.VALUES, problem, batch.header.stream))
            return
        fresh = [(ls, rows) for ls, rows in parts if not stream.is_over(ls)]
        if fresh and not self._count(stream, batch, fresh):
            return
        if len(fresh) < len(parts):
            late = ", ".join(str(ls) for ls, _ in parts if stream.is_over(ls))
            detail = f"events of lumisection {late}, which is closed on this partition"
            self._refuse(Rejected(Reason.LATE, detail, batch.header.stream), completely=not fresh)

    def _in_sequence(self, stream: StreamReading, batch: Batch, *, reach: Reach | None) -> bool:
        """Follow the producer's numbers; False if the batch was seen before. While replaying they are known."""
        if self._reading.replaying:
            return True
        lost = self._reading.lost_before(batch.header, reach)
        self._reading.forget_producers(most=self._calendar.most_producers)
        if lost is None:
            detail = f"batch {batch.header.sequence} of producer {batch.header.producer!r} was seen before"
            self._refuse(Rejected(Reason.DUPLICATE, detail, batch.header.stream))
            return False
        stream.lost_batches += lost
        return True

    def _count(self, stream: StreamReading, batch: Batch, parts: list[tuple[Lumisection, Rows]]) -> bool:
        """Add the parts to their lumisections; False if the batch was refused instead."""
        scored = self._worker._scoring.score(batch)  # noqa: SLF001
        if isinstance(scored, Rejected):
            self._refuse(scored)
            return False
        if scored.trouble is not None:
            self._notes.troubles[scored.trouble] = None
        added = [self._add(stream, scored, ls, rows) for ls, rows in parts]
        if not all(added):
            most = self._calendar.most_epochs
            detail = f"more than {most} changes of model, menu, firmware or prescale column within one lumisection"
            self._refuse(Rejected(Reason.VALUES, detail, batch.header.stream), completely=not any(added))
        return any(added)

    def _add(self, stream: StreamReading, scored: Scored, lumisection: Lumisection, rows: Rows) -> bool:
        entry = stream.opened(lumisection, offset=self._offset, clock=self._reading.clock)
        if not entry.has_room(scored.epoch, scored.summariser.shape, most=self._calendar.most_epochs):
            return False
        entry.add(scored.summarise(lumisection, rows))
        return True

    def _unbelievable(self, stream: StreamReading, lumisections: Sequence[Lumisection]) -> str | None:
        """Say what is wrong with the numbers of new lumisections; while replaying they were believed."""
        new = [each for each in lumisections if each not in stream.open and not stream.is_over(each)]
        if not new or self._reading.replaying:
            return None
        if not stream.believes(new[-1], self._calendar):
            newest = max(stream.open, default=stream.closed)
            return f"lumisection {new[-1]} lies too far ahead of the newest one, {newest}, to be believed at once"
        if len(stream.open) + len(new) > self._calendar.most_open:
            return f"lumisection {new[-1]} would be the {len(stream.open) + len(new)}th to be open at the same time"
        return None

    def _refuse(self, rejected: Rejected, *, completely: bool = True) -> None:
        """Report the record, once in its life: what is read again after a restart was reported then."""
        if self._reading.replaying:
            return
        owner = self._worker._owner(rejected.stream, self._received.place.topic)  # noqa: SLF001
        if owner:
            counts = self._reading.stream(owner, now=self._now).rejected
            counts[rejected.reason.value] = counts.get(rejected.reason.value, 0) + 1
        self._notes.rejected.append((self._received.place, replace(rejected, stream=owner)))
        if completely:
            self._reading.refuse(self._offset)

    def _close(self) -> None:
        partition = self._received.place.partition
        for name, stream in self._reading.streams.items():
            for lumisection in stream.due(self._reading.clock, lateness=self._calendar.lateness):
                self._notes.closed.append(stream.close(name, lumisection, partition=partition))


def split(batch: Batch) -> Iterator[tuple[Lumisection, Rows]]:
    """Yield the lumisections in a batch, oldest first, with their rows; nothing for a batch without events."""
    if not len(batch):
        return
    run, ls = batch.run, batch.ls
    if (run == run[0]).all() and (ls == ls[0]).all():
        yield Lumisection(int(run[0]), int(ls[0])), slice(None)
        return
    both = (run.astype(np.uint64) << np.uint64(32)) | ls
    for each in np.unique(both):
        yield Lumisection(int(each) >> 32, int(each) & 0xFFFFFFFF), both == each


def _reach(batch: Batch, newest: tuple[Lumisection, Rows]) -> Reach:
    lumisection, rows = newest
    return lumisection.run, lumisection.ls, int(batch.orbit[rows].max())
