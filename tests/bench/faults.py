"""What is broken in the drift benchmark: one row of its table each, with the delay to reach and the best peer's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import pi

import numpy as np

from emulator.detector import SCENARIOS, Scenario
from emulator.detector.faults import (
    Ageing,
    BeamShift,
    Correlated,
    DeadRegion,
    Fault,
    HotTower,
    JetScale,
    Late,
    Region,
)

LUMISECTIONS = 1000
"""Of every fill: pile-up falls from about 60 to about 35 over it."""
EARLIEST, LATEST = 100, 200
"""A fault begins at a lumisection drawn from here: neither the judge nor the reader knows it beforehand."""
_DEAD = SCENARIOS["dead-region"].fault
_REGION = _DEAD.region if isinstance(_DEAD, DeadRegion) else Region((0.0, 0.0), (0.0, 0.0))


@dataclass(frozen=True, slots=True)
class Row:
    """One fault: `goal` is the delay to reach, where one was set; `peer` the best peer's; both in lumisections."""

    name: str
    goal: int | None
    peer: str
    longest: int

    def broken(self, seed: int) -> Scenario:
        """Return the run in which it happens: when and where is drawn from `seed`."""
        chance = np.random.default_rng((seed, 4242))
        onset = int(chance.integers(EARLIEST, LATEST))
        return replace(SCENARIOS["quiet"], fault=_fault(self.name, chance), onset=onset, lumisections=LUMISECTIONS)


ROWS = (
    Row("region dead", 1, "8", 20),
    Row("region half dead", 2, "128", 40),
    Row("0.35 x 0.35 dead", 5, "never", 60),
    Row("jet scale -5 %", 3, "28", 60),
    Row("jet scale -2 %", 10, "never", 150),
    Row("jet scale -1 %", 40, "never", 300),
    Row("hot tower 1e-2", 2, "never", 40),
    Row("hot tower 2e-3", 20, "never", 200),
    Row("ageing 5 % per 100", 60, "135", 200),
    Row("ageing 2 % per 100", 100, "271", 300),
    Row("ageing 1 % per 100", 160, "384", 400),
    Row("beam shift 5 %", 8, "never", 60),
    Row("beam shift 2 %", 40, "never", 200),
    Row("beam shift 1 %", 130, "never", 400),
    Row("one crossing late 1 %", None, "not run", 200),
    Row("correlation +0.25", 20, "never", 60),
    Row("correlation +0.10", 45, "never", 200),
)


def _fault(name: str, chance: np.random.Generator) -> Fault:
    turned = 2 * pi * chance.random()
    eta, phi = int(chance.integers(-52, 53)), int(chance.integers(0, 144))
    edge = float(chance.uniform(-2.2, 1.8))
    small = Region((edge, edge + 0.35), (0.9 * turned, 0.9 * turned + 0.35))
    return {
        "region dead": DeadRegion(_REGION),
        "region half dead": DeadRegion(_REGION, left=0.5),
        "0.35 x 0.35 dead": DeadRegion(small),
        "jet scale -5 %": JetScale(0.95),
        "jet scale -2 %": JetScale(0.98),
        "jet scale -1 %": JetScale(0.99),
        "hot tower 1e-2": HotTower(eta, phi, 1e-2),
        "hot tower 2e-3": HotTower(eta, phi, 2e-3),
        "ageing 5 % per 100": Ageing(5e-4),
        "ageing 2 % per 100": Ageing(2e-4),
        "ageing 1 % per 100": Ageing(1e-4),
        "beam shift 5 %": BeamShift(0.05, turned),
        "beam shift 2 %": BeamShift(0.02, turned),
        "beam shift 1 %": BeamShift(0.01, turned),
        "one crossing late 1 %": Late(0.01),
        # Dealing a share f anew raises Spearman's correlation of the leading pt, 0.18, by 0.83 f.
        "correlation +0.25": Correlated(0.30),
        "correlation +0.10": Correlated(0.12),
    }[name]
