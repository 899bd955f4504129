"""Regression on pile-up, for all quantities at once.

Counts: Poisson with a logarithmic link and the exposure as offset, by iteratively reweighted least squares (McCullagh
and Nelder, Generalized Linear Models, 1989, ch. 2.5). Means: weighted least squares. Both with a weak normal prior on
the slopes, so that a quantity seen twenty times does not get a curvature of its own.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

TERMS = 3
_PRIOR = np.diag([1e-9, 1.0, 4.0])
"""Prior precision of (level, slope, curvature): per unit of u, a factor e of a rate or one standard deviation of an
entry is one standard deviation of the slope, and half of that of the curvature."""
_ROUNDS = 12
_STEP = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Curves:
    """Coefficients (TERMS, q) in the basis of `basis`, and their covariance (q, TERMS, TERMS) for unit noise."""

    coefficients: Floats
    covariance: Floats


def basis(u: Floats) -> Floats:
    """Return 1, u, u^2 as (t, TERMS); u is pile-up scaled to [-1, 1] over the learnt range."""
    return np.stack([np.ones_like(u), u, u * u], axis=1)


def fit_counts(counts: Floats, exposure: Floats, terms: Floats) -> Curves:
    """Fit ln(rate) to counts (t, q) over exposure (t, q); `terms` is `basis` (t, TERMS).

    A row of exposure 0 says nothing; a quantity without any count gets the rate of half a count.
    """
    total = np.maximum(exposure.sum(axis=0), 1.0)
    coefficients = np.zeros((TERMS, counts.shape[1]))
    coefficients[0] = np.log(np.maximum(counts.sum(axis=0), 0.5) / total)
    for _ in range(_ROUNDS):
        expected = exposure * np.exp(terms @ coefficients)
        information = np.einsum("ti,tq,tj->qij", terms, expected, terms, optimize=True) + _PRIOR
        score = (terms.T @ (counts - expected)).T - coefficients.T @ _PRIOR
        step = np.linalg.solve(information, score[:, :, None])[:, :, 0].T
        coefficients += np.clip(step, -_STEP, _STEP)
    expected = exposure * np.exp(terms @ coefficients)
    information = np.einsum("ti,tq,tj->qij", terms, expected, terms, optimize=True) + _PRIOR
    return Curves(coefficients, np.linalg.inv(information))


def fit_means(values: Floats, entries: Floats, terms: Floats) -> Curves:
    """Fit means (t, q) of `entries` (t, q); a row without entries says nothing.

    The covariance is per unit of an entry's variance, as that of counts is per unit of rate.
    """
    information = np.einsum("ti,tq,tj->qij", terms, entries, terms, optimize=True) + _PRIOR
    origin = (values * entries).sum(axis=0) / np.maximum(entries.sum(axis=0), 1.0)
    score = np.einsum("ti,tq->qi", terms, entries * (values - origin))
    covariance = np.linalg.inv(information)
    coefficients = np.einsum("qij,qj->iq", covariance, score)
    coefficients[0] += origin
    return Curves(coefficients, covariance)


def predictive(curves: Curves, terms: Floats) -> tuple[Floats, Floats]:
    """Return (value, variance), (t, q) each, of the fitted curves in link space; the variance is for unit noise."""
    squares = (terms[:, :, None] * terms[:, None, :]).reshape(len(terms), -1)
    return terms @ curves.coefficients, squares @ curves.covariance.reshape(-1, TERMS * TERMS).T
