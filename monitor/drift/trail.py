"""When each quantity began to move, and whether it has come back.

Since: a CUSUM of the excess x beyond tolerance, C_t = max(0, C_{t-1} + x_t - `ALLOWANCE`) (Page 1954); the last time it
left zero is the maximum-likelihood estimate of the change point. From there the count n and the sum S of x are kept:
S / n is the size d of the shift in sigmas, S^2 / 2n its log-likelihood ratio.

How surely: a change point k lumisections off costs k d^2 / 2 of log-likelihood, so those within ln(20) of it, k <=
2 ln(20) / d^2, are hardly less likely (Hinkley, Biometrika 57 (1970) 1).

Step or ramp: with the first moment T = sum t x_t, t = 1 … n, the slope of x has z = (T - S (n + 1) / 2) / sqrt(n (n^2 -
1) / 12). A positive one beyond `CLIMBING` is a ramp: something is still getting worse.

Back: once a quantity has moved by d = S / n, a second CUSUM adds up the evidence for "no shift" against "a shift of d",
B_t = max(0, B_{t-1} + d^2 / 2 - d x_t). At `PROOF` the quantity is back and its detectors start anew. Removing starting
points from an e-detector only makes it smaller, so this may be decided by any rule.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.trigger.lumisection import Lumisection

Floats = NDArray[np.float64]

ALLOWANCE = 0.25
LARGEST = 40.0
PROOF = 7.0  # e^7 = 1,100 to one
FAINTEST = 0.5
CLIMBING = 3.0
FEWEST_FOR_A_SLOPE = 5
_HARDLY = 2 * float(np.log(20.0))
_RUN_SHIFT = 32


@dataclass(frozen=True, slots=True, eq=False)
class Trail:
    """Where every quantity has been; all (2, q): upwards and downwards.

    Attributes
    ----------
    start : int64
        Lumisection in which the excess began, run << 32 | ls.
    length : int32
        Lumisections since then.
    total, moment, cusum, back : float32
        S, T, C and B of the module's formulas.
    """

    start: NDArray[np.int64]
    length: NDArray[np.int32]
    total: NDArray[np.float32]
    moment: NDArray[np.float32]
    cusum: NDArray[np.float32]
    back: NDArray[np.float32]

    @classmethod
    def fresh(cls, quantities: int) -> Trail:
        """Return a trail of quantities that have not moved."""
        size = (2, quantities)
        zero = np.zeros(size, np.float32)
        return cls(np.zeros(size, np.int64), np.zeros(size, np.int32), zero, zero.copy(), zero.copy(), zero.copy())

    def since(self, direction: int, quantity: int) -> Lumisection:
        """Return the estimated change point."""
        mark = int(self.start[direction, quantity])
        return Lumisection(mark >> _RUN_SHIFT, mark & ((1 << _RUN_SHIFT) - 1))

    def within(self, direction: int, quantity: int) -> int:
        """Return how many lumisections before or after `since` it may also have been."""
        size = float(self.total[direction, quantity]) / max(int(self.length[direction, quantity]), 1)
        longest = int(self.length[direction, quantity])
        return min(longest, int(np.ceil(_HARDLY / size**2))) if size > 0 else longest

    def climbs(self, direction: int, quantity: int) -> bool:
        """Say whether the shift is still growing."""
        n = float(self.length[direction, quantity])
        if n < FEWEST_FOR_A_SLOPE:
            return False
        total, moment = float(self.total[direction, quantity]), float(self.moment[direction, quantity])
        return (moment - total * (n + 1) / 2) / float(np.sqrt(n * (n**2 - 1) / 12)) > CLIMBING

    def likelihood(self) -> Floats:
        """Return S^2 / 2n (2, q), 0 where the excess is negative: how large the shift is, without any cap."""
        total = np.maximum(self.total.astype(np.float64), 0.0)
        return np.asarray(total**2 / (2.0 * np.maximum(self.length, 1)))


def follow(trail: Trail, excess: Floats, *, lumisection: Lumisection) -> Trail:
    """Return the trail after one lumisection's `excess` (2, q), NaN where not measured."""
    seen = np.isfinite(excess)
    x = np.maximum(np.minimum(np.where(seen, excess, 0.0), LARGEST), -LARGEST).astype(np.float32)
    anew = trail.cusum <= 0
    mark = np.int64((lumisection.run << _RUN_SHIFT) | lumisection.ls)
    length = np.where(anew, 0, trail.length) + seen
    size = np.maximum(np.where(anew, 0, trail.total / np.maximum(trail.length, 1).astype(np.float32)), FAINTEST)
    step = np.where(seen, size * size / 2 - size * x, 0)
    return Trail(
        start=np.where(anew, mark, trail.start),
        length=length,
        total=np.where(anew, 0, trail.total) + x,
        moment=np.where(anew, 0, trail.moment) + length.astype(np.float32) * x,
        cusum=np.where(seen, np.maximum(trail.cusum + x - ALLOWANCE, 0), trail.cusum),
        back=np.maximum(np.where(anew, 0, trail.back) + step, 0),
    )


def returned(trail: Trail) -> NDArray[np.bool_]:
    """Say which quantities (2, q) have come back."""
    found: NDArray[np.bool_] = trail.back >= PROOF
    return found


def forget(trail: Trail, which: NDArray[np.bool_]) -> Trail:
    """Return the trail with `which` (2, q) at the beginning again."""
    return Trail(
        start=trail.start,
        length=np.where(which, 0, trail.length),
        total=np.where(which, 0, trail.total),
        moment=np.where(which, 0, trail.moment),
        cusum=np.where(which, 0, trail.cusum),
        back=np.where(which, 0, trail.back),
    )
