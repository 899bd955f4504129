"""Bit mismatches between hardware and emulation, against a declared floor.

Per lumisection with n compared and k mismatching events, for each alternative p1 above the floor p0,

    L = (p1 / p0)^k ((1 - p1) / (1 - p0))^(n - k),   E[L] <= 1 while the true share is at most p0,

and M = (M + [k > 0]) L is a Shiryaev-Roberts e-detector whose starting points are lumisections with a mismatch; the
average over a grid of p1 is reported. It alarms at 1 / alpha, its share of the false-alarm budget (`budget`): a share
of 0.785 % over a floor of 0.085 % (the incident of cmssw #49753) is flagged within about 1,320 events at alpha = 1e-6,
plus the price of not knowing p1.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import log

import numpy as np
from numpy.typing import NDArray

from monitor.trigger.lumisection import Lumisection

Floats = NDArray[np.float64]

ALTERNATIVES = 12
MOST, HIGH_FLOOR = 0.99, 0.15
SMALLEST_FLOOR, USUAL_FLOOR = 1e-9, 1e-6
_EMPTY = -60.0
_PROOF = 7.0
_MARGIN = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Mismatch:
    """What is remembered: ln M per alternative (12,), the counts since the first mismatch, and the way back."""

    log_m: Floats
    since: Lumisection | None = None
    compared: int = 0
    mismatched: int = 0
    back: float = 0.0

    @classmethod
    def fresh(cls) -> Mismatch:
        """Return the state before any event."""
        return cls(np.full(ALTERNATIVES, _EMPTY))

    def ratio(self, alpha: float) -> float:
        """Return ln(average M) / ln(1 / alpha), at least 0; 1 is the alarm line."""
        return max(0.0, float(np.log(np.exp(self.log_m).mean()))) / -log(alpha)


def advance(
    state: Mismatch, *, compared: int, mismatched: int, floor: float, alpha: float, lumisection: Lumisection
) -> Mismatch:
    """Return the state after one lumisection."""
    if not compared or (state.since is None and not mismatched):
        return state
    p0 = max(floor, SMALLEST_FLOOR)
    least = max(3 * p0, 1e-6) if p0 < HIGH_FLOOR else (p0 + 1) / 2
    p1 = np.geomspace(least, max(MOST, least), ALTERNATIVES)
    log_l = mismatched * np.log(p1 / p0) + (compared - mismatched) * (np.log1p(-p1) - np.log1p(-p0))
    started = np.logaddexp(state.log_m, 0.0) if mismatched else state.log_m
    # Capped, so that a burst does not take hours to fade; a capped e-detector is smaller, and so still one.
    cap = -log(alpha) + log(ALTERNATIVES) + _MARGIN
    grown = Mismatch(
        log_m=np.clip(started + log_l, _EMPTY, cap),
        since=state.since or lumisection,
        compared=state.compared + compared,
        mismatched=state.mismatched + mismatched,
    )
    back = max(0.0, state.back + _way_back(grown, p0, compared=compared, mismatched=mismatched))
    return Mismatch.fresh() if back >= _PROOF else replace(grown, back=back)


def _way_back(state: Mismatch, p0: float, *, compared: int, mismatched: int) -> float:
    """Return the evidence of this lumisection for the floor against the share seen since the first mismatch."""
    share = min(max(state.mismatched / state.compared, 2 * p0), 1 - 1e-9)
    return mismatched * log(p0 / share) + (compared - mismatched) * float(np.log1p(-p0) - np.log1p(-share))
