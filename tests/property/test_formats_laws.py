"""Laws of the fixed-point casts, against exact rational arithmetic that knows nothing of bits."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from emulator.formats import Format, Overflow, Rounding, cast, quantise

raws = st.integers(-(2**61), 2**61)
fractions = st.integers(-10, 60)
formats = st.builds(
    Format,
    signed=st.booleans(),
    width=st.integers(1, 40),
    integer=st.integers(-20, 45),
    rounding=st.sampled_from(Rounding),
    overflow=st.sampled_from(Overflow),
)


def value_of(raw: int, fraction: int) -> Fraction:
    return Fraction(raw) / Fraction(2) ** fraction


def rounded(value: Fraction, mode: Rounding) -> int:
    """Round to a whole number by the words of the ap_fixed manual."""
    floor, ceiling = math.floor(value), math.ceil(value)
    if mode is Rounding.TRN:
        return floor
    if mode is Rounding.TRN_ZERO:
        return floor if value >= 0 else ceiling
    nearest = min((floor, ceiling), key=lambda whole: abs(value - whole))
    if abs(value - floor) != abs(ceiling - value):
        return nearest
    towards_zero = floor if value > 0 else ceiling
    return {
        Rounding.RND: ceiling,
        Rounding.RND_MIN_INF: floor,
        Rounding.RND_ZERO: towards_zero,
        Rounding.RND_INF: floor + ceiling - towards_zero,
        Rounding.RND_CONV: floor if floor % 2 == 0 else ceiling,
    }[mode]


def limited(whole: int, target: Format) -> int:
    if target.low <= whole <= target.high:
        return whole
    if target.overflow is Overflow.SAT_ZERO:
        return 0
    if target.overflow is Overflow.WRAP:
        span = 2**target.width
        return (whole - target.low) % span + target.low
    return target.high if whole > target.high else target.low


@given(raws, fractions, formats)
def test_a_cast_is_rounding_then_limiting_in_exact_arithmetic(raw: int, fraction: int, target: Format) -> None:
    exact = value_of(raw, fraction) * Fraction(2) ** target.fraction
    assert int(cast(raw, fraction, target)) == limited(rounded(exact, target.rounding), target)


@given(st.integers(-200, 200), st.integers(1, 30), st.sampled_from([-1, 0, 1]), formats)
def test_ties_and_their_neighbours_go_where_the_mode_says(whole: int, drop: int, step: int, target: Format) -> None:
    raw, fraction = ((2 * whole + 1) << (drop - 1)) + step, target.fraction + drop
    exact = value_of(raw, drop)
    assert int(cast(raw, fraction, target)) == limited(rounded(exact, target.rounding), target)


@given(raws, fractions, formats)
def test_a_second_cast_into_the_same_format_changes_nothing(raw: int, fraction: int, target: Format) -> None:
    once = cast(raw, fraction, target)
    assert int(cast(once, target.fraction, target)) == int(once)


@given(st.lists(raws, min_size=2, max_size=8), fractions, formats)
def test_saturating_casts_keep_the_order(values: list[int], fraction: int, target: Format) -> None:
    if target.overflow in (Overflow.SAT, Overflow.SAT_SYM):
        assert (np.diff(cast(np.sort(np.array(values)), fraction, target)) >= 0).all()


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e12, max_value=1e12), formats)
def test_a_double_is_cast_from_its_exact_value(value: float, target: Format) -> None:
    exact = Fraction(value) * Fraction(2) ** target.fraction
    assert int(quantise(value, target)) == limited(rounded(exact, target.rounding), target)


@given(formats)
def test_the_cpp_spelling_is_read_back(target: Format) -> None:
    assert Format.parse(str(target)) == target
