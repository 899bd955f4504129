"""The multivariate channel: what the inputs do along the reference's principal axes.

Components have mean 0, variance 1 and no correlation over the reference. Later events have means and variances along
each axis, and a mean square distance over all axes, which is Mahalanobis' over the number of axes.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.observe.events import EVERYWHERE
from monitor.observe.frame import Frame
from monitor.observe.section import Floats, Measured, Section
from monitor.observe.shape import Shape
from monitor.observe.summary import Summary

WOBBLE = 0.02
"""What fills differ by along any axis at least: along most of them, eight reference fills show nothing of it."""
FAMILY = "component"
DISTANCE = "Mahalanobis distance"


def component_sections(shape: Shape) -> tuple[Section, ...]:
    """Return the components of the inputs whose products are counted; not measured without a reference's axes."""
    axes = range(1, len(shape.paired) + 1)
    names = (
        *(f"principal component {axis} (mean)" for axis in axes),
        *(f"principal component {axis} (variance)" for axis in axes),
        DISTANCE,
    )
    regions = (EVERYWHERE,) * len(names)
    return (Section(FAMILY, counted=False, names=names, regions=regions, measure=_measure, wobble=WOBBLE, mixed=True),)


def _measure(summary: Summary, frame: Frame) -> Measured:
    if frame.axes is None or summary.events < 2 or not frame.axes.used.any():
        return 0.0, 0.0, 0.0
    axes, (mean, covariance) = frame.axes, summary.moments()
    along = axes.directions
    variance = np.maximum(((covariance @ along) * along).sum(axis=0), 0.0)
    return _measured((mean - axes.centre) @ along, variance, used=axes.used, events=summary.events)


def _measured(mean: Floats, variance: Floats, *, used: NDArray[np.bool_], events: int) -> Measured:
    """Return all quantities of components with this mean and variance (p,).

    The variance of a square is taken as a normal variable's; the learnt noise corrects it.
    """
    count = float(used.sum())
    return (
        np.concatenate([mean, variance, [(variance + mean**2).sum() / count]]),
        np.concatenate([events * used, events * used, [events]]).astype(np.float64),
        np.concatenate([variance, 2 * variance**2, [2 * (variance**2).sum() / count**2]]),
    )
