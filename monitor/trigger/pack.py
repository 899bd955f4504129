"""One canonical byte form for numbers and names: equal content gives equal bytes on every machine.

State, summaries and books are stored and sent in it. Pickle would tie them to a Python version and run code on load;
`npz` carries time stamps.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"TWP1"
_LENGTH = struct.Struct("<Q")


class Unreadable(ValueError):
    """Bytes that `pack` did not write, or that were cut or changed since."""


def pack(names: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return `names` (JSON values) and `arrays` (any shape, plain numeric types) as bytes; keys are sorted."""
    ordered = {key: np.ascontiguousarray(arrays[key]) for key in sorted(arrays)}
    little = {key: value.astype(value.dtype.newbyteorder("<"), copy=False) for key, value in ordered.items()}
    index = [[key, value.dtype.str, list(value.shape)] for key, value in little.items()]
    head = json.dumps([dict(names), index], sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    return b"".join([MAGIC, _LENGTH.pack(len(head)), head, *(value.tobytes() for value in little.values())])


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what `pack` was given; arrays are writable copies. Raises `Unreadable` that says what is wrong."""
    start = len(MAGIC) + _LENGTH.size
    if len(content) < start or content[: len(MAGIC)] != MAGIC:
        raise Unreadable(f"not a packed value: it starts with {content[:4]!r}, not with {MAGIC!r}")
    (length,) = _LENGTH.unpack_from(content, len(MAGIC))
    try:
        names, index = json.loads(content[start : start + length])
        return names, _arrays(content, start + length, index)
    except (ValueError, TypeError, KeyError) as error:
        raise Unreadable(f"a packed value of {len(content)} bytes is damaged: {error}") from error


def _arrays(content: bytes, offset: int, index: list[tuple[str, str, list[int]]]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for key, kind, shape in index:
        dtype = np.dtype(kind)
        if dtype.hasobject:
            raise Unreadable(f"array {key!r} has type {kind!r}, which is not a plain number")
        count = int(np.prod(shape, dtype=np.int64))
        arrays[key] = np.frombuffer(content, dtype, count, offset).reshape(shape).copy()
        offset += count * dtype.itemsize
    if offset != len(content):
        raise Unreadable(f"{len(content)} bytes were given, {offset} are described")
    return arrays
