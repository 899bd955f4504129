"""Principal axes of a model's inputs: what moves many of them a little, or ties some to others, moves along one axis.

The components of reference events along the axes have no correlation, and variance 1 (Jackson and Mudholkar,
Technometrics 21 (1979) 341): means and variances of later events along them are a multivariate chart, and the mean
square over all axes is their Mahalanobis distance from the reference, over the number of axes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NARROWEST = 4.0
"""Bins: an input that varies less counts as if it varied by so much, or a single event could outweigh all others."""
THINNEST = 0.25
"""Variance under which an axis is not used, for the same reason; the average one has at most 1."""
SAME = 0.9
"""Share of events in one bin from which on an input is left out: the few others would be all that it has to say."""


@dataclass(frozen=True, slots=True, eq=False)
class Axes:
    """Axes of p inputs.

    Attributes
    ----------
    centre : float64 (p,)
        Mean bin of the reference's events.
    directions : float64 (p, p)
        One axis a column, the widest first: a component is (bins - centre) @ column. Columns are 0 where an axis is
        not used, rows where an input is left out.
    """

    centre: Floats
    directions: Floats

    @classmethod
    def of(cls, mean: Floats, covariance: Floats, same: Floats) -> Axes:
        """Return the axes of inputs with this mean (p,), covariance (p, p) and share of events in the fullest bin."""
        width = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
        scale = (same < SAME) / np.maximum(width, NARROWEST)
        variance, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
        variance, vectors = variance[::-1], vectors[:, ::-1]
        wide = variance > THINNEST
        length = np.where(wide, 1.0 / np.sqrt(np.where(wide, variance, 1.0)), 0.0)
        largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(len(mean))]
        return cls(mean, scale[:, None] * vectors * length * np.where(largest < 0, -1.0, 1.0))

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which axes are used (p,)."""
        return np.asarray(self.directions.any(axis=0))
