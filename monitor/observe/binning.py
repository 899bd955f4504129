"""Integer binnings: which raw value falls into which bin, decided once and the same on every machine."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.layout import Axis

BINS = 96
"""Bins of every input histogram; bin `BINS` (one more) counts the events whose object is absent."""

STEPS = 4
SIGNED_HALF = (BINS - 2) // 2
SCORE_HALF = 36 * STEPS
SCORE_BINS = 2 * SCORE_HALF + 1

ETA_CELLS = 16
PHI_CELLS = 18

_MANTISSA, _EXPONENT_BIAS = 52, 1023  # of an IEEE 754 float of 64 bits


def magnitude_bin(value: NDArray[np.int64], *, steps: int, last: int) -> NDArray[np.int64]:
    """Return log-like bins of non-negative integers: 0 -> 0, else `steps` linear steps an octave; bin `last` is open.

    An integer m = 2^e (1 + f) falls into 1 + steps*e + floor(steps*f): no logarithm is taken, so no rounding can differ
    between machines. `steps` is a power of two: e and the top bits of f then stand in front of a float's other bits.
    """
    dropped = _MANTISSA - (steps.bit_length() - 1)
    front = value.astype(np.float64).view(np.int64) >> dropped
    bins: NDArray[np.int64] = front + (1 - steps * _EXPONENT_BIAS)
    return np.minimum(np.maximum(bins, 0), last)  # np.clip looks at its limits for longer than this takes


def magnitude_edge(bins: NDArray[np.int64], *, steps: int) -> NDArray[np.float64]:
    """Return the lower edge of the bins of `magnitude_bin`, in raw units; bin 0 starts at 0."""
    octave, step = np.divmod(np.maximum(bins - 1, 0), steps)
    return np.where(bins > 0, np.exp2(octave.astype(np.float64)) * (1 + step / steps), 0.0)


def score_bin(score: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the bin of raw scores in [0, SCORE_BINS): log-like on the magnitude, negative values mirrored."""
    size = magnitude_bin(np.abs(score), steps=STEPS, last=SCORE_HALF)
    return SCORE_HALF + np.where(score < 0, -size, size)


def score_edges() -> NDArray[np.float64]:
    """Return the SCORE_BINS + 1 edges of `score_bin` in raw units; the middle bin holds exactly 0."""
    upper = magnitude_edge(np.arange(1, SCORE_HALF + 2), steps=STEPS)
    return np.concatenate([-upper[::-1], upper])


@dataclass(frozen=True, slots=True)
class Binning:
    """The bins of one input.

    Attributes
    ----------
    kind
        "magnitude" (log-like, for a pt), "linear" (equal integer widths, for eta and phi) or "signed" (unknown input).
    low, width, period
        Linear only: first raw value, raw values per bin, and the period of an angle (0 if it does not wrap).
    """

    kind: str
    low: int = 0
    width: int = 1
    period: int = 0

    @classmethod
    def of(cls, axis: Axis) -> Binning:
        """Return the binning of an axis: angles and positions linear, a positive scale log-like."""
        if axis.low >= 0 and not axis.periodic:
            return cls("magnitude")
        span = axis.high - axis.low
        return cls("linear", axis.low, max(1, -(-span // BINS)), span if axis.periodic else 0)

    def bins(self, raw: NDArray[np.int64]) -> NDArray[np.uint8]:
        """Return the bin of every raw value, in [0, BINS)."""
        if self.kind == "magnitude":
            return magnitude_bin(np.maximum(raw, 0), steps=STEPS, last=BINS - 1).astype(np.uint8)
        if self.kind == "signed":
            size = magnitude_bin(np.abs(raw), steps=STEPS // 2, last=SIGNED_HALF)
            return (SIGNED_HALF + np.where(raw < 0, -size, size)).astype(np.uint8)
        offset = raw - self.low
        offset = offset % self.period if self.period else offset
        return np.clip(offset // self.width, 0, BINS - 1).astype(np.uint8)

    def edges(self) -> NDArray[np.float64]:
        """Return the BINS + 1 bin edges in raw units."""
        if self.kind == "magnitude":
            return magnitude_edge(np.arange(BINS + 1), steps=STEPS)
        if self.kind == "linear":
            return self.low + self.width * np.arange(BINS + 1, dtype=np.float64)
        upper = magnitude_edge(np.arange(1, SIGNED_HALF + 3), steps=STEPS // 2)
        return np.concatenate([-upper[-2::-1], upper])


def cells(axis: Axis, count: int, raw: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the coarse cell of raw values on `axis`, in [0, count): equal shares of its domain."""
    span = axis.high - axis.low
    offset = raw - axis.low
    offset = offset % span if axis.periodic else np.clip(offset, 0, span - 1)
    return offset * count // span


def cell_edges(axis: Axis, count: int) -> NDArray[np.float64]:
    """Return the count + 1 physical edges of `cells`."""
    return axis.lsb * (axis.low + (axis.high - axis.low) * np.arange(count + 1) / count)
