"""Counting inputs as machine code: what `counting.cpp` does, called with numpy's arrays."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import astuple, dataclass, fields
from importlib import resources
from typing import Any

import numpy as np
from numpy.typing import NDArray

UNIT = "counting.cpp"
TYPES = ("int16", "int32")
COUNTED = ("inputs", "towers", "paired", "pairs", "sums", "products")


def source() -> bytes:
    """Return the C++; whoever composes the house compiles it, for nothing in this room starts a compiler."""
    return (resources.files(__package__) / UNIT).read_bytes()


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What is counted of which input, in the order of the C++ structure.

    Attributes
    ----------
    table : uint32
        Bin, and above it share of a cell, of every kind of input and 16-bit word.
    table_of : int64 (inputs,)
        Where the table of an input's kind begins.
    first_of : int32 (inputs,)
        The input that is 0 where this one's object is absent; -1 without objects.
    firsts : int32 (objects,)
        First input of every object.
    groups : int64 (groups, 2)
        Objects of every group: from, to.
    maps : int64 (mapped objects, 3)
        Inputs that give eta, phi and presence.
    map_cells : int64 (mapped objects,)
        First cell of the object's grid.
    plain : int32
        Inputs that serve as features where there are no objects.
    paired : int32
        Inputs of which all products are summed.
    nothing : uint8 (inputs,)
        Bin of an input that is 0: what an object that is absent counts as in a product.
    """

    table: NDArray[np.uint32]
    table_of: NDArray[np.int64]
    first_of: NDArray[np.int32]
    firsts: NDArray[np.int32]
    groups: NDArray[np.int64]
    maps: NDArray[np.int64]
    map_cells: NDArray[np.int64]
    plain: NDArray[np.int32]
    paired: NDArray[np.int32]
    nothing: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How values are binned: bins of a histogram, bits of a bin in the table, steps an octave, last bin of a sum.

    `block` is the number of events of which products are summed at once: a multiple of 64.
    """

    bins: int
    bin_bits: int
    steps: int
    sum_last: int
    block: int


_ARRAYS = tuple(field.name for field in fields(Plan))
_SIZES = tuple(field.name for field in fields(Sizes))
_LENGTHS = ("inputs", "n_groups", "n_maps", "n_plain", "n_paired", "features")


class _Plan(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in _ARRAYS] + [(n, ctypes.c_int64) for n in (*_SIZES, *_LENGTHS)]


class _Counts(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in COUNTED]


class Kernel:
    """One plan, ready to be counted by a compiled library."""

    def __init__(self, library: ctypes.CDLL, plan: Plan, sizes: Sizes) -> None:
        """Take the library of `source()`, and what to count; raises ValueError where arrays are not contiguous."""
        self._keep = plan  # the structure holds addresses only
        arrays = [getattr(plan, name) for name in _ARRAYS]
        if not all(array.flags.c_contiguous for array in arrays):
            raise ValueError("a plan's arrays must be contiguous: the compiled code reads them by address")
        alone = int((np.diff(plan.groups, axis=1) == 1).sum())  # a single object has one feature, several have three
        features = 3 * len(plan.groups) - 2 * alone + len(plan.plain) + 1  # and the score
        self._inputs, paired = len(plan.table_of), len(plan.paired)
        self._shapes = {
            "inputs": (self._inputs, sizes.bins + 1),
            "paired": (paired,),
            "pairs": (paired * (paired + 1) // 2,),
            "sums": (features,),
            "products": (features, features),
        }
        lengths = (self._inputs, len(plan.groups), len(plan.maps), len(plan.plain), paired, features)
        self._plan = _Plan(*(array.ctypes.data for array in arrays), *astuple(sizes), *lengths)
        self._functions = {name: getattr(library, f"trigwatch_count_{name}") for name in TYPES}

    def serves(self, inputs: NDArray[Any]) -> bool:
        """Say whether it counts inputs of this type and width."""
        return inputs.dtype.name in TYPES and inputs.dtype.isnative and inputs.shape[1:] == (self._inputs,)

    def count(self, inputs: NDArray[Any], score: NDArray[np.int64], counts: Mapping[str, NDArray[np.int64]]) -> None:
        """Add raw `inputs` (n, inputs) and their scores' bins `score` (n,) to the `COUNTED` of a summary's counts.

        Raises ValueError where there is not one bin an event, or the arrays of `counts` are not of the plan's shapes:
        the compiled code would read or write beside them.
        """
        if score.shape != (len(inputs),):
            raise ValueError(f"{len(inputs)} events have score bins {score.shape}: give one each")
        for name, shape in self._shapes.items():
            if counts[name].shape != shape or not counts[name].flags.c_contiguous:
                raise ValueError(f"counts of {name} {counts[name].shape} are not contiguous {shape}")
        rows, bins = np.ascontiguousarray(inputs), np.ascontiguousarray(score, np.int16)
        into = _Counts(*(counts[name].ctypes.data for name in COUNTED))
        self._functions[rows.dtype.name](
            ctypes.byref(self._plan),
            ctypes.byref(into),
            ctypes.c_void_p(rows.ctypes.data),
            ctypes.c_void_p(bins.ctypes.data),
            ctypes.c_int64(len(rows)),
        )
