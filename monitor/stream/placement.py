"""Which partition a record goes to, where its sender did not say."""

from __future__ import annotations

import zlib
from collections import Counter

from monitor.stream.record import Outgoing
from monitor.stream.transport import Undelivered


class Placement:
    """Equal keys share a partition, in the order of sending; records without a key take turns."""

    def __init__(self) -> None:
        self._turns: Counter[str] = Counter()

    def choose(self, record: Outgoing, *, partitions: int) -> int:
        """Return the partition of `record`; raises `Undelivered` where the topic does not have the one it asks for."""
        if record.partition is not None:
            if not 0 <= record.partition < partitions:
                detail = f"there is no partition {record.partition}; the topic has {partitions}"
                raise Undelivered(f"{record.topic}: {detail}")
            return record.partition
        if record.key is not None:
            return zlib.crc32(record.key) % partitions
        self._turns[record.topic] += 1
        return (self._turns[record.topic] - 1) % partitions
