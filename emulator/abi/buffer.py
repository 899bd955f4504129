"""The memory that an emulator reads its inputs from or writes its result to, and the raw integers in it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.abi.cpptype import MOST_ELEMENTS, CppType, NotSupported, leaves
from emulator.formats import Format, Raw
from emulator.graph.tensor import Tensor


@dataclass(frozen=True, slots=True)
class Buffer:
    """What the pointer in the `std::any` points to.

    Attributes
    ----------
    name
        "input" or "output": for messages, and for a buffer of one field.
    kind, length
        The type pointed to, and how many of them lie one behind the other.
    columns
        The fields that are raw columns, in this order ("second", "first"); empty for all of them in the order of
        memory.
    recorded
        The format of the integers that the trigger records, where it is not the type's own: the value is the same.
    """

    name: str
    kind: CppType
    length: int = 1
    columns: tuple[str, ...] = ()
    recorded: Format | None = None

    def __post_init__(self) -> None:
        if not 0 < self.length <= MOST_ELEMENTS:
            raise NotSupported(f"the {self.name} has 1 to {MOST_ELEMENTS} elements, not {self.length}")
        known = self.fields
        for column in self.columns:
            if column not in known:
                raise NotSupported(f"the {self.name} has no field {column!r}, only {', '.join(known)}")
        if len(set(self.columns)) < len(self.columns):
            raise NotSupported(f"a column of the {self.name} is named twice: {', '.join(self.columns)}")
        if self.recorded is not None and len(self._chosen()) > 1:
            raise NotSupported(f"`recorded` gives one format, but the {self.name} has several fields: leave it out")

    @property
    def bytes(self) -> int:
        """Bytes of one event."""
        return self.kind.dtype.itemsize * self.length

    @property
    def tensors(self) -> tuple[Tensor, ...]:
        """The raw columns, field by field."""
        one = np.zeros((1, self.bytes), np.uint8)
        return tuple(
            Tensor(path or self.name, (self._view(one, path).size,), self.recorded or stored)
            for path, stored in self._chosen()
        )

    @property
    def fields(self) -> tuple[str, ...]:
        """The paths of all fields in the order of memory, "" for a buffer of one scalar type."""
        return tuple(path for path, _ in leaves(self.kind))

    @property
    def stored_formats(self) -> tuple[Format, ...]:
        """The format of the stored integers, tensor by tensor."""
        return tuple(stored for _, stored in self._chosen())

    @property
    def written(self) -> NDArray[np.bool_]:
        """Which of the bytes of one event belong to a value; the others are padding."""
        one = np.zeros((1, self.bytes), np.uint8)
        for path in self.fields:
            view = self._view(one, path)
            view[...] = np.invert(np.zeros((), view.dtype))
        return np.asarray(one[0] != 0)

    def store(self, raw: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Return bytes uint8 (n, bytes) of raw columns (n, k), each of which its format can hold."""
        stored, column = np.zeros((len(raw), self.bytes), np.uint8), 0
        for path, form in self._chosen():
            view = self._view(stored, path)
            size = math.prod(view.shape[1:])
            view[...] = (raw[:, column : column + size] << max(0, self._shift(form))).reshape(view.shape)
            column += size
        return stored

    def raw(self, stored: NDArray[np.uint8]) -> Raw:
        """Return raw columns int64 (n, k) of bytes (n, bytes)."""
        parts = []
        for path, form in self._chosen():
            view = self._view(stored, path)
            columns = view.reshape(len(stored), math.prod(view.shape[1:])).astype(np.int64)
            parts.append(columns << max(0, -self._shift(form)))
        return parts[0] if len(parts) == 1 else np.hstack(parts)

    def _chosen(self) -> list[tuple[str, Format]]:
        every = dict(leaves(self.kind))
        return [(path, every[path]) for path in self.columns or every]

    def _view(self, stored: NDArray[np.uint8], path: str) -> NDArray[np.integer]:
        """Return the field `path` of bytes (n, bytes), (n, 1, length, …), to be read or written in place."""
        event = np.dtype([("elements", self.kind.dtype, (self.length,))])
        view: NDArray[Any] = stored.view(event)["elements"]
        for name in path.split(".") if path else ():
            view = view[name]
        return view

    def _shift(self, stored: Format) -> int:
        """Return how many fraction bits the stored integers have more than the recorded ones."""
        return stored.fraction - self.recorded.fraction if self.recorded else 0
