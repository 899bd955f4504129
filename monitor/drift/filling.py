"""How the machine is filled in this run, learnt from where in the orbit its events lie."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.observe.summary import Summary
from monitor.observe.trains import Trains


@dataclass(frozen=True, slots=True, eq=False)
class Filling:
    """Events of `run` so far by crossing, int64 (crossings,); `run` is None before the first."""

    run: int | None
    events: NDArray[np.int64]

    @classmethod
    def fresh(cls) -> Filling:
        """Return what is known before the first lumisection."""
        return cls(None, np.zeros(0, np.int64))

    def trains(self, run: int) -> Trains | None:
        """Return the trains of `run`, None while it has had too few events to tell."""
        return Trains.of(self.events) if self.run == run else None

    def taught(self, summary: Summary) -> Filling:
        """Return the filling after one lumisection; another run begins anew."""
        seen, run = summary.counts["bx"][0], summary.key.lumisection.run
        goes_on = self.run == run and len(self.events) == len(seen)
        return Filling(run, self.events + seen if goes_on else seen)
