"""Bets on the mean of a quantity that is itself a mean.

Null: |shift| <= tolerance. For the upward bet of size b, with x = (residual - tolerance) / sigma,

    L = exp(b x - b^2 / 2),   E[L] <= 1 for every shift up to +tolerance,

the likelihood ratio of a sub-Gaussian mean at the edge of the null against one b sigmas beyond it (Robbins 1970; the
Gaussian case of arXiv 2203.03532). The downward bet takes -residual. Assumed: the mean of a lumisection's
entries is sub-Gaussian with the page's noise; logarithms of pt and score are used because those of pt are not.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def excess(residual: Floats, *, tolerance: Floats, sigma: Floats) -> Floats:
    """Return how many sigmas residuals (q,) lie beyond the tolerance, (2, q): upwards, downwards."""
    return (np.stack([residual, -residual]) - tolerance) / sigma


def log_bets(beyond: Floats, bets: Floats) -> Floats:
    """Return ln L as (b, 2, q) for `excess` (2, q) and bet sizes (b,)."""
    size = bets[:, None, None]
    return size * beyond - size**2 / 2
