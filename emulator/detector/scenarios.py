"""Eleven runs, each with one thing that goes wrong at a known lumisection, and what should be said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import pi
from types import MappingProxyType

from emulator.detector.faults import (
    Ageing,
    DeadRegion,
    Fault,
    HotTower,
    JetScale,
    NoiseBurst,
    Region,
    StaleModel,
    StreamLoss,
    TruncatedInput,
    UnitSlip,
    WeightUpset,
)
from emulator.detector.layout import CALO_ETA_LSB, CALO_PHI_STEPS

Interval = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Expected:
    """What a watcher should say once it has seen the fault, in the words of a verdict.

    Attributes
    ----------
    what
        Part of the name of at least one quantity of the verdict; "" is not checked.
    object, eta, phi
        Where the fault is, if it is somewhere: kind of object, and half-open intervals that a verdict's place meets.
    retrain
        Whether retraining should be proposed; None is not checked.
    within
        Lumisections after the onset by which it must be said.
    """

    level: str
    blame: str
    what: str = ""
    object: str | None = None
    eta: Interval | None = None
    phi: Interval | None = None
    retrain: bool | None = False
    within: int = 10


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run: `fault` from lumisection `onset` (from 1) on, over `lumisections` unless told otherwise."""

    name: str
    fault: Fault
    onset: int
    lumisections: int
    expected: Expected


# HEM15/16 of 2018: two wedges of the negative endcap.
_DEAD = Region(eta=(-3.0, -1.3), phi=(2 * pi - 1.57, 2 * pi - 0.87))
_HOT_ETA, _HOT_PHI = 30, 101
_HOT = Region(
    eta=((_HOT_ETA - 2) * CALO_ETA_LSB, (_HOT_ETA + 3) * CALO_ETA_LSB),
    phi=((_HOT_PHI - 2) * 2 * pi / CALO_PHI_STEPS, (_HOT_PHI + 3) * 2 * pi / CALO_PHI_STEPS),
)
_FIRMWARE = Expected("act", "firmware", retrain=False, within=10)
_ONSET = 61

_ALL = (
    Scenario("quiet", Fault(), _ONSET, 240, Expected("ok", "none", within=0)),
    Scenario(
        "dead-region",
        DeadRegion(_DEAD),
        _ONSET,
        160,
        Expected("act", "detector", eta=_DEAD.eta, phi=_DEAD.phi, retrain=False, within=20),
    ),
    Scenario(
        "hot-tower",
        HotTower(eta=_HOT_ETA, phi=_HOT_PHI, rate=1e-2),
        _ONSET,
        160,
        Expected("act", "detector", eta=_HOT.eta, phi=_HOT.phi, retrain=False, within=30),
    ),
    Scenario(
        "jet-scale",
        JetScale(0.95),
        _ONSET,
        180,
        Expected("act", "detector", "jet", object="jet", retrain=True, within=50),
    ),
    Scenario("ageing", Ageing(loss=5e-4), _ONSET, 240, Expected("act", "detector", "pt", retrain=True, within=100)),
    Scenario("weight-upset", WeightUpset(), _ONSET, 120, _FIRMWARE),
    Scenario("stale-model", StaleModel(), _ONSET, 120, Expected("act", "identity", within=5)),
    Scenario("truncated-input", TruncatedInput("muon"), _ONSET, 120, _FIRMWARE),
    Scenario("unit-slip", UnitSlip(), _ONSET, 120, _FIRMWARE),
    Scenario(
        "noise-burst", NoiseBurst(lumisections=5, jets=4.0), _ONSET, 120, Expected("act", "detector", "jet", within=5)
    ),
    Scenario("stream-loss", StreamLoss(partition=0, share=0.9), _ONSET, 120, Expected("unknown", "stream", within=3)),
)

SCENARIOS: Mapping[str, Scenario] = MappingProxyType({scenario.name: scenario for scenario in _ALL})
