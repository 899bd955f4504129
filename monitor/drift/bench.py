"""Detectors of one set of quantities: their evidence, since when, and the way back."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.drift import edetector
from monitor.drift.combine import combined, discovered, weights
from monitor.drift.edetector import BETS
from monitor.drift.evidence import Shift
from monitor.drift.judgement import Judgement
from monitor.drift.trail import Trail, follow, forget, returned
from monitor.trigger.lumisection import Lumisection

Floats = NDArray[np.float64]

SHOWN = 5
CAP_MARGIN = 3.0


@dataclass(frozen=True, slots=True, eq=False)
class Bench:
    """A value: ln of the e-detectors `log_m` float32 (b, 2, q), and the trail of their quantities."""

    log_m: NDArray[np.float32]
    trail: Trail

    @classmethod
    def fresh(cls, quantities: int) -> Bench:
        """Return detectors that have seen nothing."""
        return cls(edetector.fresh(quantities), Trail.fresh(quantities))

    def advanced(
        self, judgement: Judgement, *, line: float, lumisection: Lumisection, void: NDArray[np.bool_]
    ) -> Bench:
        """Return the detectors after one lumisection; emptied where it is `void` (q,), and where one has come back.

        `line` is ln of the level at which the average of all alarms: one quantity alone must be able to reach it from
        the cap; above that, height only delays the way back.
        """
        share = weights(judgement.reading.family)
        cap = line + float(np.log(2 * len(BETS) / share.min(initial=1.0))) + CAP_MARGIN
        log_m = edetector.advance(self.log_m, judgement.log_l, cap=cap)
        trail = follow(self.trail, judgement.excess, lumisection=lumisection)
        back = returned(trail) | void
        return Bench(np.where(back, edetector.EMPTY, log_m), forget(trail, back))

    def evidence(self) -> Floats:
        """Return ln of every quantity's average over bets and directions (q,)."""
        return edetector.mixed(self.log_m)

    def average(self, judgement: Judgement) -> float:
        """Return ln of the average over families."""
        return combined(self.evidence(), weights(judgement.reading.family))

    def shifts(self, judgement: Judgement, *, line: float, age: int) -> list[tuple[float, Shift]]:
        """Return (likelihood, case) of what e-BH selects; of the top few where it selects nothing."""
        log_e = self.evidence()
        moved = discovered(log_e, weights(judgement.reading.family), age=age)
        few = min(SHOWN, len(log_e))
        listed = moved if len(moved) else np.argpartition(-log_e, few - 1)[:few] if few else moved
        size = self.trail.likelihood()
        direction = size.argmax(axis=0)
        return [
            (
                float(size[direction[i], i]),
                judgement.shift(i, ratio=float(log_e[i]) / line, direction=int(direction[i]), trail=self.trail),
            )
            for i in listed.tolist()
            if size[direction[i], i] > 0  # never beyond its tolerance is no suspect, however long it was watched
        ]
