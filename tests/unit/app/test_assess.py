"""The demonstration's judge: it must be hard to please."""

from __future__ import annotations

from dataclasses import replace
from math import pi
from typing import Any

import pytest

from emulator.detector import SCENARIOS
from emulator.detector.scenarios import Expected, Scenario
from monitor.app.assess import assess
from monitor.decide.verdict import Blame, Level, Verdict
from monitor.drift.evidence import Where
from monitor.trigger.lumisection import Lumisection

ONSET = 10
EXPECTED = Expected(
    "act", "detector", what="jet", object="jet", eta=(1.0, 2.0), phi=(6.0, 6.4), retrain=False, within=5
)
SCENARIO = replace(SCENARIOS["dead-region"], onset=ONSET, lumisections=20, expected=EXPECTED)
QUIET = replace(SCENARIOS["quiet"], lumisections=20)


def verdict(ls: int, level: Level = Level.OK, **changes: Any) -> Verdict:
    found = Verdict(
        id="v",
        stream="s",
        model="m",
        digest="d",
        lumisection=Lumisection(1, ls),
        level=level,
        blame=Blame.NONE if level is Level.OK else Blame.DETECTOR,
        since=Lumisection(1, ls),
        what=() if level is Level.OK else ("jet tower", "met"),
        where=Where() if level is Level.OK else Where(object="jet", eta=(1.5, 1.7), phi=(6.1, 6.2)),
        evidence={},
        action="",
    )
    return replace(found, **changes)


def run(*changed: Verdict, length: int = 20) -> list[Verdict]:
    """Return a verdict for every lumisection: ok, but for the given ones."""
    given = {each.lumisection.ls: each for each in changed}
    return [given.get(ls, verdict(ls)) for ls in range(1, length + 1)]


def complaints(*changed: Verdict, scenario: Scenario = SCENARIO, retrain: str = "none") -> tuple[str, ...]:
    return assess(scenario, run(*changed), retrain=retrain).complaints


def test_what_was_expected_is_as_expected():
    result = assess(SCENARIO, run(verdict(12, Level.ACT)), retrain="none")
    assert result.as_expected
    said = result.to_json()
    assert said["injected"] == {"ls": ONSET, "fault": "DeadRegion"}
    assert (said["detected"]["ls"], said["detected"]["level"], said["as_expected"]) == (12, "act", True)


@pytest.mark.parametrize(
    ("found", "complaint"),
    [
        (verdict(16, Level.ACT), "found in 16, later than 10 + 5"),
        (verdict(12, Level.ACT, blame=Blame.FIRMWARE), "blamed firmware, not detector"),
        (verdict(12, Level.ACT, what=("met",)), "named met, nothing with 'jet'"),
        (verdict(12, Level.ACT, where=Where(object="muon", eta=(1.5, 1.7), phi=(6.1, 6.2))), "in object muon, not jet"),
        (verdict(12, Level.ACT, where=Where(object="jet", eta=(2.0, 3.0), phi=(6.1, 6.2))), "at eta (2.0, 3.0)"),
        (verdict(12, Level.ACT, where=Where(object="jet", phi=(6.1, 6.2))), "at eta None"),
        (verdict(12, Level.ACT, where=Where(object="jet", eta=(1.5, 1.7), phi=(1.0, 2.0))), "at phi (1.0, 2.0)"),
        (verdict(12, Level.UNKNOWN), "no verdict reached act"),
        (verdict(12, Level.WATCH), "no verdict reached act"),
    ],
)
def test_every_way_to_be_wrong_is_a_complaint(found: Verdict, complaint: str):
    (said,) = complaints(found)
    assert complaint in said


def test_the_first_call_counts_not_what_was_said_later():
    (said,) = complaints(verdict(11, Level.ACT, blame=Blame.CONDITIONS), verdict(12, Level.ACT))
    assert "blamed conditions" in said


@pytest.mark.parametrize("level", [Level.ACT, Level.UNKNOWN])
def test_a_call_before_the_onset_is_a_false_alarm(level: Level):
    (said,) = complaints(verdict(9, level), verdict(12, Level.ACT))
    assert said.startswith(f"false alarm in 1:9: {level}")


def test_a_watch_calls_nobody_and_is_no_false_alarm():
    assert complaints(verdict(9, Level.WATCH), verdict(12, Level.ACT)) == ()


@pytest.mark.parametrize("ls", [1, 20])
def test_in_a_quiet_run_every_call_is_false(ls: int):
    (said,) = complaints(verdict(ls, Level.ACT), scenario=QUIET)
    assert said.startswith("false alarm")
    assert complaints(scenario=QUIET) == ()


def test_a_run_without_verdicts_is_not_as_expected():
    assert "nothing was judged" in assess(QUIET, [], retrain="none").complaints


@pytest.mark.parametrize(
    ("wanted", "state", "good"),
    [(False, "none", True), (False, "proposed", False), (True, "proposed", True), (True, "none", False)],
)
def test_a_retraining_request_is_held_against_what_was_expected(wanted: bool, state: str, good: bool):
    scenario = replace(SCENARIO, expected=replace(EXPECTED, retrain=wanted))
    assert (complaints(verdict(12, Level.ACT), scenario=scenario, retrain=state) == ()) is good


def test_angles_meet_across_the_full_turn():
    """6.0 to 6.4 reaches over 2 pi: a place at 0.05 is in it."""
    around = Where(object="jet", eta=(1.5, 1.7), phi=(0.0, 0.1))
    assert complaints(verdict(12, Level.ACT, where=around)) == ()
    negative = Where(object="jet", eta=(1.5, 1.7), phi=(6.1 - 2 * pi, 6.2 - 2 * pi))
    assert complaints(verdict(12, Level.ACT, where=negative)) == ()
