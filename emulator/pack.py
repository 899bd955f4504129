"""One canonical byte form of names and arrays: equal content gives equal bytes on every machine.

A card's program and golden vectors are kept in it, and its digest is taken over it. `npz` carries time stamps, pickle
runs code.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

MAGIC = b"TWE1"
_KINDS = frozenset(("|b1", "|i1", "|u1", *(f"<{kind}{size}" for kind in "iuf" for size in (2, 4, 8))))
_LENGTH = struct.Struct("<Q")


class Unreadable(ValueError):
    """Bytes that `pack` did not write, or that were cut or changed since."""


def pack(names: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> bytes:
    """Return `names` (JSON values) and `arrays` (plain numbers of any shape) as bytes; keys are sorted."""
    little = {
        key: np.ascontiguousarray(arrays[key], arrays[key].dtype.newbyteorder("<")).reshape(arrays[key].shape)
        for key in sorted(arrays)
    }
    index = [[key, value.dtype.str, list(value.shape)] for key, value in little.items()]
    head = canonical([dict(names), index])
    return b"".join([MAGIC, _LENGTH.pack(len(head)), head, *(value.tobytes() for value in little.values())])


def unpack(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Return what `pack` was given; arrays are writable copies. Raises `Unreadable` that says what is wrong."""
    start = len(MAGIC) + _LENGTH.size
    if len(content) < start or content[: len(MAGIC)] != MAGIC:
        raise Unreadable(f"not a packed value: it starts with {content[:4]!r}, not with {MAGIC!r}")
    (length,) = _LENGTH.unpack_from(content, len(MAGIC))
    if length > len(content) - start:
        raise Unreadable(f"its head should have {length} bytes, only {len(content) - start} are there: it was cut")
    try:
        names, index = json.loads(content[start : start + length])
        return dict(names), _arrays(content, offset=start + length, index=index)
    except Unreadable:
        raise
    except (ValueError, TypeError, KeyError, RecursionError, OverflowError) as error:
        raise Unreadable(
            f"a packed value of {len(content)} bytes is damaged: its head does not say what it holds"
        ) from error


def canonical(value: Any) -> bytes:
    """Return JSON with sorted keys, no spaces, UTF-8: equal values give equal bytes."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def _arrays(content: bytes, *, offset: int, index: list[tuple[str, str, list[int]]]) -> dict[str, NDArray[Any]]:
    arrays: dict[str, NDArray[Any]] = {}
    for key, kind, shape in index:
        if kind not in _KINDS:
            raise Unreadable(f"array {key!r} has type {kind!r}, which is not a plain number")
        dtype = np.dtype(kind)
        count = 1
        for size in shape:
            if size < 0:
                raise Unreadable(f"array {key!r} has shape {shape}, which no array has")
            count *= size
        if count * dtype.itemsize > len(content) - offset:
            raise Unreadable(
                f"{len(content)} bytes were given, at least {offset + count * dtype.itemsize} are described"
            )
        arrays[key] = np.frombuffer(content, dtype, count, offset).reshape(shape).copy()
        offset += count * dtype.itemsize
    if offset != len(content):
        raise Unreadable(f"{len(content)} bytes were given, {offset} are described")
    return arrays
