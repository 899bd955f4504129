"""A log in one file: exact bytes, headers, time stamps and offsets, in the order in which they were written.

A tape is what a test, a recording or a demonstration without a broker reads instead of Kafka. `frames` has its format.
"""

from __future__ import annotations

import fcntl
import os
import time
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from monitor.stream.frames import LARGEST_FRAME, MAGIC, Damaged, Index, framed, read_record, record_body, topic_body
from monitor.stream.placement import Placement
from monitor.stream.record import Outgoing, Record
from monitor.stream.transport import Health, Partition, Polled, Undelivered
from monitor.trigger.batch import Place

PAUSE = 0.05


class TapeSource:
    """Reads a tape, also one that is being written: all partitions of the topics, in the order of recording.

    Parameters
    ----------
    path
        The tape; it must exist.
    topics
        What to read; None reads everything that the tape holds when it is opened.
    max_records
        The most that one poll returns.

    Raises
    ------
    Damaged
        At once or from `poll`: bytes in the middle of the tape are not what was written.
    """

    def __init__(self, path: Path | str, topics: Sequence[str] | None = None, *, max_records: int = 100) -> None:
        self._path = Path(path)
        self._file = self._path.open("rb")
        self._index = Index(self._file, self._path)
        try:
            self._index.extend()
        except Damaged:
            self._file.close()
            raise
        self._topics = tuple(self._index.topics if topics is None else topics)
        self._max_records = max_records
        self._next: dict[Partition, int] = {}

    @property
    def topics(self) -> Mapping[str, int]:
        """The topics that the tape holds, with their numbers of partitions."""
        return dict(self._index.topics)

    @property
    def torn(self) -> int:
        """Bytes at the end that are no whole frame: still being written, or left by a writer that was killed."""
        return self._index.torn

    def poll(self, *, timeout: float) -> Polled:
        """See Source.poll; a tape whose end is reached is watched until `timeout` for more."""
        deadline = time.monotonic() + timeout
        while True:
            self._index.extend()
            here = {p for p in self._index.tracks if p.topic in self._topics}
            if assigned := frozenset(here - set(self._next)):
                self._next |= dict.fromkeys(assigned, 0)
                return Polled(assigned=assigned)
            records = tuple(self._take())
            left = deadline - time.monotonic()
            if records or left <= 0:
                return Polled(records=records)
            time.sleep(min(PAUSE, left))

    def seek(self, offsets: Mapping[Partition, int]) -> None:
        """See Source.seek; partitions that are not assigned are left alone."""
        self._next |= {partition: offset for partition, offset in offsets.items() if partition in self._next}

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See Source.commit: nobody watches the lag of a tape's readers."""

    def partitions(self, topic: str) -> frozenset[Partition]:
        """See Source.partitions."""
        return frozenset(p for p in self._index.tracks if p.topic == topic)

    def health(self) -> Health:
        """See Source.health; the detail tells of an incomplete end."""
        there = self._path.exists()
        torn = f"the last {self.torn} bytes of {self._path} are no whole frame" if self.torn else ""
        detail = torn if there else f"{self._path} was deleted: put the tape back and start anew"
        lag = {p: len(self._index.tracks[p].offsets) - self._upcoming(p) for p in self._next}
        return Health(reachable=there and not self._file.closed, last_fetch_age=0.0, lag=lag, detail=detail)

    def close(self) -> None:
        """See Source.close."""
        self._file.close()

    def _upcoming(self, partition: Partition) -> int:
        """Return which of the partition's records is the next to be delivered."""
        return bisect_left(self._index.tracks[partition].offsets, self._next[partition])

    def _take(self) -> Iterator[Record]:
        """Yield the next records of all partitions in the order of the tape."""
        upcoming = {p: self._upcoming(p) for p in self._next}
        for _ in range(self._max_records):
            tracks = self._index.tracks
            ready = [(tracks[p].positions[i], p) for p, i in upcoming.items() if i < len(tracks[p].offsets)]
            if not ready:
                return
            position, partition = min(ready)
            record = read_record(self._file, position, self._path)
            upcoming[partition] += 1
            self._next[partition] = record.place.offset + 1
            yield record


class TapeSink:
    """Adds to a tape, alone: a second writer is refused.

    An incomplete frame at the end (its writer was killed) is moved into a file beside the tape, with the suffix
    `.torn`, before anything is added.

    Parameters
    ----------
    path
        The tape; it is made where it does not exist.
    topics
        Topics to create, with their numbers of partitions.
    clock
        Seconds since the epoch, for records that carry no time of their own.
    """

    def __init__(
        self, path: Path | str, topics: Mapping[str, int] | None = None, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._path = Path(path)
        self._clock = clock
        self._placement = Placement()
        self._file = self._path.open("a+b", buffering=0)
        self._index = Index(self._file, self._path)
        try:
            self._take_over()
        except Damaged:
            self._file.close()
            raise
        for topic, partitions in (topics or {}).items():
            self.create(topic, partitions)

    def _take_over(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Damaged(f"{self._path} is being written by another process: wait for it or choose another") from error
        self._index.extend()
        self._mend()

    def create(self, topic: str, partitions: int = 1) -> None:
        """Add a topic, or partitions to it; nothing happens where it has as many already."""
        if self._index.topics.get(topic, 0) < partitions:
            self._append([topic_body(topic, partitions)])

    def send(self, records: Sequence[Outgoing]) -> None:
        """See Sink.send; one call is one write and one fsync."""
        ends: dict[Partition, int] = {}
        bodies = []
        for each in records:
            partitions = self._index.topics.get(each.topic, 0)
            if not partitions:
                raise Undelivered(f"{self._path} has no topic {each.topic!r}: create it first")
            partition = Partition(each.topic, self._placement.choose(each, partitions=partitions))
            offset = ends.get(partition, self._index.tracks[partition].end)
            ends[partition] = offset + 1
            timestamp = self._clock() if each.timestamp is None else each.timestamp
            place = Place(partition.topic, partition.partition, offset)
            bodies.append(record_body(Record(place, timestamp, each.value, each.headers, each.key)))
        self._append(bodies)

    def copy(self, records: Sequence[Record]) -> None:
        """Record what another transport delivered, with its own offsets; topics are created as they come.

        Raises ValueError where an offset is not above the one before it on its partition.
        """
        last: dict[Partition, int] = {p: track.end - 1 for p, track in self._index.tracks.items()}
        for record in records:
            partition = Partition(record.place.topic, record.place.partition)
            if record.place.offset <= last.get(partition, -1):
                raise ValueError(f"{record.place} is on {self._path} already, or was passed")
            last[partition] = record.place.offset
            self.create(partition.topic, partition.partition + 1)
        self._append([record_body(record) for record in records])

    def close(self) -> None:
        """See Sink.close."""
        self._file.close()

    def _mend(self) -> None:
        """Begin a new tape, or put an incomplete end aside."""
        if self._index.torn:
            # Not thrown away: a damaged length in the middle would make everything behind it look incomplete.
            self._file.seek(self._index.end)
            with self._path.with_name(f"{self._path.name}.torn").open("ab") as aside:
                aside.write(self._file.read())
            os.ftruncate(self._file.fileno(), self._index.end)
        if not self._index.end:
            self._write(MAGIC)

    def _append(self, bodies: Sequence[bytes]) -> None:
        if self._file.closed:
            raise Undelivered(f"{self._path} was closed")
        if longest := max((len(body) for body in bodies if len(body) > LARGEST_FRAME), default=0):
            raise Undelivered(f"a record of {longest} bytes does not fit on a tape: at most {LARGEST_FRAME}")
        self._write(b"".join(framed(body) for body in bodies))

    def _write(self, content: bytes) -> None:
        """Add bytes and make them durable; where that fails, the tape is as it was before."""
        descriptor, rest = self._file.fileno(), memoryview(content)
        try:
            # On a full disk a write can be short without an error; the next one then says why.
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError as error:
            os.ftruncate(descriptor, self._index.end)
            raise Undelivered(f"{self._path} cannot be written: {error}") from error
        self._index.extend()
