"""Readers that treat a source as the daemon does, several at a time."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from monitor.stream.transport import Partition, Source

PATIENCE = 30.0


@dataclass
class Reader:
    """A member as the daemon is one: it forgets what is revoked and seeks to the offsets of a shared database."""

    source: Source
    database: dict[Partition, int]
    mine: set[Partition] = field(default_factory=set)
    read: list[tuple[int, int]] = field(default_factory=list)
    revocations: int = 0

    def step(self, timeout: float = 0.2) -> None:
        polled = self.source.poll(timeout=timeout)
        self.revocations += len(polled.revoked)
        self.mine = (self.mine - polled.revoked) | polled.assigned
        self.source.seek({each: self.database[each] for each in polled.assigned if each in self.database})
        for record in polled.records:
            partition = Partition(record.place.topic, record.place.partition)
            assert partition in self.mine
            self.read.append((partition.partition, record.place.offset))
            self.database[partition] = record.place.offset + 1
        self.source.commit({each: self.database[each] for each in self.mine if each in self.database})


def until(condition: Callable[[], bool], *readers: Reader) -> None:
    """Let all readers take steps, each in a thread of its own, until the condition holds.

    In threads, because a group shares out its partitions only when all of its members poll.
    """
    deadline = time.monotonic() + PATIENCE
    waiting = set(map(id, readers))

    def run(reader: Reader) -> None:
        # Who is content goes on polling until all are: another may be waiting for it in a rebalance.
        while waiting and time.monotonic() < deadline:
            reader.step()
            if condition():
                waiting.discard(id(reader))

    with ThreadPoolExecutor(len(readers)) as threads:
        list(threads.map(run, readers))
    assert not waiting, [(sorted(each.mine), len(each.read)) for each in readers]
