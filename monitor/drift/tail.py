"""How many events lie at or over a raw score, between the edges of the score's histogram too, and the way back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.observe.binning import score_edges

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Tail:
    """Events at or over a place on the score's axis; places are bins and shares of bins, as in `place`.

    Between two knots the logarithm of the count is linear: exact where scores fall as a power law, as the bins are
    log-like, and never more than a bin off.

    Attributes
    ----------
    knots : float64 (k,)
        Ascending places.
    over : float64 (k,)
        Events at or over them.
    """

    knots: Floats
    over: Floats

    @classmethod
    def of(cls, counts: NDArray[Any], *, threshold: int | None = None, accepted: int | None = None) -> Tail:
        """Return the tail of a histogram of scores (SCORE_BINS,).

        Where the trigger's own `accepted` events fit between the edges of the bin that holds raw `threshold`, they
        are one knot more: there the count is known, not interpolated.
        """
        over = np.concatenate([np.cumsum(np.asarray(counts, np.float64)[::-1])[::-1], [0.0]])
        knots = np.arange(len(over), dtype=np.float64)
        if threshold is None or accepted is None:
            return cls(knots, over)
        at = place(threshold)
        after = int(np.searchsorted(knots, at))
        inside = 0 < after < len(knots) and knots[after] != at and over[after - 1] >= accepted >= over[after]
        return cls(np.insert(knots, after, at), np.insert(over, after, accepted)) if inside else cls(knots, over)

    def count(self, at: float) -> float:
        """Return the events at or over a place."""
        after = int(np.clip(np.searchsorted(self.knots, at, side="right"), 1, len(self.knots) - 1))
        low, high = self.over[after - 1], self.over[after]
        share = (at - self.knots[after - 1]) / (self.knots[after] - self.knots[after - 1])
        share = min(max(float(share), 0.0), 1.0)
        return float(low * (high / low) ** share if high > 0 else low * (1.0 - share))

    def reached(self, events: float) -> float | None:
        """Return the place at or over which `events` events lie, or None where there never were so many, or none."""
        if not 0.0 < events < self.over[0]:
            return None
        before = int(np.flatnonzero(self.over >= events)[-1])
        low, high = self.over[before], self.over[before + 1]
        share = np.log(low / events) / np.log(low / high) if high > 0 else 1.0 - events / low
        return float(self.knots[before] + share * (self.knots[before + 1] - self.knots[before]))


def place(raw: float) -> float:
    """Return the place of a raw score: its bin, and how far into the bin it lies."""
    edges = score_edges()
    return float(np.interp(raw, edges, np.arange(len(edges))))


def raw_score(at: float) -> float:
    """Return the raw score at a place."""
    edges = score_edges()
    return float(np.interp(at, np.arange(len(edges)), edges))
