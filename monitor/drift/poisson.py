"""Bets on a count.

Null: the rate lies within (1 - t, 1 + t) times the expected one. With m expected counts and N seen, the upward bet on a
rate that is larger by r > 1 is

    L = exp((N ln r - m (1 + t) (r - 1)) / phi),   E[L] <= 1 for every rate up to (1 + t) m,

a Poisson likelihood ratio; downwards with 1 / r and (1 - t). `phi` is the page's variance over Poisson: objects come in
clumps of phi, bunch trains and the luminometer add to it. Exact for N / phi Poisson, and for phi = 1. Bet sizes are in
standard deviations, r = exp(b sqrt(phi / m)), so that one set of bets serves a tower and a sector; r is held below
`STEEPEST`, which keeps the bet sane where less than one count is expected.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

STEEPEST = 8.0
FEWEST = 1e-3
WIDEST_TOLERANCE = 1.0  # then nothing at all is benign too, and no downward bet can win


def bounds(expected: Floats, tolerance: Floats) -> Floats:
    """Return the edges of the null as counts (2, q): the most and the fewest that are benign.

    The most is never less than `FEWEST`; the fewest is as it is, for every rise of it would make a bet that gains.
    """
    share = np.minimum(tolerance, WIDEST_TOLERANCE)
    return np.stack([np.maximum(expected * (1 + tolerance), FEWEST), expected * (1 - share)])


def excess(counts: Floats, edges: Floats, noise: Floats) -> Floats:
    """Return how many standard deviations counts (q,) lie beyond the edges of the null, (2, q).

    The signed root of the Poisson deviance, 2 (N ln(N / m) - N + m) / phi: (N - m) / sqrt(m) would let ten counts where
    none was expected outweigh half a detector.
    """
    sign = np.asarray([[1.0], [-1.0]])
    ratio = np.maximum(counts, FEWEST) / np.maximum(edges, FEWEST)
    deviance = 2.0 * np.maximum(counts * np.log(ratio) - counts + edges, 0.0)
    return np.asarray(sign * np.sign(counts - edges) * np.sqrt(deviance / noise))


def log_bets(counts: Floats, edges: Floats, *, noise: Floats, bets: Floats) -> Floats:
    """Return ln L as (b, 2, q) for counts (q,), `bounds` (2, q), noise (q,) and bet sizes (b,)."""
    sign = np.asarray([[1.0], [-1.0]])
    steep = np.minimum(bets[:, None, None] * np.sqrt(noise / np.maximum(edges, FEWEST)), np.log(STEEPEST))
    ratio = sign * steep
    return np.asarray((counts * ratio - edges * np.expm1(ratio)) / noise)
