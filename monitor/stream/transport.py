"""What every transport can do; one contract suite is run on each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from monitor.stream.record import Outgoing, Record


class Partition(NamedTuple):
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Polled:
    """What one poll brought.

    `assigned` and `revoked` say how the set of this reader's partitions changed since the last poll (a static
    assignment reports all of its partitions once, at the first poll). Revoked partitions must be forgotten *before*
    `records` are looked at; for newly assigned ones `seek` is called with the database's offsets before their first
    record is delivered, so a poll that reports assignments carries no records of them.
    """

    records: tuple[Record, ...] = ()
    assigned: frozenset[Partition] = frozenset()
    revoked: frozenset[Partition] = frozenset()


@dataclass(frozen=True, slots=True)
class Health:
    """What a reader knows about its own supply; ages in seconds.

    A dead broker raises nothing and polls come back empty, so the age of the last successful fetch, lag without
    progress and reachability are asked for explicitly.
    """

    reachable: bool
    last_fetch_age: float
    lag: Mapping[Partition, int]
    detail: str = ""


class Source(Protocol):
    """A reader of partitions in offset order."""

    def poll(self, *, timeout: float) -> Polled:
        """Return what arrived within `timeout` seconds, possibly nothing; per partition in offset order."""
        ...

    def seek(self, offsets: Mapping[Partition, int]) -> None:
        """Continue at these offsets (the next record to be delivered has that offset)."""
        ...

    def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Tell lag tools how far we are. Advisory: the database's offsets are the truth."""
        ...

    def partitions(self, topic: str) -> frozenset[Partition]:
        """Return all partitions that the topic has, assigned to this reader or not."""
        ...

    def health(self) -> Health:
        """Return what is known about the supply, without blocking."""
        ...

    def close(self) -> None:
        """Leave the group and let go of everything; idempotent."""
        ...


class Sink(Protocol):
    """A writer of records."""

    def send(self, records: Sequence[Outgoing]) -> None:
        """Hand records over; returns when all are durable, raises `Undelivered` where one could not be."""
        ...

    def close(self) -> None:
        """Flush and let go of everything; idempotent."""
        ...


class Refused(Exception):
    """The other side will not serve us (rights, credentials, settings): no retry mends it, a person must."""


class Undelivered(Exception):
    """A record could not be made durable now; the outbox keeps it and the loop tries again."""
