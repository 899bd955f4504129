"""What is kept of a record that was rejected: its own bytes, why, and where they came from."""

from __future__ import annotations

import hashlib

from monitor.stream.record import Outgoing, Record
from monitor.trigger.batch import Rejected

ORIGINAL = "original."


def dead_letter(record: Record, rejected: Rejected, *, topic: str) -> Outgoing:
    """Return the record for the dead-letter topic.

    Headers: reason, detail, topic, partition, offset (where the record stood), sha256 (of its value), then the
    record's own headers with `original.` in front of their names. The key and the time stamp are the record's own.
    """
    place = record.place
    said = {
        "reason": rejected.reason.value,
        "detail": rejected.detail,
        "topic": place.topic,
        "partition": str(place.partition),
        "offset": str(place.offset),
        "sha256": hashlib.sha256(record.value).hexdigest(),
    }
    ours = tuple((name, value.encode("utf-8", "backslashreplace")) for name, value in said.items())
    theirs = tuple((_printable(ORIGINAL + name), value) for name, value in record.headers)
    return Outgoing(topic, record.value, ours + theirs, record.key, timestamp=record.timestamp)


def _printable(name: str) -> str:
    # A lone surrogate cannot be sent: as an escape it can.
    return name.encode("utf-8", "backslashreplace").decode()
