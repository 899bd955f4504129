"""Principal axes of a model's inputs: what moves many of them a little, or ties some to others, moves along one axis.

The components of reference events along the axes have no correlation, and variance 1 (Jackson and Mudholkar,
Technometrics 21 (1979) 341): means and variances of later events along them are a multivariate chart, and the mean
square over all axes is their Mahalanobis distance from the reference, over the number of axes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NARROWEST = 4.0
"""Bins: an input that varies less counts as if it varied by so much, or a single event could outweigh all others."""
TERMS = 3
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
    tied : float64 (TERMS, p, p)
        Covariance of the components within lumisections, as a polynomial in how far pile-up lies from `pileup`, in
        units of it.
    pileup
        Mean pile-up of the reference; NaN where it was unknown.
    events
        Events of a lumisection that taught `tied`, on average; infinity where none has.
    """

    centre: Floats
    directions: Floats
    tied: Floats
    pileup: float
    events: float = float("inf")

    @classmethod
    def of(cls, mean: Floats, covariance: Floats, same: Floats) -> Axes:
        """Return the axes of inputs with this mean (p,), covariance (p, p) and share of events in the fullest bin.

        Their components are taken to have variance 1 and no correlation at every pile-up, see `taught`.
        """
        width = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
        scale = (same < SAME) / np.maximum(width, NARROWEST)
        variance, vectors = np.linalg.eigh(covariance * np.outer(scale, scale))
        variance, vectors = variance[::-1], vectors[:, ::-1]
        wide = variance > THINNEST
        length = np.where(wide, 1.0 / np.sqrt(np.where(wide, variance, 1.0)), 0.0)
        largest = vectors[np.abs(vectors).argmax(axis=0), np.arange(len(mean))]
        directions = scale[:, None] * vectors * length * np.where(largest < 0, -1.0, 1.0)
        tied = np.zeros((TERMS, len(mean), len(mean)))
        tied[0] = np.diag(directions.any(axis=0).astype(np.float64))
        return cls(mean, directions, tied, float("nan"))

    def taught(self, covariances: Floats, pileup: Floats, events: Floats) -> Axes:
        """Return the axes with what ties components at each pile-up.

        `covariances` (t, p, p) are those of the inputs in lumisections of this `pileup` (t,), NaN if unknown, and of so
        many `events` (t,).
        """
        level = float(pileup.mean())
        terms = _terms(pileup, level) * np.sqrt(events)[:, None]
        along = np.einsum("ia,tij,jb->tab", self.directions, covariances, self.directions, optimize=True)
        flat = along.reshape(len(along), -1) * np.sqrt(events)[:, None]
        fitted = np.linalg.lstsq(terms, flat, rcond=None)[0]
        # As single numbers, which is how a page keeps them: what is read back is what was used.
        tied = fitted.reshape(self.tied.shape).astype(np.float32).astype(np.float64)
        return replace(self, tied=tied, pileup=level, events=float(events.mean()))

    def untied(self) -> Axes:
        """Return the axes for a reference that cannot tell what ties components: nothing is expected of them."""
        return replace(self, tied=np.full_like(self.tied, np.nan))

    def expected(self, pileup: float) -> Floats:
        """Return the covariance (p, p) of the components at a pile-up; NaN where that, or pile-up, is unknown."""
        return np.asarray(np.tensordot(_terms(np.asarray([pileup]), self.pileup)[0], self.tied, axes=1))

    @property
    def used(self) -> NDArray[np.bool_]:
        """Which axes are used (p,)."""
        return np.asarray(self.directions.any(axis=0))


def _terms(pileup: Floats, level: float) -> Floats:
    """Return 1, u, u^2 (t, TERMS) of u = pile-up / level - 1; u is 0 everywhere where the level is unknown."""
    u = pileup / level - 1.0 if level > 0 else np.zeros_like(pileup)
    return np.stack([u**power for power in range(TERMS)], axis=1)
