"""From many e-detectors to one alarm, and to the list of what moved."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

FALSE_DISCOVERIES = 0.05


def weights(family: NDArray[np.int64]) -> Floats:
    """Return weights (q,) that sum to 1: families share equally, and so do the members of a family.

    An average of e-detectors under any dependence is an e-detector. Families first, or two thousand windows of a map
    would leave the accept rate no voice.
    """
    size = np.bincount(family)
    return np.asarray(1.0 / (np.count_nonzero(size) * size[family]))


def combined(log_e: Floats, share: Floats) -> float:
    """Return ln of the weighted average of e-values (q,)."""
    if not len(log_e):
        return float("-inf")
    top = float(log_e.max())
    return top + float(np.log(share @ np.exp(log_e - top)))


def discovered(log_e: Floats, share: Floats, *, age: int) -> NDArray[np.intp]:
    """Return the quantities that moved, by the e-BH procedure at a false discovery rate of `FALSE_DISCOVERIES`.

    After `age` lumisections E[M] <= age, so M / age is an e-value, and so is the weighted q share M / age. e-BH (Wang
    and Ramdas, arXiv 2009.02824): with e_(1) >= e_(2) >= …, take the k largest for the largest k with
    e_(k) >= q / (alpha k). Valid under any dependence.
    """
    level = log_e + np.log(np.maximum(share, 1e-300)) - np.log(max(age, 1))
    able = np.flatnonzero(level >= -np.log(FALSE_DISCOVERIES * max(len(log_e), 1)))
    order = able[np.argsort(-level[able], kind="stable")]
    k = np.arange(1, len(order) + 1)
    passes = level[order] >= -np.log(FALSE_DISCOVERIES * k)
    return order[: int(k[passes].max(initial=0))]
