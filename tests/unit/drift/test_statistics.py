"""Each statistic on its own."""

from __future__ import annotations

from itertools import product
from math import log

import numpy as np
import pytest

from monitor.drift import edetector, mismatch
from monitor.drift.budget import Budget
from monitor.drift.combine import combined, discovered, weights
from monitor.drift.mismatch import Mismatch, advance
from monitor.drift.second_opinion import FEWEST, MISMATCHES, WINDOW, Opinion, detectors
from monitor.drift.trail import Trail, follow, forget, returned
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import CMS


def test_one_false_page_a_week_is_split_between_agreement_and_conditions():
    budget = Budget(lumisection_seconds=CMS.lumisection_seconds)
    assert 1 / budget.arl0 + budget.mismatch_alpha == pytest.approx(1 / 25_945, rel=1e-3)
    assert budget.mismatch_alpha == pytest.approx(0.2 / 25_945, rel=1e-3)
    assert Budget(7, lumisection_seconds=CMS.lumisection_seconds).arl0 == pytest.approx(budget.arl0 / 7)


def test_streams_share_the_budget():
    one, three = (Budget(lumisection_seconds=CMS.lumisection_seconds, streams=n) for n in (1, 3))
    assert 3 * (1 / three.arl0 + three.mismatch_alpha) == pytest.approx(1 / one.arl0 + one.mismatch_alpha)


def test_a_budget_of_nothing_is_refused():
    with pytest.raises(ValueError, match="must be positive"):
        Budget(lumisection_seconds=CMS.lumisection_seconds, streams=0)
    with pytest.raises(ValueError, match="must be positive"):
        Budget(0, lumisection_seconds=CMS.lumisection_seconds)


def test_families_share_equally_and_so_do_their_members():
    share = weights(np.asarray([4, 4, 4, 9]))
    assert share == pytest.approx([1 / 6, 1 / 6, 1 / 6, 1 / 2])


def test_the_combination_is_the_weighted_average_also_where_floats_would_overflow():
    log_e = np.asarray([0.0, 1.0, 2.0])
    share = np.asarray([0.2, 0.3, 0.5])
    assert combined(log_e, share) == pytest.approx(log(0.2 + 0.3 * np.e + 0.5 * np.e**2))
    assert combined(log_e + 2000, share) == pytest.approx(combined(log_e, share) + 2000)


def test_ebh_finds_the_large_ones_and_only_them():
    log_e = np.zeros(100)
    log_e[[7, 42]] = log(100 / 0.05 * 50) + 0.1
    even = np.full(100, 0.01)
    assert discovered(log_e, even, age=50).tolist() == [7, 42]
    assert discovered(log_e, even, age=5000).tolist() == []
    assert discovered(np.zeros(100), even, age=1).tolist() == []


def test_ebh_asks_less_of_what_has_more_weight():
    log_e = np.full(100, log(100 / 0.05 * 50) - 8.0)
    log_e[[7, 42]] += 5.0
    share = np.full(100, 0.005)
    share[7] = 0.505
    assert discovered(log_e, share, age=50).tolist() == [7]


def walk(excess: np.ndarray, trail: Trail, first: int = 1) -> Trail:
    for number, x in enumerate(excess, first):
        trail = follow(trail, np.asarray([[x], [-x]]), lumisection=Lumisection(3, number))
    return trail


def test_the_change_point_is_found_within_a_few_lumisections():
    rng = np.random.default_rng(2)
    found = []
    for _ in range(50):
        x = rng.normal(-0.3, 1.0, 200)
        x[120:] += 1.8
        found.append(walk(x, Trail.fresh(1)).since(0, 0).ls)
    assert abs(np.median(found) - 121) <= 2
    assert np.percentile(np.abs(np.asarray(found) - 121), 80) <= 12


def test_a_ramp_is_told_from_a_step():
    rng = np.random.default_rng(4)
    climbing = {"step": 0, "ramp": 0}
    for _ in range(50):
        noise = rng.normal(0.0, 1.0, 60)
        shapes = {"step": np.full(60, 1.5), "ramp": 0.06 * np.arange(60)}
        for name, shape in shapes.items():
            climbing[name] += walk(noise + shape, Trail.fresh(1)).climbs(0, 0)
    assert climbing["step"] <= 2
    assert climbing["ramp"] >= 45


def test_the_true_change_point_lies_within_the_interval():
    rng = np.random.default_rng(6)
    inside = 0
    for _ in range(100):
        x = rng.normal(-0.3, 1.0, 80)
        x[50:] += 1.8
        trail = walk(x, Trail.fresh(1))
        inside += abs(trail.since(0, 0).ls - 51) <= trail.within(0, 0) < 30
    assert inside >= 85


def test_a_quantity_that_is_back_is_noticed_and_one_that_is_not_is_not():
    rng = np.random.default_rng(2)
    moved = walk(rng.normal(2.0, 1.0, 60), Trail.fresh(1))
    assert not returned(moved).any()
    back = walk(rng.normal(-0.3, 1.0, 12), moved, first=61)
    assert returned(back)[0, 0]
    assert forget(back, returned(back)).likelihood()[0, 0] == 0


def test_what_is_not_measured_leaves_the_trail_alone():
    moved = walk(np.full(5, 2.0), Trail.fresh(1))
    same = follow(moved, np.full((2, 1), np.nan), lumisection=Lumisection(3, 6))
    assert (same.total[0, 0], same.length[0, 0], same.since(0, 0)) == (10.0, 5, Lumisection(3, 1))


def test_a_capped_detector_grows_no_further():
    log_m = edetector.fresh(1)
    for _ in range(50):
        log_m = edetector.advance(log_m, np.full((4, 2, 1), 9.0), cap=20.0)
    assert float(log_m.max()) == 20.0


def feed(counts: list[tuple[int, int]], *, floor: float, state: Mismatch | None = None) -> Mismatch:
    state = state or Mismatch.fresh()
    for number, (compared, mismatched) in enumerate(counts, 1):
        state = mismatch.advance(
            state,
            compared=compared,
            mismatched=mismatched,
            floor=floor,
            alpha=1e-6,
            lumisection=Lumisection(1, number),
        )
    return state


def events_to_alarm(share: float, floor: float, rng: np.random.Generator) -> int:
    state = Mismatch.fresh()
    for number in range(1, 200):
        state = feed([(50, int(rng.binomial(50, share)))], floor=floor, state=state)
        if state.ratio(1e-6) >= 1:
            return 50 * number
    return 10_000


def test_the_known_incident_is_flagged_within_some_1300_events():
    """157 of 20,000 where 17 are benign: for two years nobody had noticed."""
    rng = np.random.default_rng(4)
    delays = [events_to_alarm(0.00785, 0.00085, rng) for _ in range(60)]
    assert np.mean(delays) < 2000
    assert np.median(delays) < 1800


def test_the_declared_floor_itself_never_alarms():
    rng = np.random.default_rng(4)
    state, worst = Mismatch.fresh(), 0.0
    for count in rng.binomial(1000, 0.00085, 5000):
        state = feed([(1000, int(count))], floor=0.00085, state=state)
        worst = max(worst, state.ratio(1e-6))
    assert worst < 0.8


def test_without_a_mismatch_there_is_no_evidence_and_no_beginning():
    state = feed([(100_000, 0)] * 50, floor=1e-6)
    assert state.ratio(1e-6) == 0
    assert state.since is None


def test_mismatches_alarm_at_once_with_no_floor_and_are_forgotten_when_they_stop():
    broken = feed([(1000, 0), (1000, 3), (1000, 4)], floor=0.0)
    assert broken.ratio(1e-6) > 1
    assert broken.since == Lumisection(1, 2)
    mended = feed([(1000, 0)] * 10, floor=0.0, state=broken)
    assert mended.ratio(1e-6) == 0
    assert mended.since is None


def opinion(values: np.ndarray) -> tuple[str, ...]:
    window = Opinion.fresh(1)
    fired: tuple[str, ...] = ()
    for value in values:
        window = window.seen(np.asarray([value]), None)
        fired += window.fired(["rate"], detectors())
    assert len(window.residuals) <= WINDOW
    return fired


def test_river_notices_a_shift_and_sleeps_otherwise():
    rng = np.random.default_rng(6)
    calm = rng.normal(0, 1, 120)
    assert opinion(calm) == ()
    assert "rate" in opinion(np.append(calm, rng.normal(3, 1, 20)))


def test_river_fires_on_the_lumisection_where_its_own_loop_does():
    """The screen in front of river may not hide what river alone would have said."""
    fired = np.zeros(2, np.int64)
    for seed, shift in product(range(10), (2.5, 6.0)):
        rng = np.random.default_rng(seed)
        values = np.append(rng.normal(0, 1, WINDOW - 12), rng.normal(shift, 1, 12))
        window, alone = Opinion.fresh(1), [make() for make in detectors().residuals]
        for value in values:
            window = window.seen(np.asarray([value]), None)
            for detector in alone:
                detector.update(float(value))
            said = [bool(detector.drift_detected) for detector in alone]
            fired += said
            if len(window.residuals) >= FEWEST:
                assert bool(window.fired(["rate"], detectors())) == any(said)
    assert (fired > 0).all(), "one of the two never had an opinion"


def adwin(counts: np.ndarray) -> list[int]:
    window, found = Opinion.fresh(0), []
    for number, count in enumerate(counts.tolist()):
        window = window.seen(np.zeros(0), count)
        found += [number] if MISMATCHES in window.fired([], detectors()) else []
    return found


def test_adwin_notices_mismatches_that_begin_and_sleeps_on_a_floor():
    rng = np.random.default_rng(9)
    floor = rng.binomial(1000, 0.00085, 200)
    assert adwin(floor) == []
    begun = adwin(np.append(floor[:30], rng.binomial(1000, 0.0785, 10)))
    assert begun
    assert 30 <= begun[0] <= 33


@pytest.mark.parametrize("floor", [1e-6, 0.1, 0.2, 0.6, 0.9, 0.995])
def test_agreement_is_never_evidence_of_mismatches(floor: float):
    """Whatever the floor, a lumisection with fewer mismatches than it allows does not raise the ratio."""
    state = Mismatch.fresh()
    for ls in range(1, 60):
        mismatched = 1 if ls == 1 else int(500 * floor * 0.5)
        state = advance(
            state, compared=1000, mismatched=mismatched, floor=floor, alpha=1e-5, lumisection=Lumisection(1, ls)
        )
    assert state.ratio(1e-5) < 0.5
