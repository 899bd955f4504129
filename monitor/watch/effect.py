"""What a retraining request says beyond its verdict: effect, the threshold that would mend it, expected gain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.decide.numbers import finite
from monitor.drift import remedy
from monitor.drift.tail import Tail, place
from monitor.observe.binning import SCORE_HALF, STEPS
from monitor.observe.events import feature_scales, score_name
from monitor.observe.quantities import catalogue
from monitor.observe.shape import Shape
from monitor.reference.page import ERROR_WIDTHS, Page
from monitor.watch.recent import Remembered

Floats = NDArray[np.float64]


def for_training(shape: Shape, rows: Sequence[Remembered], page: Page | None) -> dict[str, Any]:
    """Return `threshold`, `effect` and `gain` of the moved lumisections `rows`, JSON values only.

    See docs/explanation/retraining.md for every formula. `effect` and `gain` are None where the reference expects no
    accept rate, or where nothing is remembered.
    """
    moved = _Moved(shape, rows) if rows else None
    threshold = {"present": shape.threshold, "restoring": None, "low": None, "high": None, "lumisections": len(rows)}
    if moved is None or page is None or not moved.wanted > 0:
        return {"threshold": threshold, "effect": None, "gain": None}
    mended = moved.restoring()
    if mended is not None:
        threshold |= {"restoring": mended.restoring, "low": mended.low, "high": mended.high}
    gain = None if shape.threshold is None else _gain(moved, page, threshold=shape.threshold, mended=mended)
    return {"threshold": threshold, "effect": _effect(moved), "gain": gain}


class _Moved:
    """The moved lumisections added up; events as floats."""

    def __init__(self, shape: Shape, rows: Sequence[Remembered]) -> None:
        self.shape = shape
        self.rows = rows
        self.events = float(sum(row.events for row in rows))
        self.accepted = float(sum(row.accepted for row in rows))
        self.wanted = sum(row.wanted for row in rows)
        # Noise is independent from one lumisection to the next; the reference's own error is the same in all of them.
        noise, error = sum(row.sigma**2 for row in rows), sum(row.tolerance for row in rows) / ERROR_WIDTHS
        self.sigma = float(np.hypot(np.sqrt(noise), error))
        self.scores = np.sum([row.scores for row in rows], axis=0)
        self.tail = Tail.of(self.scores, threshold=shape.threshold, accepted=int(self.accepted))
        self.cut = self.accepted if shape.threshold is None else self.tail.count(place(shape.threshold))

    def restoring(self) -> remedy.Threshold | None:
        """Return the threshold for the expected rate, if the stream is cut on the score and anything was accepted."""
        if self.shape.threshold is None or not self.accepted > 0:
            return None
        # Where the recorded decision is more than the cut (a prescale), the cut must change by the same factor.
        share = self.cut / self.accepted
        return remedy.restoring(self.tail, wanted=self.wanted * share, sigma=self.sigma * share)


def _effect(moved: _Moved) -> dict[str, Any]:
    kept = remedy.overlap(moved.accepted, wanted=moved.wanted, events=moved.events, sigma=moved.sigma)
    first, last = moved.rows[0].lumisection, moved.rows[-1].lumisection
    return {
        "from": first._asdict(),
        "to": last._asdict(),
        "lumisections": len(moved.rows),
        "events": int(moved.events),
        "accepted": int(moved.accepted),
        "expected": finite(moved.wanted),
        "sigma": finite(moved.sigma),
        "ratio": finite(moved.accepted / moved.wanted),
        "overlap": {"at_least": kept.least, "at_most": kept.most, "sigma": finite(kept.sigma)},
        "new_at_least": kept.new,
    }


def _gain(moved: _Moved, page: Page, *, threshold: int, mended: remedy.Threshold | None) -> dict[str, Any]:
    """Return what either remedy would bring back; shares are None where the rate has not visibly moved."""
    expected = np.sum([page.scores(events=row.events, pileup=_pileup(row))[0] for row in moved.rows], axis=0)
    effective, uncovered = remedy.effective(moved.scores.astype(np.float64), expected)
    visible = abs(moved.accepted - moved.wanted) >= remedy.WIDTHS * moved.sigma
    unit = moved.accepted / moved.cut if moved.cut > 0 else 0.0
    other = None
    if mended is not None:
        other = _remedy(moved, unit * moved.tail.count(place(mended.restoring)), visible=visible)
    return {
        "visible": bool(visible),
        "threshold": other,
        "retraining": _retrained(moved, page, threshold=threshold, unit=unit, visible=visible),
        "reuse": {"effective": effective, "uncovered": uncovered},
    }


def _remedy(moved: _Moved, accepted: float, *, visible: bool) -> dict[str, Any]:
    kept = remedy.overlap(accepted, wanted=moved.wanted, events=moved.events, sigma=moved.sigma)
    return {
        "accept_rate": finite(accepted / moved.events),
        "restores": remedy.restored(moved.accepted, accepted, wanted=moved.wanted) if visible else None,
        "overlap_at_most": kept.most,
    }


def _retrained(moved: _Moved, page: Page, *, threshold: int, unit: float, visible: bool) -> dict[str, Any] | None:
    """Return the estimate by reweighting to the reference's mean features; None where no feature is known."""
    features = _features(moved, page)
    if features is None:
        return None
    total, found = features
    low, middle, high = (
        unit * remedy.without(moved.tail, threshold, found.shift + width * found.sigma)
        for width in (remedy.WIDTHS, 0.0, -remedy.WIDTHS)
    )
    return {
        **_remedy(moved, middle, visible=visible),
        "low": finite(low / moved.events),
        "high": finite(high / moved.events),
        "score_shift": finite(total / STEPS),
        "explained": finite(found.shift / STEPS),
        "sigma": finite(found.sigma / STEPS),
    }


def _features(moved: _Moved, page: Page) -> tuple[float, remedy.Reweighted] | None:
    """Return by how many bins the mean score has moved, and how much of it the features' means account for."""
    names = {name: number for number, name in enumerate(catalogue(moved.shape).names)}
    scales = feature_scales(moved.shape)
    score = f"{score_name(moved.shape, 0)} (log mean)"
    rows = [row for row, (name, _, _) in enumerate(scales) if page.live[names[name]]]
    if not rows or not page.live[names[score]]:
        return None
    chosen = [*rows, len(scales)]
    numbers = [names[scales[row][0]] for row in rows] + [names[score]]
    scale = np.asarray([scales[row][1] for row in rows] + [float(STEPS)])
    offset = np.asarray([scales[row][2] for row in rows] + [float(SCORE_HALF)])
    mean = np.sum([row.sums for row in moved.rows], axis=0)[chosen] / moved.events
    expected, error = _expected(moved, page, numbers)
    expected, error = expected * scale + offset, error * scale
    spread = np.sum([_scatter(row) for row in moved.rows], axis=0)[np.ix_(chosen, chosen)] / moved.events
    found = remedy.reweighted(spread, mean[:-1], expected=expected[:-1], error=error[:-1], events=moved.events)
    return float(mean[-1] - expected[-1]), found


def _expected(moved: _Moved, page: Page, numbers: Sequence[int]) -> tuple[Floats, Floats]:
    """Return the expected means of quantities over all rows, and their error: a quarter of what is benign."""
    pages = [page.expect(_pileup(row)) for row in moved.rows]
    weights = np.asarray([row.events for row in moved.rows]) / moved.events
    centre = weights @ np.stack([each.centre[numbers] for each in pages])
    return centre, weights @ np.stack([each.tolerance[numbers] for each in pages]) / ERROR_WIDTHS


def _scatter(row: Remembered) -> Floats:
    """Return the sums of products about the lumisection's own means."""
    return np.asarray(row.products - np.outer(row.sums, row.sums) / max(row.events, 1), np.float64)


def _pileup(row: Remembered) -> float:
    return float("nan") if row.pileup is None else row.pileup
