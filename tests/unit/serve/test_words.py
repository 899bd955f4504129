"""A shift in numbers that a person can read."""

from dataclasses import replace

import pytest

from monitor.serve.words import moved
from tests.unit.serve import houses

SHIFT = replace(houses.shift("jet multiplicity", 1.2, expected=4.0, observed=3.0), sigma=0.1)


def test_a_shift_is_told_as_a_share_of_what_was_expected():
    assert moved(SHIFT).endswith("%)")
    assert "25" in moved(SHIFT)


@pytest.mark.parametrize("expected", [0.0, 0.002, -0.05])
def test_of_what_is_expected_to_be_about_nothing_no_share_is_told(expected: float):
    text = moved(replace(SHIFT, expected=expected))
    assert text.startswith("3 instead of")
    assert "%" not in text


def test_without_an_error_a_share_is_told_still():
    assert "%" in moved(replace(SHIFT, sigma=float("nan")))
