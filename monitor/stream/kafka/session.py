"""One connected consumer: its partitions, and its way through their records."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence

from kafka import KafkaConsumer, errors
from kafka.structs import MemberState, TopicPartition

from monitor.stream.kafka.rebalance import Changes, hold
from monitor.stream.kafka.translation import received, topic_partition
from monitor.stream.record import UNREADABLE, Record
from monitor.stream.transport import Partition
from monitor.trigger.batch import Place

log = logging.getLogger(__name__)

POLL_SLICE = 0.25
JOIN_SECONDS = 10.0
PROBE_TIMEOUT = 2.0


class Session:
    """A connected consumer: which partitions it has, where each continues, and how far each goes."""

    def __init__(self, consumer: KafkaConsumer, topics: Sequence[str], *, is_static: bool) -> None:
        self.consumer = consumer
        self.next: dict[Partition, int] = {}
        self._ends: dict[Partition, int] = {}
        self._held: set[Partition] = set()
        self._topics = tuple(topics)
        self._is_static = is_static
        self._changes = Changes(consumer)
        if is_static:
            self.assign_all()
        else:
            consumer.subscribe(self._topics, listener=self._changes)
            # Fetches what the cluster has: who joins without knowing the partitions is given none, and joins twice.
            consumer.topics()

    def assign_all(self) -> None:
        """Take every partition that the topics have by now, where nobody shares them with us."""
        if not self._is_static:
            return
        every = {TopicPartition(topic, n) for topic in self._topics for n in self.consumer.partitions_for_topic(topic)}
        if new := every - self.consumer.assignment():
            self.consumer.assign(sorted(every))
            hold(self.consumer, new)

    def release(self) -> None:
        """Begin with the partitions that the last poll reported."""
        self.consumer.resume(*(topic_partition(each) for each in self._held if each in self.next))
        self._held.clear()

    def poll(self, timeout: float) -> tuple[Record, ...]:
        """Wait for records; longer than `timeout` while the group is being joined.

        In slices, because kafka-python would sit out the time with partitions that are held. And not leaving early
        while joining: kafka-python throws away an answer that arrives between two polls and joins anew, so that two
        busy readers could keep each other from ever having partitions.
        """
        deadline = time.monotonic() + timeout
        while not self._has_moved():
            left = deadline - time.monotonic()
            is_joining = self._is_joining() and left > -JOIN_SECONDS
            found = self.consumer.poll(
                timeout_ms=int(1000 * min(POLL_SLICE, POLL_SLICE if is_joining else max(left, 0)))
            )
            if found or (left < 0.001 and not is_joining):
                return tuple(received(each) for batch in found.values() for each in batch)
        return ()

    def _has_moved(self) -> bool:
        """Return whether `moved` has something to tell."""
        return self._changes.are_waiting or {Partition(*each) for each in self.consumer.assignment()} != set(self.next)

    def _is_joining(self) -> bool:
        """Return whether the group is sharing out its partitions just now.

        A join that kafka-python 3.0.12 began because a topic's partitions changed, and that outlives one of its polls,
        is never finished: it forgets that it wants to join, and the member stays without partitions and heartbeats.
        So it is reminded; nothing public does that without leaving the group.
        """
        if self._is_static or self.consumer.group_metadata().state != MemberState.REBALANCING:
            return False
        if not self.consumer._coordinator.need_rejoin():  # noqa: SLF001
            self.consumer._coordinator.request_rejoin()  # noqa: SLF001
        return True

    def moved(self) -> tuple[frozenset[Partition], frozenset[Partition]]:
        """Return what was assigned and what was revoked since the last call.

        Kafka's eager protocol takes everything and gives most of it back. What came back in the same breath was in
        nobody else's hands, so it continues where it was and is not reported.
        """
        has_moved, lost = self._changes.take()
        now = {Partition(*each) for each in self.consumer.assignment()}
        revoked = {each for each in self.next if each not in now or each in lost}
        for each in revoked:
            del self.next[each]
        if has_moved:
            for each, offset in self.next.items():
                self.go(each, offset)
                self.consumer.resume(topic_partition(each))
        return frozenset(self._begin(now - set(self.next))), frozenset(revoked)

    def _begin(self, new: set[Partition]) -> set[Partition]:
        """Put new partitions at their oldest record, held; none where the broker does not tell (asked again later)."""
        if not new:
            return set()
        try:
            starts = self.consumer.beginning_offsets([topic_partition(each) for each in new], timeout_ms=5000)
        except errors.RetriableError as error:
            log.info("the begin of %s is not known yet: %s", sorted(new), error)
            return set()
        for each in new:
            self.go(each, starts[topic_partition(each)])
        self._held |= new
        return new

    def go(self, partition: Partition, offset: int) -> None:
        """Continue a partition at `offset`."""
        self.consumer.seek(topic_partition(partition), offset)
        self.next[partition] = offset

    def lag(self) -> dict[Partition, int]:
        """Return how many records wait on each partition, from what the broker said last."""
        lag = {}
        for partition, at in list(self.next.items()):
            named = topic_partition(partition)
            known = self.consumer.highwater(named) if named in self.consumer.assignment() else None
            lag[partition] = max(0, max(known or 0, self._ends.get(partition, 0)) - at)
        return lag

    def probe(self) -> None:
        """Ask the broker how far the partitions go; raises a KafkaError where it does not answer."""
        self.assign_all()
        partitions = [topic_partition(each) for each in self.next]
        found = self.consumer.end_offsets(partitions, timeout_ms=int(PROBE_TIMEOUT * 1000))
        self._ends = {Partition(*each): end for each, end in found.items()}
        for each in partitions:
            # Transaction markers and compacted records take offsets that nobody is ever given.
            position = self.consumer.position(each, timeout_ms=100)
            self.next[Partition(*each)] = max(position or 0, self.next[Partition(*each)])

    def pass_over(self, error: Exception) -> Record | None:
        """Step over a record that cannot be unpacked, and return an empty one in its place; None where it is no record.

        kafka-python would stay at it for ever. Its own field tells which partition it was at; the version is pinned,
        and a test with a real broker watches this. Records behind it in the same Kafka batch are lost with it, one by
        one and each reported.
        """
        # The field is private, but the exception does not say where it happened.
        part = self.consumer._fetcher._next_partition_records  # noqa: SLF001
        if part is None or Partition(*part.topic_partition) not in self.next:
            return None
        partition = Partition(*part.topic_partition)
        place = Place(*partition, max(part.next_fetch_offset, self.next[partition]))
        self.go(partition, place.offset + 1)
        detail = f"{type(error).__name__}: {error}".encode("ascii", "backslashreplace")[:200]
        return Record(place, time.time(), b"", ((UNREADABLE, detail),))
