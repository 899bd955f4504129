"""Principal axes: components without correlation in the reference, and what stands out along them later."""

from __future__ import annotations

import numpy as np

from emulator.detector.layout import L1_LAYOUT
from monitor.observe.axes import Axes
from monitor.observe.components import DISTANCE
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
    order = np.argsort(events.inputs[:, 3], kind="stable")
    for column in (6, 9):
        events.inputs[order, column] = np.sort(events.inputs[:, column])  # all jets are hard together now
    tied = SUMMARISER.summarise(key(), events)
    assert (tied.counts["inputs"][6, :96] == apart.counts["inputs"][6, :96]).all()
    names = [f"principal component {axis} (variance)" for axis in np.flatnonzero(AXES.used) + 1]
    before, after = ([(component(each, name)[0] - 1) / np.sqrt(2 / 4000) for name in names] for each in (apart, tied))
    assert max(np.abs(before)) < 4
    assert max(np.abs(after)) > 8


def test_without_a_reference_there_are_no_components():
    assert component(SUMMARY, DISTANCE, None)[1] == 0
    assert component(SUMMARY, "principal component 2 (mean)", None)[1] == 0


def test_axes_point_the_same_way_whatever_the_library_returns():
    mean, covariance = SUMMARY.moments()
    same = SUMMARY.counts["inputs"].max(axis=1) / SUMMARY.events
    turned = Axes.of(mean, covariance[::-1, ::-1], same[::-1])
    used = AXES.used
    np.testing.assert_allclose(turned.directions[::-1][:, used], AXES.directions[:, used], atol=1e-6)
