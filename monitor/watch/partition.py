"""One partition being read: open lumisections, producers' sequences, and what has been seen already."""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field

from monitor.observe.shape import Shape
from monitor.observe.summary import Summary
from monitor.trigger.header import Epoch, Header
from monitor.trigger.lumisection import Lumisection
from monitor.watch.calendar import Calendar
from monitor.watch.closed import PartitionClosed
from monitor.watch.frontier import Frontier, OpenMark, Producer, StreamMark

Reach = tuple[int, int, int]
MOST_LOST = 1_000_000  # a larger gap is a new numbering, not data that was lost


@dataclass(slots=True)
class OpenLumisection:
    """Sums of a lumisection that may still grow."""

    first: int
    overtaken: float | None
    declared: int | None = None
    summaries: dict[tuple[Epoch, Shape], Summary] = field(default_factory=dict)

    def add(self, summary: Summary) -> None:
        """Add what another batch brought."""
        key = (summary.key.epoch, summary.shape)
        known = self.summaries.get(key)
        self.summaries[key] = summary if known is None else known + summary

    def has_room(self, epoch: Epoch, shape: Shape, *, most: int) -> bool:
        """Say whether events of this epoch can be taken: an endless row of new ones would fill the memory."""
        return (epoch, shape) in self.summaries or len(self.summaries) < most


@dataclass(slots=True)
class StreamReading:
    """One stream on one partition. `heard` is when its latest record arrived, by the reader's clock."""

    heard: float
    closed: Lumisection | None = None
    open: dict[Lumisection, OpenLumisection] = field(default_factory=dict)
    doubted: Lumisection | None = None
    lost_batches: int = 0
    rejected: dict[str, int] = field(default_factory=dict)

    def is_over(self, lumisection: Lumisection) -> bool:
        """Say whether the lumisection takes no more events: closed, or its producer has ended it."""
        if self.closed is not None and lumisection <= self.closed:
            return True
        known = self.open.get(lumisection)
        return known is not None and known.declared is not None

    def believes(self, lumisection: Lumisection, calendar: Calendar) -> bool:
        """Say whether the number can be right: near the newest known one, or near one that was doubted before."""
        newest = max(self.open, default=self.closed)
        if newest is None or _is_near(lumisection, newest, calendar):
            return True
        doubted, self.doubted = self.doubted, lumisection
        if doubted is None or lumisection < doubted or not _is_near(lumisection, doubted, calendar):
            return False
        self.doubted = None
        return True

    def opened(self, lumisection: Lumisection, *, offset: int, clock: float) -> OpenLumisection:
        """Return the open lumisection, new where it is; the older open ones count as overtaken from now on."""
        if lumisection not in self.open:
            overtaken = clock if any(other > lumisection for other in self.open) else None
            self.open[lumisection] = OpenLumisection(offset, overtaken)
        for other, entry in self.open.items():
            if other < lumisection and entry.overtaken is None:
                entry.overtaken = clock
        return self.open[lumisection]

    def due(self, clock: float, *, lateness: float) -> list[Lumisection]:
        """Return the lumisections to close now, in order: none is closed before an older one."""
        found = []
        for lumisection in sorted(self.open):
            entry = self.open[lumisection]
            late = entry.overtaken is not None and clock - entry.overtaken >= lateness
            if entry.declared is None and not late:
                break
            found.append(lumisection)
        return found

    def close(self, stream: str, lumisection: Lumisection, *, partition: int) -> PartitionClosed:
        """Take the lumisection out, with everything noticed since the previous one."""
        entry = self.open.pop(lumisection)
        keys = sorted(entry.summaries, key=lambda key: (key[0], key[1].digest()))
        closed = PartitionClosed(
            stream=stream,
            lumisection=lumisection,
            partition=partition,
            summaries=tuple(entry.summaries[key] for key in keys),
            declared=entry.declared,
            received=sum(each.events for each in entry.summaries.values()),
            lost_batches=self.lost_batches,
            rejected=dict(sorted(self.rejected.items())),
        )
        self.closed, self.lost_batches, self.rejected = lumisection, 0, {}
        return closed


class PartitionReading:
    """One partition from `frontier` on. Offsets below `next` were looked at before and are not reported again."""

    def __init__(self, frontier: Frontier, *, now: float) -> None:
        self.position = frontier.resume
        self.next = frontier.next
        self.clock = frontier.clock
        self.producers = dict(frontier.producers)
        self.streams = {name: _reading(mark, now=now) for name, mark in frontier.streams.items()}
        self._refused = list(frontier.refused)

    @property
    def replaying(self) -> bool:
        """True while records are read again that were looked at before a restart."""
        return self.position < self.next

    def stream(self, name: str, *, now: float) -> StreamReading:
        """Return the reading of a stream, new at its first record."""
        return self.streams.setdefault(name, StreamReading(heard=now))

    def advance(self, offset: int) -> None:
        """Note that everything up to and including `offset` has been looked at."""
        self.position = offset + 1
        self.next = max(self.next, self.position)

    def believe(self, timestamp: float, *, now: float) -> None:
        """Let the record's time drive the clock: never backwards, and never beyond the reader's own time."""
        if not self.replaying:
            self.clock = max(self.clock, min(timestamp, now))

    def refuse(self, offset: int) -> None:
        """Remember that the record at `offset` adds nothing."""
        if self._refused and self._refused[-1][1] == offset:
            self._refused[-1] = (self._refused[-1][0], offset + 1)
        else:
            insort(self._refused, (offset, offset + 1))

    def refused(self, offset: int) -> bool:
        """Say whether the record at `offset` was refused."""
        return any(start <= offset < stop for start, stop in self._refused)

    def lost_before(self, header: Header, reach: Reach | None) -> int | None:
        """Return how many batches are missing before this one, or None if it was seen before; remembers it.

        A batch is a repetition if its number is not new and its events reach no further than the newest known: a
        producer that was restarted counts from zero again, with new events.
        """
        known = self.producers.pop(header.producer, None)
        far = reach if reach is not None else (0, 0, 0)
        if known is None:
            self.producers[header.producer] = Producer(header.sequence, *far)
            return 0
        before = (known.run, known.ls, known.orbit)
        if header.sequence <= known.sequence and far <= before:
            self.producers[header.producer] = known
            return None
        self.producers[header.producer] = Producer(header.sequence, *max(far, before))
        gap = header.sequence - known.sequence - 1
        return gap if 0 < gap <= MOST_LOST else 0

    def forget_producers(self, *, most: int) -> None:
        """Drop the producers that have been quiet longest, down to `most`."""
        while len(self.producers) > most:
            del self.producers[next(iter(self.producers))]

    def frontier(self) -> Frontier:
        """Return where reading would have to start again, and all that is known there."""
        first = [entry.first for stream in self.streams.values() for entry in stream.open.values()]
        resume = min(first, default=self.next)
        self._refused = [(max(start, resume), stop) for start, stop in self._refused if stop > resume]
        return Frontier(
            resume=resume,
            next=self.next,
            clock=self.clock,
            producers=dict(self.producers),
            streams={name: _mark(stream) for name, stream in self.streams.items()},
            refused=tuple(self._refused),
        )


def _is_near(lumisection: Lumisection, newest: Lumisection, calendar: Calendar) -> bool:
    if lumisection.run == newest.run:
        return lumisection.ls - newest.ls <= calendar.ahead_lumisections
    if lumisection.run < newest.run:
        return True  # late, perhaps, but not ahead
    return lumisection.run - newest.run <= calendar.ahead_runs and lumisection.ls <= calendar.ahead_lumisections


def _reading(mark: StreamMark, *, now: float) -> StreamReading:
    return StreamReading(
        heard=now,
        closed=mark.closed,
        open={each.lumisection: OpenLumisection(each.first, each.overtaken) for each in mark.open},
        doubted=mark.doubted,
        lost_batches=mark.lost_batches,
        rejected=dict(mark.rejected),
    )


def _mark(stream: StreamReading) -> StreamMark:
    marks = (OpenMark(ls, stream.open[ls].first, stream.open[ls].overtaken) for ls in sorted(stream.open))
    return StreamMark(stream.closed, tuple(marks), stream.doubted, stream.lost_batches, dict(stream.rejected))
