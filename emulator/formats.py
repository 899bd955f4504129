"""Fixed-point formats, ap_[u]fixed<W,I,Q,O>, on raw integers: exact casts, no floating point inside."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Raw = NDArray[np.int64]
Integers = NDArray[Any]

_SPELLING = re.compile(r"(?:ap_)?(?P<unsigned>u?)(?P<kind>fixed|int)<(?P<arguments>[^<>]*)>")
_WIDEST = 63


class Rounding(StrEnum):
    """What happens to the bits below the last one kept; the names are those of ap_fixed without AP_."""

    TRN = "TRN"
    TRN_ZERO = "TRN_ZERO"
    RND = "RND"
    RND_ZERO = "RND_ZERO"
    RND_INF = "RND_INF"
    RND_MIN_INF = "RND_MIN_INF"
    RND_CONV = "RND_CONV"


class Overflow(StrEnum):
    """What happens to a value beyond the range; the names are those of ap_fixed without AP_."""

    WRAP = "WRAP"
    SAT = "SAT"
    SAT_ZERO = "SAT_ZERO"
    SAT_SYM = "SAT_SYM"


@dataclass(frozen=True, slots=True)
class Format:
    """ap_[u]fixed<width, integer, rounding, overflow>; the value of a raw integer is raw * 2**-fraction.

    Attributes
    ----------
    signed
        True for ap_fixed and ap_int.
    width
        Number of bits, 1 to 63.
    integer
        Bits left of the point, sign included; may be negative or larger than `width`.
    rounding, overflow
        What a cast into this format does.
    """

    signed: bool
    width: int
    integer: int
    rounding: Rounding = Rounding.TRN
    overflow: Overflow = Overflow.WRAP

    def __post_init__(self) -> None:
        if not 1 <= self.width <= _WIDEST:
            raise ValueError(f"a format of {self.width} bits is not supported: raw integers have 1 to {_WIDEST} bits")
        object.__setattr__(self, "rounding", Rounding(self.rounding))
        object.__setattr__(self, "overflow", Overflow(self.overflow))

    def __str__(self) -> str:
        """Return the C++ spelling that `parse` reads back."""
        modes = f"AP_{self.rounding},AP_{self.overflow}"
        return f"ap_{'' if self.signed else 'u'}fixed<{self.width},{self.integer},{modes}>"

    @property
    def fraction(self) -> int:
        """Bits right of the point; may be negative."""
        return self.width - self.integer

    @property
    def low(self) -> int:
        """Smallest raw value that a cast can produce."""
        if not self.signed:
            return 0
        return -(1 << (self.width - 1)) + (self.overflow is Overflow.SAT_SYM)

    @property
    def high(self) -> int:
        """Largest raw value."""
        return (1 << (self.width - self.signed)) - 1

    @property
    def lsb(self) -> float:
        """Physical size of one raw unit."""
        return 2.0**-self.fraction

    def times(self, other: Format) -> Format:
        """Return the format that holds every product of the two exactly."""
        return Format(self.signed or other.signed, self.width + other.width, self.integer + other.integer)

    @classmethod
    def parse(cls, spelling: str) -> Format:
        """Read C++ (`ap_ufixed<16,6,AP_RND,AP_SAT,0>`, `ap_int<8>`) or hls4ml's own (`fixed<16,6,TRN,WRAP,0>`).

        Raises
        ------
        ValueError
            Not such a type, a mode that is not supported (WRAP_SM), or saturation bits other than 0.
        """
        found = _SPELLING.fullmatch(spelling.replace(" ", ""))
        if found is None:
            raise ValueError(f"{spelling!r} is not ap_[u]fixed<W,I[,Q[,O[,N]]]> or ap_[u]int<W>")
        arguments = found["arguments"].split(",")
        signed = not found["unsigned"]
        try:
            if found["kind"] == "int":
                (width,) = arguments
                # ap_int takes an ap_fixed or a double as C does: towards zero.
                return cls(signed, int(width), int(width), Rounding.TRN_ZERO)
            return _fixed(*arguments, signed=signed)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{spelling!r}: {error}") from error


def _fixed(
    width: str, integer: str, rounding: str = "TRN", overflow: str = "WRAP", bits: str = "0", *, signed: bool
) -> Format:
    if int(bits):
        raise ValueError(f"{bits} saturation bits are not supported, only 0")
    mode = overflow.removeprefix("AP_")
    if mode not in list(Overflow):
        raise ValueError(f"overflow mode {overflow} is not supported, only {', '.join(Overflow)}")
    return Format(signed, int(width), int(integer), Rounding(rounding.removeprefix("AP_")), Overflow(mode))


def cast(raw: ArrayLike, fraction: int, target: Format) -> Raw:
    """Cast raw integers with `fraction` bits right of the point into `target`, as ap_fixed's assignment does.

    Parameters
    ----------
    raw
        int64 values of any shape, above -2**63; value = raw * 2**-fraction.
    fraction
        Bits right of the point of the source; may be negative.
    target
        Gives rounding and overflow.

    Returns
    -------
    int64 array of the same shape: raw integers of `target`.
    """
    values = np.asarray(raw, dtype=np.int64)
    drop = fraction - target.fraction
    if drop > 0:
        return limited(rounded(values, drop, target.rounding), target)
    return _widened(values, -drop, target)


def rounded(raw: Integers, drop: int, mode: Rounding) -> Integers:
    """Drop the last `drop` > 0 bits of raw integers, rounding as `mode` says; the range is not limited.

    Keeps the integer type of `raw`, which must have more than `drop` bits unless it is int64.
    """
    if drop >= 64:  # beyond any int64: only the sign is left, as a value well below one half
        raw, drop = np.sign(raw), 2
    floor: Integers = raw >> drop
    if mode is Rounding.TRN:
        return floor
    if mode is Rounding.RND:
        upper = raw >> (drop - 1)
        upper &= 1
        floor += upper  # the topmost dropped bit: a half or more
        return floor
    rest = raw & ((1 << drop) - 1)
    half = 1 << (drop - 1)
    if mode is Rounding.TRN_ZERO:
        floor += (raw < 0) & (rest != 0)
    else:
        floor += (rest > half) | ((rest == half) & _tie_goes_up(raw, floor, mode))
    return floor


def _tie_goes_up(raw: Integers, floor: Integers, mode: Rounding) -> NDArray[np.bool_]:
    up = np.zeros(raw.shape, dtype=np.bool_)  # RND_MIN_INF: never
    if mode is Rounding.RND_ZERO:
        up |= raw < 0
    elif mode is Rounding.RND_INF:
        up |= raw >= 0
    elif mode is Rounding.RND_CONV:
        up |= (floor & 1) == 1
    return up


def limited(raw: Integers, target: Format) -> Integers:
    """Bring raw integers that already have the fraction bits of `target` into its range; keeps their type."""
    low, high = target.low, target.high
    if target.overflow is Overflow.WRAP:
        inside: Integers = ((raw - low) & ((1 << target.width) - 1)) + low
    elif target.overflow is Overflow.SAT_ZERO:
        inside = np.where((raw < low) | (raw > high), raw.dtype.type(0), raw)
    else:
        inside = np.clip(raw, low, high)
    return inside


def _widened(raw: Raw, left: int, target: Format) -> Raw:
    if target.overflow is Overflow.WRAP:
        return limited(raw << left if left < 64 else np.zeros_like(raw), target)
    left = min(left, 63)  # every format ends below bit 63
    above, below = raw > (target.high >> left), raw < -((-target.low) >> left)
    saturates = target.overflow is not Overflow.SAT_ZERO
    inside = np.where(above | below, 0, raw) << left
    if not saturates:
        return inside
    return np.where(above, target.high, np.where(below, target.low, inside))


def quantise(values: ArrayLike, target: Format) -> Raw:
    """Cast floating-point values exactly, as ap_fixed's constructor from double does; infinities count as 2**1023."""
    numbers = np.asarray(values, dtype=np.float64)
    if np.isnan(numbers).any():
        raise ValueError("not a number (NaN) has no fixed-point value: mend the weights")
    mantissa, exponent = np.frexp(np.clip(numbers, -(2.0**1023), 2.0**1023))
    integers = np.ldexp(mantissa, 53).astype(np.int64)
    raw = np.zeros(numbers.shape, dtype=np.int64)
    for power in np.unique(exponent):
        here = exponent == power
        raw[here] = cast(integers[here], 53 - int(power), target)
    return raw
