"""The multivariate channel: what the inputs do along the reference's principal axes.

Components have mean 0, variance 1 and no correlation in the reference. Later events have means and variances along each
axis, a mean square distance over all axes, and correlations c between k components, of which the mean square tells any
tie between inputs, whichever they are. Of n events of independent components n c^2 is chi-squared with one degree of
freedom: sum c^2 over the k (k - 1) / 2 pairs, less 1 / n each, has mean 0 and variance k (k - 1) / n^2 (Schott,
Biometrika 92 (2005) 951).
"""

from __future__ import annotations

import numpy as np

from monitor.observe.axes import Axes
from monitor.observe.events import EVERYWHERE
from monitor.observe.frame import Frame
from monitor.observe.section import Floats, Measured, Section
from monitor.observe.shape import Shape
from monitor.observe.summary import Summary

FAMILY = "component"
DISTANCE = "Mahalanobis distance"
TIES = "mean square correlation of components"


def component_sections(shape: Shape) -> tuple[Section, ...]:
    """Return the components of the inputs whose products are counted; not measured without a reference's axes."""
    axes = range(1, len(shape.paired) + 1)
    names = (
        *(f"principal component {axis} (mean)" for axis in axes),
        *(f"principal component {axis} (variance)" for axis in axes),
        DISTANCE,
        TIES,
    )
    return (Section(FAMILY, counted=False, names=names, regions=(EVERYWHERE,) * len(names), measure=_measure),)


def _measure(summary: Summary, frame: Frame) -> Measured:
    count = 2 * len(summary.shape.paired) + 2
    if frame.axes is None or summary.events < 2 or not frame.axes.used.any():
        return np.zeros(count), np.zeros(count), np.zeros(count)
    mean, covariance = summary.moments()
    along = frame.axes.directions
    return _along(frame.axes, (mean - frame.axes.centre) @ along, along.T @ covariance @ along, events=summary.events)


def _along(axes: Axes, mean: Floats, covariance: Floats, *, events: int) -> Measured:
    """Return all quantities of components with this mean (p,) and covariance (p, p).

    The variance of a square is taken as a normal variable's; the learnt noise corrects it.
    """
    variance = np.maximum(covariance.diagonal(), 0.0)
    used = axes.used
    axes_used = float(used.sum())
    distance = (variance + mean**2).sum() / axes_used
    ties, pairs = _ties(covariance[np.ix_(used, used)], events)
    return (
        np.concatenate([mean, variance, [distance, ties]]),
        np.concatenate([events * used, events * used, [events, events**2 if pairs else 0.0]]),
        np.concatenate([variance, 2 * variance**2, [2 * (variance**2).sum() / axes_used**2, 2 / max(pairs, 1)]]),
    )


def _ties(covariance: Floats, events: int) -> tuple[float, int]:
    """Return the mean square correlation beyond what chance makes, and of how many pairs it is the mean."""
    width = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
    correlation = covariance / np.maximum(np.outer(width, width), 1e-12)
    pairs = len(width) * (len(width) - 1) // 2
    squares = ((correlation**2).sum() - (correlation.diagonal() ** 2).sum()) / 2
    return float(squares) / max(pairs, 1) - 1 / events, pairs
