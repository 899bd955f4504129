"""What is normal in this run: the page, moved to where the run itself has been so far.

Fills differ by their wobble, which a page must tolerate; within a fill the same quantities hardly move. So each
quantity's offset from its page is estimated from the run's own lumisections, with the wobble between fills as the
prior: after n of them with residuals r of variance s^2

    offset ~ Normal(m, v),   1/v = 1/W^2 + sum 1/s^2,   m = v sum r/s^2

(a normal mean under a normal prior; DeGroot, Optimal Statistical Decisions, 1970, ch. 9.5). A second set of e-detectors
then bets against the null

    |shift from m| <= sqrt((`WIDTHS` wander)^2 + `ERROR_WIDTHS`^2 v) + l

where the wander within fills was learnt with the page, and l is what a jump of the luminometer's calibration would do.
The estimate uses the past only, so bets stay bets.

A fault must not teach what is normal. Lumisections are taken in by blocks of `BLOCK`, one block late; while evidence of
a quantity grows nothing is taken in, for `PATIENCE` lumisections at most. What was taken in counts less with time
(`MEMORY`): offsets change slowly as pile-up falls.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.drift.judgement import Reading
from monitor.reference.page import Page

Floats = NDArray[np.float64]

BLOCK = 50
"""Lumisections that are taken in at once; a quantity is judged against its run from the first block on."""
PATIENCE, MEMORY = 75, 200
WIDTHS, ERROR_WIDTHS = 2.0, 2.5
_TAKEN, _WAITING, _PENDING = range(3)


@dataclass(frozen=True, slots=True, eq=False)
class Anchor:
    """Sums over the lumisections of `run`: shares of the rate for counts, the quantity's unit for means.

    Each is float64 (3, q): what is taken in, the block that waits, and the block that is being filled.

    Attributes
    ----------
    run
        None before the first.
    length
        Number of lumisections.
    precision, total
        Sum of 1/s^2, and of r/s^2.
    """

    run: int | None
    length: Floats
    precision: Floats
    total: Floats

    @classmethod
    def fresh(cls, quantities: int, run: int | None = None) -> Anchor:
        """Return the anchor of a run that has not begun."""
        return cls(run, np.zeros((3, quantities)), np.zeros((3, quantities)), np.zeros((3, quantities)))

    @property
    def settled(self) -> NDArray[np.bool_]:
        """Which quantities (q,) can be judged against the run."""
        return np.asarray(self.length[_TAKEN] > 0)

    def null(self, reading: Reading, page: Page) -> tuple[Floats, Floats]:
        """Return centre and tolerance (q,), as `judge` takes them."""
        wobble, wander = (each[reading.index] for each in (page.unit * page.wobble, page.unit * page.wander))
        variance = 1.0 / (1.0 / np.maximum(wobble, 1e-12) ** 2 + self.precision[_TAKEN])
        offset = variance * self.total[_TAKEN]
        tolerance = np.sqrt((WIDTHS * wander) ** 2 + ERROR_WIDTHS**2 * variance) + reading.misread
        return np.where(reading.counted, reading.centre * (1.0 + offset), reading.centre + offset), tolerance

    def taught(self, reading: Reading, *, held: NDArray[np.bool_], void: NDArray[np.bool_]) -> Anchor:
        """Return the anchor after one lumisection; quantities that are `held` (q,) take nothing in for a while.

        Of what is `void` (q,) nothing is learnt.
        """
        scale = np.where(reading.counted, np.maximum(reading.centre, 1e-300), 1.0)
        residual = (reading.observed - reading.centre) / scale
        use = reading.measured & (reading.sigma > 0) & ~void
        weight = np.where(use, 1.0 / np.maximum(reading.sigma / scale, 1e-150) ** 2, 0.0)
        waited = self.length[_PENDING] + use
        full = (waited >= BLOCK) & ~held | (waited >= PATIENCE)
        first = full & ~self.settled
        sums = (self.length, use), (self.precision, weight), (self.total, np.where(use, residual * weight, 0.0))
        return Anchor(self.run, *(_moved(old, old[_PENDING] + new, full=full, first=first) for old, new in sums))


def _moved(old: Floats, pending: Floats, *, full: NDArray[np.bool_], first: NDArray[np.bool_]) -> Floats:
    """Return sums (3, q) with `pending` (q,) in place; full blocks move up by one, the first of a run all the way."""
    return np.stack(
        [
            old[_TAKEN] * np.where(full, 1 - BLOCK / MEMORY, 1.0)
            + np.where(first, pending, np.where(full, old[_WAITING], 0.0)),
            np.where(full, np.where(first, 0.0, pending), old[_WAITING]),
            np.where(full, 0.0, pending),
        ]
    )
