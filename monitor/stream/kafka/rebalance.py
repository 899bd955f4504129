"""What the group does to a reader: partitions come, held, and go."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from kafka import KafkaConsumer
from kafka.consumer.subscription_state import ConsumerRebalanceListener
from kafka.structs import TopicPartition

from monitor.stream.transport import Partition


class Changes(ConsumerRebalanceListener):  # type: ignore[misc]
    """Keeps what the group did to us until the next poll reports it; kafka-python may call from its own thread."""

    def __init__(self, consumer: KafkaConsumer) -> None:
        self._consumer = consumer
        self._lock = threading.Lock()
        self._lost: set[Partition] = set()
        self._moved = False

    def on_partitions_assigned(self, assigned: Iterable[TopicPartition]) -> None:
        """Hold what the group gave us, and note that partitions moved."""
        # Held until poll has told the caller, who then says from which offset to read. The group's committed offsets
        # are kept out of it: they are for lag tools.
        hold(self._consumer, assigned)
        with self._lock:
            self._moved = True

    def on_partitions_revoked(self, revoked: Iterable[TopicPartition]) -> None:
        """Note that partitions moved, where any did."""
        with self._lock:
            self._moved = self._moved or bool(list(revoked))

    def on_partitions_lost(self, lost: Iterable[TopicPartition]) -> None:
        """Note what the group gave to others without asking us."""
        with self._lock:
            self._moved = True
            self._lost |= {Partition(*each) for each in lost}

    @property
    def are_waiting(self) -> bool:
        """Whether there is something to take."""
        return self._moved

    def take(self) -> tuple[bool, set[Partition]]:
        """Return whether anything moved, and what was lost to somebody else meanwhile; forget both."""
        with self._lock:
            moved, lost = self._moved, self._lost
            self._moved, self._lost = False, set()
            return moved, lost


def hold(consumer: KafkaConsumer, partitions: Iterable[TopicPartition]) -> None:
    """Read nothing from these partitions until they are resumed; their position is their oldest record."""
    new = list(partitions)
    consumer.pause(*new)
    if new:  # without arguments it means all of them
        consumer.seek_to_beginning(*new)
