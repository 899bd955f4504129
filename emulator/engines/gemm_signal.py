"""What is known about a tensor while the numpy engine is planned: between which raw values it can lie."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.formats import Format, Integers, cast, limited, rounded
from emulator.graph import NotExact

Step = Callable[[Integers], Integers]
Carrier = type[np.signedinteger[Any]]

_WIDEST = 1 << 62
_INT32 = 1 << 30


@dataclass(frozen=True, slots=True)
class Signal:
    """Raw integers with `fraction` bits right of the point, low <= raw <= high: proven, not observed."""

    low: int
    high: int
    fraction: int

    @classmethod
    def of(cls, fmt: Format) -> Signal:
        """Return everything that a format can hold; SAT_SYM's lowest bit pattern included."""
        return cls(-(1 << (fmt.width - 1)) if fmt.signed else 0, fmt.high, fmt.fraction)

    @property
    def reach(self) -> int:
        """Largest magnitude."""
        return max(abs(self.low), abs(self.high))

    def fits(self, fmt: Format) -> bool:
        """Whether a cast to `fmt` cannot overflow, given the same fraction."""
        return fmt.low <= self.low and self.high <= fmt.high

    def shifted(self, left: int) -> Signal:
        """Return the same values with `left` >= 0 more fraction bits."""
        return Signal(self.low << left, self.high << left, self.fraction + left)

    def united(self, other: Signal) -> Signal:
        """Return what holds both, given the same fraction."""
        return Signal(min(self.low, other.low), max(self.high, other.high), self.fraction)


def carrier(*reaches: int) -> Carrier:
    """Return the narrowest integer type in which sums and shifts of these magnitudes are exact."""
    return np.int32 if max(reaches) < _INT32 else np.int64


def checked(signal: Signal, layer: str) -> Signal:
    """Return the signal; raises NotExact where int64 might not hold it."""
    if signal.reach >= _WIDEST:
        raise NotExact(layer, f"an intermediate value may need {signal.reach.bit_length() + 1} bits, int64 holds 63")
    return signal


def aligned(left: Signal, right: Signal) -> tuple[int, int]:
    """By how many bits to shift each of two signals left, so that their fractions agree."""
    fraction = max(left.fraction, right.fraction)
    return fraction - left.fraction, fraction - right.fraction


def planned_cast(source: Signal, target: Format, layer: str) -> tuple[Step, Signal]:
    """Plan the cast of a signal: no limiting where the range proves that none is needed, int32 where it is enough."""
    checked(source, layer)
    drop = source.fraction - target.fraction
    if drop == 0 and source.fits(target):
        return _unchanged, source
    if drop <= 0:
        return _planned_widening(source, -drop, target)
    ends = rounded(np.array([source.low, source.high]), drop, target.rounding)
    inside = Signal(int(ends[0]), int(ends[1]), target.fraction)
    # The rounding of int32 masks `drop` bits: they must be inside the type.
    kind = carrier(source.reach + 1, target.high) if drop < 31 else np.int64
    if inside.fits(target):
        return lambda raw: rounded(raw.astype(kind, copy=False), drop, target.rounding), inside
    limits = Signal(target.low, target.high, target.fraction)
    narrow = carrier(limits.reach)
    return (
        lambda raw: limited(rounded(raw.astype(kind, copy=False), drop, target.rounding), target).astype(
            narrow, copy=False
        ),
        limits,
    )


def _planned_widening(source: Signal, left: int, target: Format) -> tuple[Step, Signal]:
    wide = source.shifted(left) if left < 64 else None
    if wide is not None and wide.fits(target):
        kind = carrier(wide.reach)
        return lambda raw: raw.astype(kind, copy=False) << left, wide
    kind = carrier(source.reach, target.high)
    if left == 0:
        return lambda raw: limited(raw.astype(kind, copy=False), target), Signal(
            target.low, target.high, target.fraction
        )
    return (
        lambda raw: cast(raw, source.fraction, target),
        Signal(target.low, target.high, target.fraction),
    )


def as_int64(values: Integers) -> NDArray[np.int64]:
    """Return int64, without a copy where it already is."""
    return values.astype(np.int64, copy=False)


def _unchanged(raw: Integers) -> Integers:
    return raw
