"""A log that lives in this process: topics, partitions and consumer groups without a broker."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Condition

from monitor.stream.placement import Placement
from monitor.stream.record import Outgoing, Record
from monitor.stream.transport import Health, Partition, Polled, Undelivered
from monitor.trigger.batch import Place


@dataclass(slots=True)
class _Group:
    """Who reads in this group, and who still holds what: a partition changes hands only when it was let go."""

    members: list[MemorySource] = field(default_factory=list)
    holders: dict[Partition, MemorySource] = field(default_factory=dict)
    committed: dict[Partition, int] = field(default_factory=dict)

    def share(self, member: MemorySource, partitions: Sequence[Partition]) -> frozenset[Partition]:
        """Return the partitions that `member` should have: equal runs of neighbours, as Kafka's RangeAssignor does."""
        if member not in self.members:
            return frozenset()
        count, index = len(self.members), self.members.index(member)
        size, more = divmod(len(partitions), count)
        start = index * size + min(index, more)
        return frozenset(partitions[start : start + size + (index < more)])


class MemoryLog:
    """Topics whose records are kept for ever; any number of sources and sinks, also in different threads."""

    def __init__(self, topics: Mapping[str, int] | None = None, *, clock: Callable[[], float] = time.time) -> None:
        self.changed = Condition()
        self.clock = clock
        self._topics: dict[str, list[list[Record]]] = {}
        self._groups: dict[str, _Group] = {}
        self._placement = Placement()
        for topic, partitions in (topics or {}).items():
            self.create(topic, partitions)

    def create(self, topic: str, partitions: int = 1) -> None:
        """Add a topic, or partitions to it; nothing happens where it has as many already."""
        with self.changed:
            lists = self._topics.setdefault(topic, [])
            lists.extend([] for _ in range(partitions - len(lists)))

    def append(self, record: Outgoing) -> Place:
        """Keep a record and return where; raises `Undelivered` where the topic does not exist."""
        with self.changed:
            lists = self._topics.get(record.topic)
            if not lists:
                raise Undelivered(f"there is no topic {record.topic!r}: create it first")
            partition = self._placement.choose(record, partitions=len(lists))
            place = Place(record.topic, partition, len(lists[partition]))
            timestamp = self.clock() if record.timestamp is None else record.timestamp
            lists[partition].append(Record(place, timestamp, record.value, record.headers, record.key))
            self.changed.notify_all()
            return place

    def partitions(self, topic: str) -> tuple[Partition, ...]:
        """Return the topic's partitions in order; none where there is no such topic."""
        return tuple(Partition(topic, number) for number in range(len(self._topics.get(topic, ()))))

    def records(self, topic: str, partition: int | None = None) -> tuple[Record, ...]:
        """Return everything that was sent to a topic (or one of its partitions), partition by partition."""
        lists = self._topics.get(topic, [])
        return tuple(record for each in (lists if partition is None else [lists[partition]]) for record in each)

    def slice(self, partition: Partition, start: int, stop: int) -> list[Record]:
        """Return the records of a partition from offset `start` to before `stop`, as far as they exist."""
        return self._topics[partition.topic][partition.partition][start:stop]

    def end(self, partition: Partition) -> int:
        """Return the offset that the partition's next record will have."""
        return len(self._topics[partition.topic][partition.partition])

    def group(self, name: str) -> _Group:
        """Return the consumer group of this name."""
        return self._groups.setdefault(name, _Group())

    def committed(self, group: str) -> Mapping[Partition, int]:
        """Return the offsets that readers of this group have committed."""
        return dict(self.group(group).committed)


class MemorySource:
    """Reads topics of a MemoryLog: all of their partitions, or its share of them as a member of `group`."""

    def __init__(
        self, log: MemoryLog, topics: Sequence[str], *, group: str | None = None, max_records: int = 100
    ) -> None:
        self._log = log
        self._topics = tuple(topics)
        self._max_records = max_records
        # A reader without a group is a group of one.
        self._group = _Group() if group is None else log.group(group)
        self._next: dict[Partition, int] = {}
        self._closed = False

    def poll(self, *, timeout: float) -> Polled:
        """See Source.poll; waits on the log, not on the clock."""
        with self._log.changed:
            if not self._closed and self not in self._group.members:
                self._group.members.append(self)
            polled = self._once()
            if polled == Polled() and timeout > 0:
                self._log.changed.wait_for(lambda: self._closed or self._is_ready(), timeout)
                polled = self._once()
            return polled

    def seek(self, offsets: Mapping[Partition, int]) -> None:
        """See Source.seek; partitions that are not assigned are left alone."""
        self._next |= {partition: offset for partition, offset in offsets.items() if partition in self._next}

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """See Source.commit."""
        self._group.committed |= {partition: offset for partition, offset in offsets.items() if partition in self._next}

    def partitions(self, topic: str) -> frozenset[Partition]:
        """See Source.partitions."""
        return frozenset(self._log.partitions(topic))

    def health(self) -> Health:
        """See Source.health: memory is always there."""
        lag = {partition: max(0, self._log.end(partition) - at) for partition, at in self._next.items()}
        return Health(reachable=not self._closed, last_fetch_age=0.0, lag=lag)

    def close(self) -> None:
        """See Source.close."""
        with self._log.changed:
            self._closed = True
            if self in self._group.members:
                self._group.members.remove(self)
            for partition in self._next:
                del self._group.holders[partition]
            self._next.clear()
            self._log.changed.notify_all()

    def _once(self) -> Polled:
        assigned, revoked = self._changes()
        if assigned or revoked:
            return Polled(assigned=assigned, revoked=revoked)
        records: list[Record] = []
        for partition, start in self._next.items():
            found = self._log.slice(partition, start, start + self._max_records - len(records))
            if found:
                self._next[partition] = found[-1].place.offset + 1
                records += found
        # Who was served last waits longest: one full partition cannot starve the others.
        self._next = dict(sorted(self._next.items(), key=lambda item: any(item[0] == _of(r) for r in records)))
        return Polled(records=tuple(records))

    def _changes(self) -> tuple[frozenset[Partition], frozenset[Partition]]:
        partitions = [partition for topic in self._topics for partition in self._log.partitions(topic)]
        share, holders = self._group.share(self, partitions), self._group.holders
        revoked = frozenset(self._next) - share
        for partition in revoked:
            del self._next[partition], holders[partition]
        assigned = frozenset(p for p in share if p not in holders)
        for partition in sorted(assigned):
            self._next[partition] = 0
            holders[partition] = self
        if revoked:
            self._log.changed.notify_all()
        return assigned, revoked

    def _is_ready(self) -> bool:
        partitions = [partition for topic in self._topics for partition in self._log.partitions(topic)]
        share = self._group.share(self, partitions)
        moved = bool(set(self._next) - share) or any(p not in self._group.holders for p in share)
        return moved or any(self._log.end(partition) > at for partition, at in self._next.items())


def _of(record: Record) -> Partition:
    return Partition(record.place.topic, record.place.partition)


class MemorySink:
    """Writes to a MemoryLog."""

    def __init__(self, log: MemoryLog) -> None:
        self._log = log
        self._closed = False

    def send(self, records: Sequence[Outgoing]) -> None:
        """See Sink.send."""
        if self._closed:
            raise Undelivered("this sink was closed")
        for record in records:
            self._log.append(record)

    def close(self) -> None:
        """See Sink.close."""
        self._closed = True
