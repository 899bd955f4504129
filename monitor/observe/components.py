"""The multivariate channel: what the inputs do along the reference's principal axes.

Components have mean 0, variance 1 and no correlation over the reference. Later events have means and variances along
each axis, a mean square distance over all axes, and covariances s of the components, of which the reference tells what
they are at each pile-up, e. Any tie between inputs, whichever they are, shows in the mean over all pairs of

    n (s_ij - e_ij)^2 / (e_ii e_jj),

which is chi-squared with one degree of freedom for n independent normal events, and of mean 1 (Schott, Biometrika 92
(2005) 951): however many events there are, it is the same where nothing has changed. But fills differ a little, which
adds to it in proportion to n: of more events than the reference's lumisections had, m, the formula is taken with m for
n, and the 1 - m / n of chance that is then missing is added.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.observe.axes import Axes
from monitor.observe.events import EVERYWHERE
from monitor.observe.frame import Frame
from monitor.observe.section import Floats, Measured, Section
from monitor.observe.shape import Shape
from monitor.observe.summary import Summary

FAMILY = "component"
DISTANCE = "Mahalanobis distance"
TIES = "ties between components"


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
    axes, (mean, covariance) = frame.axes, summary.moments()
    along = axes.directions
    found = along.T @ covariance @ along
    ties = _ties(found, axes, summary)
    return _measured((mean - axes.centre) @ along, found.diagonal(), ties, used=axes.used, events=summary.events)


def _measured(
    mean: Floats, variance: Floats, ties: tuple[float, int], *, used: NDArray[np.bool_], events: int
) -> Measured:
    """Return all quantities of components with this mean and variance (p,); `ties` are their mean over so many pairs.

    The variance of a square is taken as a normal variable's; the learnt noise corrects it.
    """
    count = float(used.sum())
    distance = (variance + mean**2).sum() / count
    return (
        np.concatenate([mean, variance, [distance, ties[0]]]),
        np.concatenate([events * used, events * used, [events, ties[1]]]).astype(np.float64),
        np.concatenate([variance, 2 * variance**2, [2 * (variance**2).sum() / count**2, 2.0]]),
    )


def _ties(found: Floats, axes: Axes, summary: Summary) -> tuple[float, int]:
    """Return the mean of the module's formula over all pairs of components that are used, and how many these are.

    None are, where pile-up is unknown that the reference knew: nobody can say what is expected.
    """
    expected = axes.expected(summary.pileup)
    if not np.isfinite(expected).all():
        return 0.0, 0
    width = np.sqrt(np.maximum(expected.diagonal(), 1e-6))
    squares = ((found - expected) / np.outer(width, width))[np.ix_(axes.used, axes.used)] ** 2
    pairs = len(squares) * (len(squares) - 1) // 2
    mean = float(squares.sum() - squares.trace()) / 2 / max(pairs, 1)
    most = min(float(summary.events), axes.events)
    return most * mean + 1.0 - most / summary.events, pairs
