from __future__ import annotations

import numpy as np
import pytest

from emulator.formats import Format, Overflow, Rounding, cast, quantise


@pytest.mark.parametrize(
    ("spelling", "expected"),
    [
        ("ap_fixed<16,6>", Format(True, 16, 6)),
        ("ap_ufixed<18, 14, AP_RND_CONV, AP_SAT, 0>", Format(False, 18, 14, Rounding.RND_CONV, Overflow.SAT)),
        ("fixed<16,6,TRN,WRAP,0>", Format(True, 16, 6)),
        ("ufixed<8,-2,RND_MIN_INF,SAT_SYM,0>", Format(False, 8, -2, Rounding.RND_MIN_INF, Overflow.SAT_SYM)),
    ],
)
def test_cpp_and_hls4ml_spellings_are_read(spelling: str, expected: Format) -> None:
    assert Format.parse(spelling) == expected


def test_integers_truncate_towards_zero_as_ap_int_does() -> None:
    assert cast([-7, 7], 2, Format.parse("ap_int<4>")).tolist() == [-1, 1]
    assert cast([-7, 7], 2, Format.parse("ap_fixed<4,4>")).tolist() == [-2, 1]


@pytest.mark.parametrize(
    ("spelling", "named"),
    [
        ("ap_fixed<16,6,AP_TRN,AP_WRAP_SM>", "AP_WRAP_SM"),
        ("ap_fixed<16,6,AP_TRN,AP_SAT,2>", "2 saturation bits"),
        ("ap_fixed<80,6>", "80 bits"),
        ("ap_fixed<16,6,AP_UP>", "UP"),
        ("ap_fixed<16>", "ap_fixed<16>"),
        ("float", "float"),
    ],
)
def test_what_is_not_supported_is_refused_by_name(spelling: str, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Format.parse(spelling)


def test_range_and_lsb_follow_the_format() -> None:
    fmt = Format.parse("ap_fixed<8,4>")
    assert (fmt.low, fmt.high, fmt.lsb, fmt.fraction) == (-128, 127, 1 / 16, 4)
    assert (Format.parse("ap_ufixed<8,4>").low, Format.parse("ap_ufixed<8,4>").high) == (0, 255)
    assert Format.parse("ap_fixed<8,4,AP_TRN,AP_SAT_SYM>").low == -127


def test_casts_reach_over_the_whole_of_int64() -> None:
    largest = 2**63 - 1
    assert cast(largest, 70, Format(True, 8, 8)).tolist() == 0
    assert cast(-largest, 70, Format(True, 8, 8)).tolist() == -1
    assert cast(-largest, 70, Format(True, 8, 8, Rounding.RND)).tolist() == 0
    assert cast([largest, -largest], -40, Format(True, 63, 63, overflow=Overflow.SAT)).tolist() == [2**62 - 1, -(2**62)]
    assert cast([3, 5], 0, Format(True, 8, -80)).tolist() == [0, 0]


def test_infinities_saturate_and_nan_is_refused() -> None:
    assert quantise([np.inf, -np.inf], Format(True, 8, 4, overflow=Overflow.SAT)).tolist() == [127, -128]
    assert quantise([np.inf], Format(True, 8, 4)).tolist() == [0]
    with pytest.raises(ValueError, match="NaN"):
        quantise([1.0, np.nan], Format(True, 8, 4))
