"""The scan of windows: what it notices, where it points, and what it lets go."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from scipy import special, stats

from emulator.detector import SCENARIOS, play
from emulator.detector.conditions import Beams
from emulator.detector.faults import DeadRegion, HotTower, Region
from emulator.detector.layout import CALO_ETA_LSB, CALO_PHI_STEPS
from monitor.drift import scan
from monitor.observe.summary import Summary
from monitor.observe.windows import windows
from monitor.trigger.lumisection import Lumisection
from tests.unit.drift.detector import summaries
from tests.unit.drift.test_battery import page

LINE = 11.0
ONSET = 6


def rows(fault: object, lumisections: int) -> list[Summary]:
    broken = replace(SCENARIOS["quiet"], fault=fault, onset=ONSET)
    return list(summaries(play(broken, seed=4, lumisections=lumisections, beams=Beams(levelled=50.0))))


def scanned(some: list[Summary], state: scan.Scan | None = None) -> tuple[scan.Scan, scan.Look]:
    state = state or scan.Scan.fresh(len(windows(page().shape)))
    for row in some:
        seen = scan.look(row, page())
        state = scan.advance(state, seen, scan.stakes(page()), line=LINE, lumisection=row.key.lumisection)
    return state, seen


def test_the_bets_gain_nothing_while_places_are_as_they_were():
    """E[L] <= 1 for a binomial count at the edges of the tolerance, whatever the rows hold."""
    staked = scan.stakes(page())
    chosen = np.random.default_rng(1).integers(0, len(staked.noise), 200).tolist()
    for window, objects, share in product(chosen, (10, 300), (0.001, 0.05, 0.6)):
        (up, down), counts = staked.tolerance[:, window], np.arange(objects + 1)
        for direction, edge in enumerate((1 + up, 1 - min(down, scan.MOST_TOLERANCE))):
            chance = stats.binom.logpmf(counts, objects, min(0.999, share * edge))
            for bet in range(len(scan.BETS)):
                gain, loss = float(staked.gain[bet, window]), float(staked.loss[bet, direction, window])
                log_l = staked.noise[window] * ((gain, -gain)[direction] * counts - loss * share * objects)
                assert special.logsumexp(log_l + chance) <= 1e-4


def test_the_weights_sum_to_one():
    assert scan.stakes(page()).share.sum() == pytest.approx(1, rel=1e-4)


def test_nothing_is_over_the_line_where_nothing_is_broken():
    state, _ = scanned(rows(SCENARIOS["quiet"].fault, 30))
    assert state.average(scan.stakes(page())) < LINE / 2


def test_a_small_dead_place_is_found_and_told_once():
    region = Region((0.87, 1.22), (1.05, 1.40))
    state, seen = scanned(rows(DeadRegion(region), ONSET + 7))
    told = scan.shifts(state, seen, page(), line=LINE, least=100.0)
    size, best = told[0]
    assert size > 20
    assert (best.direction, best.family) == (-1, "block")
    assert best.where.eta is not None
    assert best.where.phi is not None
    assert best.where.eta == pytest.approx(region.eta, abs=0.18)
    assert best.where.phi == pytest.approx(region.phi, abs=0.18)
    assert abs(best.since.ls - ONSET) <= 2
    assert best.observed < best.expected - best.tolerance
    panes = windows(page().shape)
    chosen = [shift.where for _, shift in told if shift.where.object != "met"]
    assert len(chosen) < 5
    assert len(panes) > 1000


def test_a_hot_tower_is_found_in_its_tower():
    eta, phi = 30, 101
    state, seen = scanned(rows(HotTower(eta, phi, 1e-2), ONSET + 2))
    _, best = scan.shifts(state, seen, page(), line=LINE, least=100.0)[0]
    assert best.where.eta is not None
    assert best.where.phi is not None
    assert best.direction == 1
    assert best.where.eta[0] <= eta * CALO_ETA_LSB < best.where.eta[1] <= best.where.eta[0] + 0.2
    assert best.where.phi[0] <= phi * 2 * np.pi / CALO_PHI_STEPS < best.where.phi[1] <= best.where.phi[0] + 0.2


def test_what_has_come_back_is_let_go():
    hot = rows(HotTower(30, 101, 1e-2), ONSET + 9)
    state, seen = scanned(hot[ONSET - 1 :])
    assert scan.shifts(state, seen, page(), line=LINE, least=100.0)
    after, seen = scanned(rows(SCENARIOS["quiet"].fault, 8), state)
    assert scan.shifts(after, seen, page(), line=LINE, least=100.0) == []


def test_followed_windows_are_bounded():
    row = rows(SCENARIOS["quiet"].fault, 1)[0]
    towers = np.zeros_like(row.counts["towers"])
    for grid in row.shape.grids:
        grid.of(towers)[:, 5] = grid.of(row.counts["towers"]).sum(axis=1)
    state, _ = scanned([replace(row, counts={**row.counts, "towers": towers})])
    assert len(state.sightings) == scan.MOST_SIGHTINGS


def test_the_beginning_is_put_before_the_notice_by_the_growth_since():
    sighted = scan.Sightings(
        window=np.asarray([3], np.int32),
        direction=np.asarray([0], np.int32),
        start=np.asarray([(7 << 32) | 40]),
        level=np.asarray([6.0], np.float32),
        length=np.asarray([10], np.int32),
        seen=np.asarray([40.0]),
        expected=np.asarray([20.0]),
        back=np.asarray([0.0], np.float32),
    )
    growth = (40 * np.log(2) - 20) / 10
    assert scan.began(sighted, 0) == Lumisection(7, 40 - int(6 / growth))


def test_a_place_that_stays_empty_gains_nothing_however_large_the_reference():
    """Where less than `FEWEST` is expected, as many are not: a raised expectation would pay for every empty look."""
    staked = scan.stakes(page())
    faint = np.full(len(windows(page().shape)), 0.004, np.float32)
    edge = np.stack([1 + staked.tolerance[0], 1 - np.minimum(staked.tolerance[1], 1.0)])
    rate = faint * np.maximum(edge, 0)[1]
    state = scan.advance(
        scan.Scan.fresh(len(faint)),
        scan.Look.of(np.zeros_like(faint), faint, 1000),
        staked,
        line=LINE,
        lumisection=Lumisection(1, 1),
    )
    # Seen nothing, with probability exp(-rate); that alone must not bring more than the stake.
    assert (state.m[:, 1] * np.exp(-rate) <= 1 + 1e-6).all()
