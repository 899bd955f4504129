"""Figures put numbers where they belong on the paper."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from monitor.drift.evidence import Where
from monitor.serve import axis, figure
from monitor.serve.view import EtaPhiMap, Histogram


def test_steps_follow_the_counts():
    drawn = figure.histogram(Histogram("score", "raw", (0.0, 1.0, 2.0), (10, 0), (5.0, 5.0), threshold=1.0))
    left, right, floor = drawn.left, drawn.right, drawn.bottom
    middle = (left + right) / 2
    top = axis.counts((10.0,), start=floor, end=drawn.top, log=False)(10.0)
    assert drawn.now == f"M{left} {floor}V{top}H{middle}V{floor}H{right}V{floor}Z"
    assert drawn.threshold == middle
    assert drawn.events == 10


def test_a_threshold_outside_the_axis_is_not_drawn():
    assert figure.histogram(Histogram("score", "raw", (0.0, 1.0), (1,), threshold=7.0)).threshold is None


def test_bins_of_different_widths_are_equally_wide_on_the_paper_and_say_their_edges():
    drawn = figure.histogram(Histogram("pt", "GeV", (0.0, 1.0, 10.0, 100.0), (4, 4, 4), threshold=5.5))
    third = (drawn.right - drawn.left) / 3
    assert [tick.label for tick in drawn.x] == ["0", "1", "10", "100"]
    assert [tick.place for tick in drawn.x] == pytest.approx([drawn.left + i * third for i in range(4)], abs=0.01)
    assert drawn.threshold == pytest.approx(drawn.left + 1.5 * third, abs=0.01)


def test_one_odd_bin_at_the_end_leaves_the_axis_to_scale():
    edges = (*(float(i) for i in range(20)), 19.25)
    drawn = figure.histogram(Histogram("eta", "", edges, (4,) * 20))
    assert [tick.label for tick in drawn.x] == ["0", "5", "10", "15"]


def test_edges_that_do_not_ascend_are_refused_by_name():
    with pytest.raises(ValueError, match="'pt' has edges that do not ascend"):
        Histogram("pt", "GeV", (0.0, 1.0, 1.0), (1, 2))


def test_a_histogram_with_the_wrong_number_of_bins_is_refused_by_name():
    with pytest.raises(ValueError, match=r"'jet\[0\].pt' has 3 edges, 1 counts"):
        Histogram("jet[0].pt", "GeV", (0.0, 1.0, 2.0), (1,))


@given(st.floats(-1e9, 1e9), st.floats(1e-6, 1e9), st.integers(1, 12))
def test_ticks_are_round_ascending_and_inside(low: float, width: float, about: int):
    high = low + width
    scale = axis.linear(low, high, start=0.0, end=100.0)
    ticks = axis.rounds(scale.low, scale.high, about)
    slack = 1e-6 * max(abs(low), abs(high), 1.0)
    assert all(scale.low - slack <= tick <= scale.high + slack for tick in ticks)
    assert list(ticks) == sorted(ticks)
    assert len(ticks) <= about + 2


@given(st.floats(-1e12, 1e12), st.booleans())
def test_nothing_is_drawn_outside_the_paper(value: float, log: bool):
    scale = axis.Axis(0.5, 1e5, 182.0, 10.0, log=log)
    assert 10.0 <= scale(value) <= 182.0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0, "0"),
        (0.00308, "0.00308"),
        (-1.5, "\N{MINUS SIGN}1.5"),
        (12_345.0, "12.3\N{NARROW NO-BREAK SPACE}k"),
        (3e6, "3\N{NARROW NO-BREAK SPACE}M"),
        (3.08e-5, "3.1\N{MULTIPLICATION SIGN}10⁻⁵"),
        (math.nan, "not known"),
        (math.inf, "not known"),
    ],
)
def test_numbers_read_as_people_write_them(value: float, text: str):
    assert axis.number(value) == text


def test_a_place_across_the_end_of_phi_is_drawn_on_both_sides():
    for phi in ((3.0, -3.0), (3.0, 2 * math.pi - 3.0)):
        drawn = figure.eta_phi(None, Where(object="jet", eta=(-1.0, 1.0), phi=phi))
        assert drawn is not None
        upper, lower = drawn.place
        assert upper.y == pytest.approx(drawn.top)
        assert lower.y + lower.height == pytest.approx(drawn.bottom)
        assert upper.height == pytest.approx(lower.height)


def test_a_hole_stands_out_and_noise_does_not():
    drawn = figure.eta_phi(EtaPhiMap("jet", (0.0, 1.0, 2.0), (0.0, 1.0), ((-9.0,), (0.8,))), Where())
    assert drawn is not None
    assert [(cell.kind, cell.strength) for cell in drawn.cells] == [("low", 1.0), ("high", 0.0)]


@pytest.mark.parametrize(
    ("ratio", "width", "kind"),
    [(0.0, 0, "ok"), (0.5, 25, "watch"), (1.0, 50, "act"), (9.0, 100, "act"), (math.nan, 0, "ok")],
)
def test_the_alarm_line_is_the_middle_of_the_bar(ratio: float, width: float, kind: str):
    drawn = figure.bar(ratio)
    assert (drawn.width, drawn.kind) == (width, kind)
