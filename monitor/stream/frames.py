"""What lies on a tape, byte for byte, and an index of it.

A tape is a magic line and then frames: length (uint32), CRC-32 of the body (uint32), body. A body is either a topic
with its number of partitions or a record. Frames are only ever added. A writer that was killed leaves at most one
incomplete frame at the end: readers ignore it and say so, the next writer cuts it off. Damage anywhere else is refused.
All numbers are little-endian.
"""

from __future__ import annotations

import os
import struct
import zlib
from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from monitor.stream.record import Record
from monitor.stream.transport import Partition
from monitor.trigger.batch import Place

MAGIC = b"trigwatch-tape/1\n"
FRAME = struct.Struct("<II")
TOPIC = struct.Struct("<cHI")  # kind, length of the name, partitions
# kind, length of topic, partition, offset, timestamp, length of key (-1: none), number of headers, length of value
RECORD = struct.Struct("<cHiqdiHI")
HEADER = struct.Struct("<HI")  # length of key, length of value
IS_TOPIC, IS_RECORD = b"T", b"R"
LARGEST_FRAME = 2**30
LONGEST_HEAD = RECORD.size + 2**10  # enough for a head and the name of a topic


class Damaged(ValueError):
    """A tape that cannot be read, and where."""


@dataclass(slots=True)
class Track:
    """Where the records of one partition lie: offsets, and the positions of their frames."""

    offsets: array[int] = field(default_factory=lambda: array("q"))
    positions: array[int] = field(default_factory=lambda: array("q"))

    @property
    def end(self) -> int:
        """The offset that the next record will have."""
        return self.offsets[-1] + 1 if self.offsets else 0


class Index:
    """Which frame lies where in a tape that may still grow; reads the heads of frames only."""

    def __init__(self, file: IO[bytes], path: Path) -> None:
        self._file = file
        self._path = path
        self.topics: dict[str, int] = {}
        self.tracks: dict[Partition, Track] = {}
        self.end = 0
        self.torn = 0

    def extend(self) -> None:
        """Take note of what was added since the last time."""
        size = os.fstat(self._file.fileno()).st_size
        if size < self.end:
            raise Damaged(f"{self._path} became shorter while it was read: {size} bytes, {self.end} were read")
        if self.end == 0:
            self._file.seek(0)
            magic = self._file.read(len(MAGIC))
            if not MAGIC.startswith(magic):
                raise Damaged(f"{self._path} is not a tape: it starts with {magic!r}, not with {MAGIC!r}")
            self.end = len(MAGIC) if magic == MAGIC else 0
        while self.end and (length := self._next_length(size)):
            self._note(self.end)
            self.end += FRAME.size + length
        self.torn = size - self.end

    def _next_length(self, size: int) -> int:
        """Return the length of the next body, or 0 where the frame is not whole."""
        self._file.seek(self.end)
        head = self._file.read(FRAME.size)
        if len(head) < FRAME.size:
            return 0
        length, checksum = FRAME.unpack(head)
        left = size - self.end - FRAME.size
        if not 0 < length <= min(LARGEST_FRAME, left):
            return 0
        # After a power cut the last frame can have its length and lack its content.
        if length == left and zlib.crc32(self._file.read(length)) != checksum:
            return 0
        return int(length)

    def _note(self, position: int) -> None:
        self._file.seek(position + FRAME.size)
        head = self._file.read(LONGEST_HEAD)
        try:
            if head[:1] == IS_TOPIC:
                _, length, partitions = TOPIC.unpack_from(head)
                self._open_tracks(head[TOPIC.size : TOPIC.size + length].decode(), partitions)
                return
            kind, length, partition, offset, *_ = RECORD.unpack_from(head)
            track = self.tracks[Partition(head[RECORD.size : RECORD.size + length].decode(), partition)]
        except (struct.error, ValueError, KeyError) as error:
            raise Damaged(f"{self._path}: no frame begins at byte {position} ({error})") from error
        if kind != IS_RECORD or offset < track.end:
            raise Damaged(f"{self._path}: the frame at byte {position} is of kind {kind!r} with offset {offset}")
        track.offsets.append(offset)
        track.positions.append(position)

    def _open_tracks(self, topic: str, partitions: int) -> None:
        self.topics[topic] = partitions
        for number in range(partitions):
            self.tracks.setdefault(Partition(topic, number), Track())


def framed(body: bytes) -> bytes:
    """Return a whole frame around `body`."""
    return FRAME.pack(len(body), zlib.crc32(body)) + body


def topic_body(topic: str, partitions: int) -> bytes:
    """Return the body that declares a topic."""
    name = topic.encode()
    return TOPIC.pack(IS_TOPIC, len(name), partitions) + name


def record_body(record: Record) -> bytes:
    """Return the body that holds a record."""
    topic, key = record.place.topic.encode(), record.key
    length = -1 if key is None else len(key)
    place, stamp = record.place, record.timestamp
    head = RECORD.pack(
        IS_RECORD, len(topic), place.partition, place.offset, stamp, length, len(record.headers), len(record.value)
    )
    # Whatever a transport delivered as a name is kept, lone surrogates too: a recording is no place to judge.
    headers = [(name.encode("utf-8", "surrogatepass"), value) for name, value in record.headers]
    flat = b"".join(HEADER.pack(len(name), len(value)) + name + value for name, value in headers)
    return b"".join([head, topic, key or b"", flat, record.value])


def record(body: bytes) -> Record:
    """Return what `record_body` wrote."""
    _, topic_length, partition, offset, timestamp, key_length, count, value_length = RECORD.unpack_from(body)
    cursor = RECORD.size
    topic, cursor = body[cursor : cursor + topic_length].decode(), cursor + topic_length
    key = None if key_length < 0 else body[cursor : cursor + key_length]
    cursor += max(0, key_length)
    headers = []
    for _ in range(count):
        name_length, length = HEADER.unpack_from(body, cursor)
        middle = cursor + HEADER.size + name_length
        name = body[cursor + HEADER.size : middle].decode("utf-8", "surrogatepass")
        headers.append((name, body[middle : middle + length]))
        cursor = middle + length
    value = body[cursor : cursor + value_length]
    return Record(Place(topic, partition, offset), timestamp, value, tuple(headers), key)


def read_record(file: IO[bytes], position: int, path: Path) -> Record:
    """Return the record of the frame at `position`; raises `Damaged` where its checksum is wrong."""
    file.seek(position)
    length, checksum = FRAME.unpack(file.read(FRAME.size))
    body = file.read(length)
    if zlib.crc32(body) != checksum:
        raise Damaged(f"{path}: the {length} bytes behind byte {position} are not what was written")
    return record(body)
