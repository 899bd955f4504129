"""What a moved stream has lost, and what another threshold or a retraining would bring back.

Formulas, assumptions and sources: docs/explanation/retraining.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.drift.tail import Tail, place, raw_score

Floats = NDArray[np.float64]

WIDTHS = 2.0
"""Half the width of every interval here, in standard deviations: 95 % for normal errors."""
RIDGE = 1e-6
"""Of a feature's variance, added to it: two features that are one and the same must not divide by zero."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """The raw threshold that would have accepted as many events as the reference expects, with its interval.

    None for an end that the scores do not reach.
    """

    restoring: int
    low: int | None
    high: int | None


def restoring(tail: Tail, *, wanted: float, sigma: float) -> Threshold | None:
    """Return the threshold that accepts `wanted` events, known to `sigma`; None where no threshold does.

    The interval is that of Woodruff (1952) for a quantile: the thresholds of `wanted` plus and minus the error.
    """
    middle = tail.reached(wanted)
    if middle is None:
        return None
    low, high = tail.reached(wanted + WIDTHS * sigma), tail.reached(wanted - WIDTHS * sigma)
    return Threshold(
        restoring=int(np.ceil(raw_score(middle))),
        low=None if low is None else int(np.floor(raw_score(low))),
        high=None if high is None else int(np.ceil(raw_score(high))),
    )


@dataclass(frozen=True, slots=True)
class Overlap:
    """Of the events that the reference would have accepted, the share that is accepted: what margins can say of it.

    Attributes
    ----------
    least, most
        The bounds of Fréchet (1951) and Hoeffding (1940). `most` is reached where events keep their order by score.
    sigma
        Standard deviation of `most`.
    new
        At least this share of what is accepted would not have been.
    """

    least: float
    most: float
    sigma: float
    new: float


def overlap(accepted: float, *, wanted: float, events: float, sigma: float) -> Overlap:
    """Return what is left of `wanted` > 0 expected events where `accepted` of `events` were accepted."""
    return Overlap(
        least=max(0.0, accepted + wanted - events) / wanted,
        most=min(1.0, accepted / wanted),
        sigma=sigma / wanted,
        new=max(0.0, 1.0 - wanted / accepted) if accepted > 0 else 0.0,
    )


@dataclass(frozen=True, slots=True)
class Reweighted:
    """How far the moved inputs have carried the score, in bins, and how well that is known."""

    shift: float
    sigma: float


def reweighted(products: Floats, moved: Floats, *, expected: Floats, error: Floats, events: float) -> Reweighted:
    """Return by how much the mean score would go back if the moved events had the reference's mean features.

    The regression estimator of a reweighting to known means (Deville & Särndal 1992): with covariances of the moved
    events, b = C_ff^-1 C_fs, and the shift is b (moved - expected).

    Parameters
    ----------
    products : (f + 1, f + 1)
        Covariance of the features, the score's bin last.
    moved, expected, error : (f,)
        Mean features as they are, as the reference expects them, and the error of the latter.
    events
        That `moved` was averaged over.
    """
    features, score = products[:-1, :-1], products[:-1, -1]
    ridge = np.diag(RIDGE * np.maximum(features.diagonal(), 1.0))
    slope = np.linalg.solve(features + ridge, score)
    variance = slope @ features @ slope / events + np.sum((slope * error) ** 2)
    return Reweighted(float(slope @ (moved - expected)), float(np.sqrt(variance)))


def without(tail: Tail, threshold: int, shift: float) -> float:
    """Return the events at or over `threshold` if every score lay `shift` bins lower."""
    return tail.count(place(threshold) + shift)


def restored(before: float, after: float, *, wanted: float) -> float:
    """Return the share of what `wanted` events differ from `before` that is mended by `after`; below 0 it is worse."""
    return 1.0 - abs(after - wanted) / abs(before - wanted)


def effective(moved: Floats, expected: Floats) -> tuple[float, float]:
    """Return (effective share, uncovered share) of reference events that are weighted to the moved scores.

    Kish (1965): n_eff / n = 1 / sum(p_moved^2 / p_reference), over the bins that the reference knows; the second is
    the share of the moved events in all others, which no weight can make up for.
    """
    known = expected > 0
    total = moved[known].sum()
    if not total > 0:
        return 0.0, 1.0
    p, q = moved[known] / total, expected[known] / expected.sum()
    return float(1.0 / np.sum(p * p / q)), float(1.0 - total / moved.sum())
