"""Principal axes: components without correlation in the reference, and what stands out along them later."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emulator.detector.layout import L1_LAYOUT
from monitor.observe.axes import Axes
from monitor.observe.components import DISTANCE, TIES
from monitor.observe.frame import Frame
from monitor.observe.quantities import catalogue, measure
from monitor.observe.shape import MOST_PAIRED, Shape
from monitor.observe.summariser import Summariser
from monitor.observe.summary import Summary
from tests.unit.observe.crossings import INPUTS, LAYOUT, THRESHOLD, crossings, key

RNG = np.random.default_rng(8)
SUMMARISER = Summariser(LAYOUT, INPUTS, 1, THRESHOLD)
EVENTS = crossings(20_000, RNG)
OTHER = crossings(1000, RNG)
SUMMARY = SUMMARISER.summarise(key(), EVENTS)
AXES = Axes.of(*SUMMARY.moments(), SUMMARY.counts["inputs"].max(axis=1) / SUMMARY.events)


def bins(shape: Shape, inputs: np.ndarray) -> np.ndarray:
    columns = [
        binning.bins(column.astype(np.int64)) for binning, column in zip(shape.binnings(), inputs.T, strict=True)
    ]
    return np.stack(columns, axis=1).astype(np.float64)


def component(summary: Summary, name: str, axes: Axes | None = AXES) -> tuple[float, float, float]:
    found, number = measure(summary, Frame(axes=axes)), catalogue(summary.shape).names.index(name)
    return float(found.value[number]), float(found.exposure[number]), float(found.spread[number])


def test_the_moments_are_those_of_the_bins():
    events = bins(SUMMARY.shape, EVENTS.inputs)
    mean, covariance = SUMMARY.moments()
    np.testing.assert_allclose(mean, events.mean(axis=0))
    np.testing.assert_allclose(covariance, np.cov(events.T, bias=True), atol=1e-9)


def test_of_a_wide_model_the_paired_inputs_are_spread_evenly():
    assert Shape(L1_LAYOUT, 57, 1, None).paired == tuple(range(57))
    wide = Shape(None, 252, 1, None).paired
    assert len(set(wide)) == len(wide) == MOST_PAIRED
    assert set(np.diff(wide)) <= {3, 4}


def test_components_of_the_reference_have_variance_one_and_no_correlation():
    along = (bins(SUMMARY.shape, EVENTS.inputs) - AXES.centre) @ AXES.directions[:, AXES.used]
    np.testing.assert_allclose(np.cov(along.T, bias=True), np.eye(along.shape[1]), atol=1e-9)
    np.testing.assert_allclose(along.mean(axis=0), 0, atol=1e-9)
    value, exposure, spread = component(SUMMARY, "principal component 1 (variance)")
    assert (round(value, 9), exposure, round(spread, 9)) == (1, 20_000, 2)
    assert round(component(SUMMARY, DISTANCE)[0], 9) == 1


def test_what_hardly_varies_has_no_voice_of_its_own():
    axes = Axes.of(np.zeros(4), np.diag([100.0, 9.0, 1e-6, 400.0]), np.asarray([0.1, 0.1, 0.1, 0.95]))
    assert axes.used.tolist() == [True, True, False, False]
    np.testing.assert_allclose(np.abs(axes.directions[:, 0]), [0.1, 0, 0, 0])
    np.testing.assert_allclose(np.abs(axes.directions[:, 1]), [0, 1 / 3, 0, 0])
    assert np.abs(Axes.of(np.zeros(1), np.diag([2.0]), np.zeros(1)).directions).max() == 0


def test_inputs_that_are_tied_to_each_other_move_a_variance_at_equal_marginals():
    events = crossings(4000, np.random.default_rng(4))
    apart = SUMMARISER.summarise(key(), events)
    order = np.argsort(events.inputs[:, 5], kind="stable")
    events.inputs[order, 2] = np.sort(events.inputs[:, 2])  # missing momentum now points where the leading jet does
    tied = SUMMARISER.summarise(key(), events)
    assert (tied.counts["inputs"] == apart.counts["inputs"]).all()
    before, after = (component(each, TIES) for each in (apart, tied))
    sigma = np.sqrt(before[2] / before[1])
    assert abs(before[0] - 1) < 4 * sigma
    assert after[0] - 1 > 20 * sigma


def test_ties_are_the_squares_of_what_was_not_expected_over_all_pairs():
    along = (bins(SUMMARY.shape, OTHER.inputs) - AXES.centre) @ AXES.directions[:, AXES.used]
    found = np.cov(along.T, bias=True)
    value, pairs, spread = component(SUMMARISER.summarise(key(), OTHER), TIES)
    assert value == pytest.approx(1000 * (found[np.triu_indices(len(found), 1)] ** 2).mean())
    assert (pairs, spread) == (len(found) * (len(found) - 1) / 2, 2)


@pytest.mark.parametrize("events", [300, 3000, 12_000])
def test_ties_stay_what_they_are_however_many_events_there_are(events: int):
    value, pairs, _ = component(SUMMARISER.summarise(key(), crossings(events, np.random.default_rng(events))), TIES)
    assert abs(value - 1) < 5 * np.sqrt(2 / pairs)


def test_what_ties_components_at_each_pileup_is_expected_there():
    """Jets become more with pile-up, which ties components that are free of each other over all of it."""
    rows = [SUMMARISER.summarise(key(), crossings(3000, RNG, pileup=mu)) for mu in np.linspace(40, 60, 15)]
    covariances, pileup = np.stack([row.moments()[1] for row in rows]), np.linspace(40, 60, 15)
    taught = AXES.taught(covariances, pileup, np.full(15, 3000.0))
    edge = SUMMARISER.summarise(key(), crossings(12_000, np.random.default_rng(6), pileup=60.0))
    plain, known = component(edge, TIES)[0], component(edge, TIES, taught)[0]
    assert known < 1.6 < plain
    unknown = AXES.taught(covariances, np.full(15, np.nan), np.full(15, 3000.0))
    np.testing.assert_allclose(unknown.expected(50.0), unknown.expected(float("nan")))


def test_ties_are_not_measured_without_the_pileup_that_the_reference_knew():
    silent = replace(crossings(500, RNG), pileup=np.full(500, np.nan, np.float32))
    covariances, mu = np.stack([SUMMARY.moments()[1]] * 3), np.asarray([40.0, 50.0, 60.0])
    known = AXES.taught(covariances, mu, np.ones(3))
    assert component(SUMMARISER.summarise(key(), silent), TIES, known)[1] == 0
    assert component(SUMMARISER.summarise(key(), silent), TIES)[1] > 0


def test_without_a_reference_there_are_no_components():
    assert component(SUMMARY, DISTANCE, None)[1] == 0
    assert component(SUMMARY, "principal component 2 (mean)", None)[1] == 0


def test_axes_point_the_same_way_whatever_the_library_returns():
    mean, covariance = SUMMARY.moments()
    same = SUMMARY.counts["inputs"].max(axis=1) / SUMMARY.events
    turned = Axes.of(mean, covariance[::-1, ::-1], same[::-1])
    used = AXES.used
    np.testing.assert_allclose(turned.directions[::-1][:, used], AXES.directions[:, used], atol=1e-6)


def test_of_many_more_events_than_were_learnt_small_differences_of_fills_are_no_ties():
    """A fill whose components are tied a little, as fills are: the same in a hundred times as many events."""
    covariances = np.stack([SUMMARY.moments()[1]] * 3)
    taught = AXES.taught(covariances, np.full(3, 50.0), np.full(3, 300.0))
    few, many = (
        SUMMARISER.summarise(key(), crossings(events, np.random.default_rng(events), offset=0.1))
        for events in (300, 30_000)
    )
    assert abs(component(few, TIES, taught)[0] - 1) < 0.6
    assert abs(component(many, TIES, taught)[0] - 1) < 0.2
    assert component(many, TIES)[0] > 2
