"""Layers that treat every element alone, and softmax. Tables are raw integers, so no result depends on a libm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from emulator.formats import Format, Overflow, Raw, Rounding
from emulator.graph.tensor import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Cast:
    """The value itself in another format: linear and quantised-linear activations."""

    name: str
    sources: tuple[str, ...]
    output: Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Quantiser:
    """Element i cast to a format of its own, then to the output's: HGQ2's heterogeneous quantisers.

    Attributes
    ----------
    signed, width, integer
        (elements,): 0 or 1, number of bits, bits left of the point; `width` 0 gives 0 whatever the element is.
    rounding, overflow
        Of the elements' formats, as `Rounding` and `Overflow` name them.
    """

    name: str
    sources: tuple[str, ...]
    output: Tensor
    signed: Raw
    width: Raw
    integer: Raw
    rounding: str
    overflow: str

    def groups(self) -> dict[Format | None, Raw]:
        """Return the elements of every format, None for those that are 0."""
        rows = np.stack([self.signed, self.width, self.integer], axis=1)
        found: dict[Format | None, Raw] = {}
        for row in np.unique(rows, axis=0).tolist():
            signed, width, integer = row
            key = (
                Format(bool(signed), width, integer, Rounding(self.rounding), Overflow(self.overflow))
                if width
                else None
            )
            ours = np.flatnonzero((rows == row).all(axis=1))
            found[key] = np.concatenate([found[key], ours]) if key in found else ours
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Rectifier:
    """x above `threshold`, x·slope otherwise, at most `ceiling`: the relu family.

    `slope` has one raw value, or one for every element; `ceiling` is a whole number (6 for relu6) or None.
    """

    name: str
    sources: tuple[str, ...]
    output: Tensor
    threshold: int
    threshold_format: Format
    slope: Raw
    slope_format: Format
    ceiling: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """table[trunc(x·len(table) / span) + len(table)//2], index kept inside: sigmoid, tanh, softplus, softsign."""

    name: str
    sources: tuple[str, ...]
    output: Tensor
    table: Raw
    table_format: Format
    span: int


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """x·above for x >= 0; below·table[trunc(-x·len(table) / span)], index kept inside, for x < 0: elu and selu."""

    name: str
    sources: tuple[str, ...]
    output: Tensor
    table: Raw
    table_format: Format
    span: int
    above: int
    above_format: Format
    below: int
    below_format: Format


@dataclass(frozen=True, slots=True, eq=False)
class Hard:
    """s = min(max(slope·x + shift, 0), 1); the result is s, or 2s-1 if `symmetric`: hard sigmoid and hard tanh."""

    name: str
    sources: tuple[str, ...]
    output: Tensor
    slope: int
    slope_format: Format
    shift: int
    shift_format: Format
    symmetric: bool


@dataclass(frozen=True, slots=True, eq=False)
class Sign:
    """Binary tanh: +1 from 0 upwards, else -1 (`levels` 2; 0 instead of -1 into an ap_uint<1>).

    Ternary tanh: +1 above 1/2, -1 from -1/2 downwards, else 0 (`levels` 3); 2x is first cast to the source's format.
    """

    name: str
    sources: tuple[str, ...]
    output: Tensor
    levels: int


@dataclass(frozen=True, slots=True, eq=False)
class Softmax:
    """Softmax over `slices` elements that are `inner` apart, `outer` times; as csim does it, step by step.

    Attributes
    ----------
    method
        "stable", "latency", "legacy" or "argmax".
    exp_table, inv_table
        Raw integers, as many as a power of two; the index is the top bits of `norm_format` (or the input's format) and
        of `sum_format`. Legacy looks up differences in -8..8 and sums in 0..64 instead.
    norm_format
        Format of max - x (stable); None elsewhere.
    accumulator, sum_format
        Format of the exponentials and their tree of sums; format of the whole sum when it is looked up.
    """

    name: str
    sources: tuple[str, ...]
    output: Tensor
    method: str
    outer: int
    slices: int
    inner: int
    exp_table: Raw
    exp_format: Format
    inv_table: Raw
    inv_format: Format
    norm_format: Format | None
    accumulator: Format
    sum_format: Format
