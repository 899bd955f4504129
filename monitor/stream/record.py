"""One record as it lies on a partition, before anybody has read it."""

from __future__ import annotations

from dataclasses import dataclass, field

from monitor.trigger.batch import Place

Headers = tuple[tuple[str, bytes], ...]

# The header of the empty record that a transport delivers in the place of one that it could not unpack; says why.
UNREADABLE = "unreadable"


@dataclass(frozen=True, slots=True)
class Record:
    """The exact bytes of a record and where it stands; `timestamp` in seconds since the epoch."""

    place: Place
    timestamp: float
    value: bytes
    headers: Headers = ()
    key: bytes | None = None


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A record to be written; the transport chooses the offset, and the partition too where it is None."""

    topic: str
    value: bytes
    headers: Headers = ()
    key: bytes | None = None
    partition: int | None = None
    timestamp: float | None = field(default=None)
