"""The canary: planted faults are found, a blind battery is told on, and the live stream never notices."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from monitor.drift.battery import Battery
from monitor.drift.budget import Budget
from monitor.drift.evidence import Completeness, Evidence
from monitor.drift.state import BatteryState
from monitor.observe.shape import TALLY
from monitor.observe.summary import Summary
from monitor.reference.page import Page
from monitor.watch.canary import FAULTS, Canary, Plan
from tests.unit.drift.test_battery import page, run

BATTERY = Battery(Budget(lumisection_seconds=23.3))
WARM = 10


def compared(row: Summary) -> Summary:
    tally = row.counts["tally"].copy()
    tally[TALLY.index("compared")] = row.events
    return replace(row, counts={**row.counts, "tally": tally})


ROWS = tuple(compared(row) for row in run("quiet", seed=3, lumisections=140))


def sent(
    plan: Plan, *, against: Page | None = None, canary: Canary | None = None, rows: tuple[Summary, ...] = ROWS
) -> tuple[Canary, list[str]]:
    """Return the canary after `rows`, and what the live stream said."""
    state: BatteryState | None = None
    canary, said = canary or Canary(), list[str]()
    for row in rows:
        before, used = state, against or page()
        state, live = step(state, row, used)
        said.append(repr(live))
        canary = canary.step(plan, before=before, summary=row, page=used, live=live, battery=BATTERY)
    return canary, said


def step(state: BatteryState | None, row: Summary, used: Page) -> tuple[BatteryState, Evidence]:
    return BATTERY.step(state, summary=row, page=used, completeness=Completeness(row.events, row.events))


def test_every_fault_is_found_soon():
    canary, _ = sent(Plan(within=20, rest=2))
    assert set(canary.delays) == set(FAULTS)
    assert all(1 <= delay <= 10 for delay in canary.delays.values()), canary.delays


def test_the_live_stream_says_the_same_with_and_without():
    _, with_canaries = sent(Plan(rest=0))
    _, without = sent(Plan(faults=()))
    assert with_canaries == without


def test_a_blind_battery_misses_them():
    blind = replace(
        page(),
        wobble=page().wobble * 0 + 50.0,
        wander=page().wander * 0 + 50.0,
        places=replace(page().places, wobble=page().places.wobble * 0 + 50.0),
    )
    canary, _ = sent(Plan(faults=("dead-place", "low-scale"), within=8, rest=0), against=blind, rows=ROWS[:40])
    assert canary.delays == {"dead-place": math.inf, "low-scale": math.inf}


def test_nothing_is_planted_while_the_stream_is_in_doubt():
    broken = tuple(compared(row) for row in run("dead-region")[60:75])
    canary, _ = sent(Plan(rest=0), rows=broken)
    assert canary.shadow is None
    assert canary.delays == {}


def test_a_restart_goes_on_where_it_stopped():
    plan, state, one, other = Plan(faults=("low-scale", "dead-place"), rest=1), None, Canary(), Canary()
    for row in ROWS[:40]:
        before = state
        state, live = step(state, row, page())
        one = one.step(plan, before=before, summary=row, page=page(), live=live, battery=BATTERY)
        other = Canary.from_bytes(other.to_bytes())
        other = other.step(plan, before=before, summary=row, page=page(), live=live, battery=BATTERY)
    assert one.delays
    assert one.to_bytes() == other.to_bytes()
    assert (
        Canary(delays={"low-scale": math.inf}).to_bytes()
        == Canary.from_bytes(Canary(delays={"low-scale": math.inf}).to_bytes()).to_bytes()
    )


def test_a_fault_changes_only_what_it_breaks():
    changed = {"dead-place": "towers", "hot-tower": "towers", "low-scale": "inputs", "mismatches": "tally"}
    row = ROWS[WARM]
    for name, fault in FAULTS.items():
        planted = fault(row, page())
        assert planted is not None
        differ = {key for key in row.counts if not np.array_equal(row.counts[key], planted.counts[key])}
        assert differ == {changed[name]}
        assert all((planted.counts[key] >= 0).all() for key in planted.counts if key not in ("sums", "products"))


def test_what_cannot_be_planted_is_passed_over():
    plan = Plan(faults=("mismatches", "low-scale"), rest=0)
    uncompared = run("quiet", seed=3, lumisections=140)[:30]
    canary, _ = sent(plan, rows=uncompared)
    assert set(canary.delays) == {"low-scale"}


def test_epochs_that_take_turns_do_not_disturb_a_canary():
    """Lumisections of another epoch, unjudged or judged, come between those of the canary's own."""
    plan, state, canary, alone = Plan(faults=("low-scale",), within=20, rest=0), None, Canary(), Canary()
    for row in ROWS[:12]:
        before = state
        state, live = step(state, row, page())
        alone = alone.step(plan, before=before, summary=row, page=page(), live=live, battery=BATTERY)
        canary = canary.step(plan, before=before, summary=row, page=page(), live=live, battery=BATTERY)
        other = replace(row, key=replace(row.key, epoch=replace(row.key.epoch, menu="other")))
        if canary.shadow is not None:
            canary = canary.step(plan, before=None, summary=other, page=None, live=live, battery=BATTERY)
            assert canary.waited == 1
    assert canary.delays == alone.delays != {}


def test_a_canary_of_an_epoch_that_never_comes_back_is_dropped():
    plan, state, canary = Plan(faults=("low-scale",), within=6, rest=0), None, Canary()
    row = ROWS[0]
    for row in ROWS[:WARM]:
        before = state
        state, live = step(state, row, page())
        canary = canary.step(plan, before=before, summary=row, page=page(), live=live, battery=BATTERY)
        if canary.shadow is not None:
            break
    other = replace(row, key=replace(row.key, epoch=replace(row.key.epoch, menu="other")))
    for waited in range(1, 6):
        canary = canary.step(plan, before=None, summary=other, page=None, live=live, battery=BATTERY)
        assert canary.shadow is not None
        assert canary.waited == waited
    canary = canary.step(plan, before=None, summary=other, page=None, live=live, battery=BATTERY)
    assert (canary.shadow, canary.waited, canary.delays) == (None, 0, {})


def test_a_place_that_is_empty_in_the_reference_is_not_killed():
    row, full = ROWS[WARM], page()
    towers = full.places.towers.copy()
    for grid in full.shape.grids:
        grid.of(towers)[: grid.rows // 2] = 0  # half of the detector is masked for good
    masked = replace(full, places=replace(full.places, towers=towers))
    for used in (full, masked):
        planted = FAULTS["dead-place"](row, used)
        assert planted is not None
        gone = row.counts["towers"] - planted.counts["towers"]
        assert gone.sum() > 0
        assert (used.places.towers[gone > 0] > 0).all()


def test_a_plan_that_cannot_be_followed_is_refused():
    with pytest.raises(ValueError, match="canary 'dead-cat' is not known: choose of dead-place"):
        Plan(faults=("dead-cat",))
    with pytest.raises(ValueError, match="at least 1 and 0"):
        Plan(within=0)
