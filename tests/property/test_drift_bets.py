"""The promise behind every alarm: under the null no bet gains, and what is done to the sums only shrinks them."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from monitor.drift import edetector, gaussian, poisson
from monitor.drift.edetector import BETS, EMPTY
from monitor.drift.mismatch import ALTERNATIVES

BET = np.asarray(BETS)
GRID = np.linspace(-14.0, 14.0, 8001)


@settings(deadline=None, max_examples=60)
@given(expected=st.floats(1e-6, 400.0), tolerance=st.floats(0.0, 3.0), inside=st.floats(-1.0, 1.0), noise=st.just(1.0))
def test_no_bet_on_a_count_gains_while_the_rate_is_benign(
    expected: float, tolerance: float, inside: float, noise: float
):
    rate = max(expected * (1 + inside * tolerance), 0.0)
    counts = np.arange(int(rate + 30 * np.sqrt(rate) + 60), dtype=np.float64)
    edges = poisson.bounds(np.full(len(counts), expected), np.full(len(counts), tolerance))
    log_l = poisson.log_bets(counts, edges, noise=np.full(len(counts), noise), bets=BET)
    mean = (np.exp(log_l) * stats.poisson.pmf(counts, rate)).sum(axis=2)
    assert (mean <= 1 + 1e-9).all()


@settings(deadline=None, max_examples=60)
@given(expected=st.floats(0.5, 400.0), noise=st.integers(2, 6))
def test_no_bet_on_clumped_counts_gains_where_clumps_are_as_large_as_the_noise(expected: float, noise: int):
    clumps = np.arange(int(expected + 30 * np.sqrt(expected) + 60), dtype=np.float64)
    size = np.full(len(clumps), float(noise))
    edges = poisson.bounds(np.full(len(clumps), expected * noise), np.zeros(len(clumps)))
    log_l = poisson.log_bets(clumps * noise, edges, noise=size, bets=BET)
    mean = (np.exp(log_l) * stats.poisson.pmf(clumps, expected)).sum(axis=2)
    assert (mean <= 1 + 1e-6).all()


@settings(deadline=None, max_examples=60)
@given(tolerance=st.floats(0.0, 2.0), inside=st.floats(-1.0, 1.0), sigma=st.floats(0.01, 10.0))
def test_no_bet_on_a_mean_gains_while_the_shift_is_benign(tolerance: float, inside: float, sigma: float):
    residual = inside * tolerance * sigma + GRID * sigma
    width = np.full(len(GRID), sigma)
    beyond = gaussian.excess(residual, tolerance=tolerance * width, sigma=width)
    mean = (np.exp(gaussian.log_bets(beyond, BET)) * stats.norm.pdf(GRID)).sum(axis=2) * (GRID[1] - GRID[0])
    assert (mean <= 1 + 1e-6).all()


@settings(deadline=None, max_examples=60)
@given(p0=st.floats(1e-6, 0.1), below=st.floats(0.0, 1.0), n=st.integers(1, 3000))
def test_no_bet_on_mismatches_gains_at_or_under_the_floor(p0: float, below: float, n: int):
    counts = np.arange(min(n, 1500) + 1)
    p1 = np.geomspace(min(max(3 * p0, 1e-6), 0.5), 0.99, ALTERNATIVES)[:, None]
    log_l = counts * np.log(p1 / p0) + (n - counts) * (np.log1p(-p1) - np.log1p(-p0))
    mean = np.exp(log_l + stats.binom.logpmf(counts, n, p0 * below)).sum(axis=1)
    assert (mean <= 1 + 1e-6).all()


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(st.floats(-4.0, 6.0), min_size=1, max_size=40),
    cap=st.floats(1.0, 20.0),
    resets=st.sets(st.integers(0, 39)),
)
def test_capping_and_forgetting_never_make_a_detector_larger(steps: list[float], cap: float, resets: set[int]):
    plain = tamed = edetector.fresh(1)
    for number, step in enumerate(steps):
        log_l = np.full((len(BETS), 2, 1), step)
        plain = edetector.advance(plain, log_l, cap=1e9)
        tamed = edetector.advance(tamed, log_l, cap=cap)
        tamed = np.full_like(tamed, EMPTY) if number in resets else tamed
        assert (tamed <= plain + 1e-3).all()


@settings(deadline=None, max_examples=40)
@given(st.lists(st.floats(-3.0, 3.0), min_size=1, max_size=30))
def test_a_detector_is_the_sum_over_all_starting_points(steps: list[float]):
    """M_t = sum over j of the product of L_j … L_t: Shiryaev and Roberts' definition, without the recursion."""
    log_m = edetector.fresh(1)
    for step in steps:
        log_m = edetector.advance(log_m, np.full((len(BETS), 2, 1), step), cap=1e9)
    tails = np.cumsum(np.asarray(steps)[::-1])
    assert np.allclose(np.exp(log_m.astype(float)), np.exp(tails).sum(), rtol=1e-3)
