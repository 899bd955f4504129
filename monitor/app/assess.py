"""What a demonstration found, held against what was injected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from emulator.detector.scenarios import Expected, Scenario
from monitor.decide.verdict import Level, Verdict

QUIET = "quiet"
CALLS = (Level.ACT, Level.UNKNOWN)
FULL_TURN = 6.283185307179586


@dataclass(frozen=True, slots=True)
class Result:
    """The last line of `trigwatch demo --once --json` (DESIGN §7)."""

    scenario: Scenario
    detected: Verdict | None
    false_alarms: tuple[Verdict, ...]
    retrain: str
    complaints: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        """Whether the daemon said what it should have said, and nothing before."""
        return not self.complaints

    def to_json(self) -> dict[str, Any]:
        """Return the result, JSON values only."""
        expected, found = self.scenario.expected, self.detected
        return {
            "scenario": self.scenario.name,
            "injected": {"ls": self.scenario.onset, "fault": type(self.scenario.fault).__name__}
            if self.scenario.name != QUIET
            else None,
            "detected": None
            if found is None
            else {key: found.to_json()[key] for key in ("ls", "level", "blame", "what", "where", "action")},
            "retrain": self.retrain,
            "expected": {
                "level": expected.level,
                "blame": expected.blame,
                "what": expected.what,
                "object": expected.object,
                "eta": expected.eta,
                "phi": expected.phi,
                "retrain": expected.retrain,
                "within": expected.within,
            },
            "as_expected": self.as_expected,
            "complaints": list(self.complaints),
        }


def assess(scenario: Scenario, verdicts: Sequence[Verdict], *, retrain: str) -> Result:
    """Return what the verdicts (one a lumisection, in order) make of the scenario.

    Detected is the first verdict at the expected level from the onset on: what it said then counts, not what it came
    to say later. Before the onset, and anywhere in a quiet run, every ACT and UNKNOWN is a false alarm. WATCH calls
    nobody and is none.
    """
    expected = scenario.expected
    quiet = expected.level == Level.OK
    before = [v for v in verdicts if quiet or v.lumisection.ls < scenario.onset]
    false_alarms = tuple(v for v in before if v.level in CALLS)
    detected = None
    if not quiet:
        after = (v for v in verdicts if v.lumisection.ls >= scenario.onset)
        detected = next((v for v in after if v.level == expected.level), None)
    complaints = [f"false alarm in {v.lumisection}: {v.level} {v.blame} {', '.join(v.what[:3])}" for v in false_alarms]
    if not verdicts:
        complaints.append("nothing was judged")
    if not quiet:
        complaints += _complaints(expected, scenario.onset, detected)
        complaints += _retrain_complaints(expected, retrain)
    return Result(scenario, detected, false_alarms, retrain, tuple(complaints))


def _complaints(expected: Expected, onset: int, found: Verdict | None) -> list[str]:
    if found is None:
        return [f"no verdict reached {expected.level}"]
    said = []
    if found.lumisection.ls > onset + expected.within:
        said.append(f"found in {found.lumisection.ls}, later than {onset} + {expected.within}")
    if found.blame != expected.blame:
        said.append(f"blamed {found.blame}, not {expected.blame}")
    if expected.what and not any(expected.what in quantity for quantity in found.what):
        said.append(f"named {', '.join(found.what[:3])}, nothing with {expected.what!r}")
    return said + _place_complaints(expected, found)


def _place_complaints(expected: Expected, found: Verdict) -> list[str]:
    said = []
    where = found.where
    if expected.object is not None and where.object != expected.object:
        said.append(f"placed it in object {where.object}, not {expected.object}")
    if expected.eta is not None and not _meet(where.eta, expected.eta):
        said.append(f"placed it at eta {where.eta}, not {expected.eta}")
    if expected.phi is not None and not any(
        _meet(where.phi, (expected.phi[0] + turn, expected.phi[1] + turn)) for turn in (-FULL_TURN, 0.0, FULL_TURN)
    ):
        said.append(f"placed it at phi {where.phi}, not {expected.phi}")
    return said


def _retrain_complaints(expected: Expected, retrain: str) -> list[str]:
    if expected.retrain is None or expected.retrain == (retrain != "none"):
        return []
    return [f"retraining is {retrain}, {'a proposal' if expected.retrain else 'none'} was expected"]


def _meet(left: tuple[float, float] | None, right: tuple[float, float]) -> bool:
    return left is not None and left[0] < right[1] and right[0] < left[1]
