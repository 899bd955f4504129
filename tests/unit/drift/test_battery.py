"""The battery on the simulated detector: quiet where nothing is broken, quick and well aimed where something is."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

import numpy as np
import pytest

from emulator.detector import SCENARIOS, play, reference_fills
from emulator.detector.faults import Late
from emulator.pack import Unreadable, pack
from monitor.drift import poisson
from monitor.drift.battery import Battery
from monitor.drift.budget import Budget
from monitor.drift.edetector import BETS, EMPTY
from monitor.drift.evidence import Completeness, Evidence
from monitor.drift.state import BatteryState
from monitor.observe.quantities import catalogue
from monitor.observe.summary import Summary, SummaryKey
from monitor.reference.apprentice import Apprentice
from monitor.reference.learn import learn
from monitor.reference.page import Page
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import CMS
from tests.unit.drift.detector import summaries

BATTERY = Battery(Budget(lumisection_seconds=CMS.lumisection_seconds))
ONSET = 61


@lru_cache(maxsize=1)
def page() -> Page:
    fills = reference_fills(seed=1000, fills=5, lumisections=40, events_per_lumisection=1000)
    return next(iter(learn(summaries(fills))))


@lru_cache(maxsize=8)
def run(scenario: str, seed: int = 1, lumisections: int = 80) -> tuple[Summary, ...]:
    return tuple(summaries(play(SCENARIOS[scenario], seed=seed, lumisections=lumisections)))


def judged(
    rows: Iterable[Summary], *, against: Page | None = None, state: BatteryState | None = None
) -> tuple[BatteryState, list[Evidence]]:
    found = []
    for row in rows:
        whole = Completeness(row.events, row.events)
        state, evidence = BATTERY.step(state, summary=row, page=against or page(), completeness=whole)
        found.append(evidence)
    assert state is not None
    return state, found


def alarms(found: Sequence[Evidence]) -> list[int]:
    return [each.lumisection.ls for each in found if each.alarm >= 1]


def test_a_clean_run_with_falling_pileup_raises_no_alarm():
    rows = run("quiet", seed=3, lumisections=140)
    _, found = judged(rows)
    assert alarms(found) == []
    assert all(each.unjudged is None and each.reference == page().id for each in found[3:-3])
    assert max(len(each.shifts) for each in found) <= 24


@pytest.mark.parametrize(
    ("scenario", "within", "objects"),
    [("dead-region", 2, ("jet", "egamma", None)), ("jet-scale", 3, ("jet",)), ("noise-burst", 2, ("jet", None))],
)
def test_a_broken_detector_is_flagged_within_a_few_lumisections(
    scenario: str, within: int, objects: tuple[str | None, ...]
):
    _, found = judged(run(scenario))
    first = alarms(found)[0]
    assert ONSET <= first <= ONSET + within
    shifts = found[-1].shifts if scenario != "noise-burst" else found[first - 1].shifts
    assert shifts[0].where.object in objects
    assert abs(shifts[0].since.ls - ONSET) <= 5


def test_a_dead_region_is_aimed_at():
    _, found = judged(run("dead-region"))
    expected = SCENARIOS["dead-region"].expected
    assert expected.eta is not None
    assert expected.phi is not None
    where = next(shift.where for shift in found[-1].shifts if shift.where.eta and shift.where.phi)
    assert where.eta is not None
    assert where.phi is not None
    assert max(where.eta[0], expected.eta[0]) < min(where.eta[1], expected.eta[1])
    assert max(where.phi[0], expected.phi[0]) < min(where.phi[1], expected.phi[1])
    assert found[-1].shifts[0].direction == -1


def test_five_percent_of_jet_scale_points_down_and_at_jets():
    _, found = judged(run("jet-scale"))
    top = found[-1].shifts[0]
    assert (top.direction, top.family) == (-1, "response")
    assert top.observed < top.expected - top.tolerance


def test_the_alarm_ends_soon_after_a_burst():
    _, found = judged(run("noise-burst", lumisections=90))
    assert alarms(found)[-1] <= ONSET + 5 + 10


def test_a_battery_restored_from_bytes_gives_the_same_evidence_bit_for_bit():
    rows = run("dead-region")
    state, _ = judged(rows[:65])
    onwards, expected = judged(rows[65:], state=state)
    restored, found = judged(rows[65:], state=BatteryState.from_bytes(state.to_bytes()))
    assert [repr(e) for e in found] == [repr(e) for e in expected]
    assert restored.to_bytes() == onwards.to_bytes()


def test_a_new_epoch_starts_the_detectors_anew():
    rows = run("dead-region")
    state, found = judged(rows[:70])
    assert found[-1].alarm > 1
    epoch = replace(rows[70].key.epoch, prescale_column="another")
    changed = replace(rows[70], key=SummaryKey(rows[70].key.stream, rows[70].key.lumisection, epoch))
    _, after = judged([changed], state=state)
    assert after[0].alarm < 1


def test_without_a_page_nothing_is_judged_and_the_reason_is_passed_on():
    row = run("quiet", seed=3, lumisections=140)[10]
    whole = Completeness(row.events, row.events)
    _, evidence = BATTERY.step(None, summary=row, page=None, completeness=whole, unjudged="learning 3 of 40")
    assert (evidence.reference, evidence.unjudged) == (None, "learning 3 of 40")
    assert np.isnan(evidence.alarm)
    assert evidence.shifts == ()
    assert evidence.accept is None


def test_beyond_the_learnt_pileup_the_detectors_wait():
    rows = run("quiet", seed=3, lumisections=140)
    narrow = replace(page(), low=55.0, high=70.0)
    state, found = judged(rows[:1], against=narrow)
    later, unjudged = judged(rows[-1:], against=narrow, state=state)
    assert found[0].unjudged is None
    assert "outside the learnt 55.0 to 70.0" in str(unjudged[0].unjudged)
    assert (later.steady.log_m == state.steady.log_m).all()
    assert (later.scan.m == state.scan.m).all()


def test_with_the_luminometer_silent_a_broken_detector_is_still_found():
    def deaf(row: Summary) -> Summary:
        tally = row.counts["tally"].copy()
        tally[-2:] = 0
        return replace(row, counts={**row.counts, "tally": tally})

    _, quiet = judged(deaf(row) for row in run("quiet", seed=3, lumisections=140))
    assert alarms(quiet) == []
    assert np.isnan(quiet[0].pileup)
    _, dead = judged(deaf(row) for row in run("dead-region"))
    assert ONSET <= alarms(dead)[0] <= ONSET + 10


def compared(row: Summary, *, mismatched: int) -> Summary:
    tally = row.counts["tally"].copy()
    tally[3:5] = row.events, mismatched
    return replace(row, counts={**row.counts, "tally": tally})


def test_mismatches_are_agreement_and_not_drift():
    rows = run("quiet", seed=3, lumisections=140)[:3]
    _, found = judged(replace(compared(row, mismatched=5), not_comparable={"unknown digest": 7}) for row in rows)
    agreement = found[-1].agreement
    assert (agreement.compared, agreement.mismatched) == (1000, 5)
    assert agreement.ratio > 1
    assert agreement.since == Lumisection(rows[0].key.lumisection.run, 1)
    assert dict(agreement.not_comparable) == {"unknown digest": 7}
    assert found[-1].alarm < 1


def test_what_a_broken_model_says_of_its_scores_is_not_left_over_as_drift():
    """While hardware and emulation differ nothing is gathered against the detector, nor when they agree again."""
    broken = [compared(row, mismatched=row.events) for row in run("unit-slip")[60:75]]
    mended = [compared(row, mismatched=0) for row in run("quiet")[:10]]
    _, found = judged((*broken, *mended))
    assert all(each.agreement.ratio >= 1 for each in found[:15])
    assert found[-1].agreement.ratio < 1
    assert max(each.alarm for each in found) < 0.5
    assert all(not each.shifts for each in found[:15])


def test_the_accept_rate_stands_beside_its_expectation():
    row = run("quiet", seed=3, lumisections=140)[100]
    _, found = judged([row])
    accept = found[0].accept
    assert accept is not None
    assert accept.observed == row.accepted / row.events
    assert abs(accept.observed - accept.expected) < 5 * accept.sigma


def test_river_speaks_up_about_a_jet_scale():
    state, heard = None, set()
    for row in run("jet-scale"):
        state, evidence = BATTERY.step(
            state, summary=row, page=page(), completeness=Completeness(row.events, row.events)
        )
        heard |= set(evidence.second_opinion)
    assert any("jet" in name for name in heard)


def test_bytes_that_are_no_state_are_unreadable():
    for content in (b"", pack({"book": 1}, {})):
        with pytest.raises(Unreadable):
            BatteryState.from_bytes(content)


@lru_cache(maxsize=1)
def long_page() -> Page:
    """A page of fills that are long enough to know their trains."""
    return next(iter(learn(summaries(reference_fills(seed=1000, fills=4, lumisections=60)))))


def test_events_one_crossing_late_are_found_behind_the_trains():
    """Nothing was ever seen there, in the reference as in the run before: what comes is news."""
    against, names = long_page(), catalogue(long_page().shape).names
    behind = names.index("events one after a train")
    assert against.live[behind]
    assert against.scarce[behind]
    late = replace(SCENARIOS["quiet"], fault=Late(0.02), onset=71)
    _, found = judged(summaries(play(late, seed=5, lumisections=95)), against=against)
    assert all(each.alarm < 0.5 for each in found[:70])
    assert 71 <= alarms(found)[0] <= 90
    assert found[-1].shifts[0].quantity == "events one after a train"
    assert found[-1].shifts[0].where.object is None


def test_nothing_is_bet_on_a_scarce_count_that_stays_away():
    against = long_page()
    _, found = judged(run("quiet", seed=3, lumisections=140), against=against)
    scarce = {catalogue(against.shape).names[i] for i in np.flatnonzero(against.scarce)}
    assert len(scarce) >= 4
    assert not [
        s for each in found for s in each.shifts if s.quantity in scarce and s.ratio > 0.5
    ]  # e^5: a sum of 140 stakes


def test_a_new_run_begins_without_trains_and_a_new_epoch_keeps_them():
    rows = run("quiet", seed=3, lumisections=140)
    state, _ = judged(rows[:70])
    key = rows[70].key
    moved = replace(rows[70], key=replace(key, lumisection=Lumisection(key.lumisection.run + 1, 1)))
    other = replace(rows[70], key=replace(key, epoch=replace(key.epoch, prescale_column="3")))
    assert state.filling.trains(key.lumisection.run) is not None
    assert judged([moved], state=state)[0].filling.trains(key.lumisection.run + 1) is None
    assert judged([other], state=state)[0].filling.trains(key.lumisection.run) is not None


def test_a_clean_stream_that_teaches_its_own_page_stays_quiet():
    """Without a Book: what a page of forty lumisections has not seen must not look like a fault."""
    apprentice, state, found = Apprentice(), None, []
    for row in run("quiet", seed=1, lumisections=240):
        whole, page_of = Completeness(row.events, row.events), apprentice.page
        state, evidence = BATTERY.step(state, summary=row, page=page_of, completeness=whole)
        apprentice = apprentice.taught(row, alarm=evidence.alarm)
        found.append(evidence)
    assert alarms(found) == []
    assert sum(each.unjudged is None for each in found) > 180


def test_what_was_never_measured_is_no_suspect():
    _, found = judged(run("dead-region")[: ONSET + 3], against=long_page())
    assert found[-1].alarm >= 1
    assert not [shift for shift in found[-1].shifts if "train" in shift.quantity]


def test_a_scarce_count_that_stays_away_for_ever_gains_nothing():
    against = long_page()
    scarce = np.flatnonzero(against.scarce)
    none = np.zeros(len(scarce))
    edges = poisson.bounds(against.expect(50.0).centre[scarce] * 1000, against.expect(50.0).tolerance[scarce])
    log_l = poisson.log_bets(none, edges, noise=np.ones(len(scarce)), bets=np.asarray(BETS))
    assert len(scarce) >= 4
    assert (log_l <= 0).all()


def test_components_are_judged_against_their_page_alone():
    """Along a run their curves are known no better than a fill is: only what goes beyond that is news."""
    state, _ = judged(run("quiet", seed=3, lumisections=140))
    live = catalogue(page().shape).mixed[page().live]
    assert live.sum() > 50
    assert (state.anchored.log_m[:, :, live] == EMPTY).all()
    assert (state.anchored.log_m[:, :, ~live] > EMPTY).any()
    assert (page().wobble[page().live][live] >= 0.02).all()
