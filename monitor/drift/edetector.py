"""Shiryaev-Roberts e-detectors, for all quantities at once.

For increments L_t with E[L_t | past] <= 1 under the null,

    M_t = (M_{t-1} + 1) L_t

satisfies E[M_T] <= E[T] for every stopping time T, so alarming at M >= A gives an average run length of at least A
(Shin, Ramdas and Rinaldo, "E-detectors", arXiv 2203.03532). Averages of e-detectors are
e-detectors: bet sizes and directions are averaged, then families, then all (`combine`).

M is the sum over all possible change points of the evidence since then. Leaving starting points out only makes it
smaller. So both things done here for the sake of people keep the promise: M is capped, for a burst must not take hours
to fade; and M is set to zero where the quantity has demonstrably come back (`trail`).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BETS = (0.25, 0.6, 1.4, 3.0)
"""Bet sizes in standard deviations of one lumisection: half a sigma is found within a hundred, eight within one."""

EMPTY = np.float32(-60.0)
"""ln M of a detector that has seen nothing: exp(-60) is no evidence."""


def fresh(quantities: int) -> NDArray[np.float32]:
    """Return ln M (b, 2, q) of detectors that have seen nothing."""
    return np.full((len(BETS), 2, quantities), EMPTY, np.float32)


def advance(log_m: NDArray[np.float32], log_l: NDArray[np.float64], *, cap: float) -> NDArray[np.float32]:
    """Return ln M after one lumisection; both (b, 2, q).

    Kept in float32: what a restart reads back is exactly what was used.
    """
    grown = np.logaddexp(log_m, np.float32(0.0)) + log_l.astype(np.float32)
    return np.asarray(np.clip(grown, EMPTY, np.float32(cap)))


def mixed(log_m: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return ln of the average over bets and directions, (q,)."""
    bets, directions, _ = log_m.shape
    wide = log_m.astype(np.float64)
    return np.asarray(np.log(np.exp(wide).sum(axis=(0, 1)) / (bets * directions)))
