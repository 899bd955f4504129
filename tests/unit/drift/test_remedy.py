"""What was lost and what would bring it back: each formula against events whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from monitor.drift import remedy
from monitor.drift.tail import Tail, place, raw_score
from monitor.observe.binning import SCORE_BINS, score_bin, score_edges

SHAPE = 2.0
"""Of the Pareto distribution that the scores here follow: half of them are over 141, one in 100 over 1,000."""


def pareto(chance: np.random.Generator, events: int) -> NDArray[np.int64]:
    return (100 * chance.random(events) ** (-1 / SHAPE)).astype(np.int64)


def histogram(scores: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.bincount(score_bin(scores), minlength=SCORE_BINS)


def test_the_tail_is_exact_at_edges_and_where_the_trigger_itself_has_counted() -> None:
    scores = pareto(np.random.default_rng(1), 5000)
    tail = Tail.of(histogram(scores), threshold=700, accepted=int((scores >= 700).sum()))
    for raw in (112, 256, 640, 700, 1024):
        assert tail.count(place(raw)) == pytest.approx((scores >= raw).sum()), raw


def test_a_decision_that_is_not_the_cut_is_no_knot_of_the_tail() -> None:
    """A prescaled stream accepts fewer than lie over the threshold."""
    counts = histogram(pareto(np.random.default_rng(1), 5000))
    assert len(Tail.of(counts, threshold=700, accepted=3).knots) == len(score_edges())


@given(st.floats(1.0, 4999.0), st.integers(0, 50))
def test_a_place_is_where_its_own_count_is_reached(events: float, seed: int) -> None:
    tail = Tail.of(histogram(pareto(np.random.default_rng(seed), 5000)))
    at = tail.reached(events)
    assert at is not None
    assert tail.count(at) == pytest.approx(events)
    assert place(raw_score(at)) == pytest.approx(at)


def test_the_interval_of_the_restoring_threshold_holds_what_it_promises() -> None:
    """The truth is a threshold of 1,000 for one in 100; in 400 runs the 95 % interval covers it in at least 92 %."""
    events, wanted, covered, found = 20_000, 200.0, 0, []
    for seed in range(400):
        scores = pareto(np.random.default_rng(seed), events)
        tail = Tail.of(histogram(scores), threshold=700, accepted=int((scores >= 700).sum()))
        threshold = remedy.restoring(tail, wanted=wanted, sigma=wanted**0.5)
        assert threshold is not None
        assert threshold.low is not None
        assert threshold.high is not None
        covered += threshold.low <= 1000 <= threshold.high
        found.append(threshold.restoring)
    assert 0.92 <= covered / 400 <= 0.99
    assert np.mean(found) == pytest.approx(1000, rel=0.02)


def test_no_threshold_restores_what_the_scores_cannot_give() -> None:
    tail = Tail.of(histogram(pareto(np.random.default_rng(1), 500)))
    assert remedy.restoring(tail, wanted=500.0, sigma=1.0) is None
    assert remedy.restoring(tail, wanted=0.0, sigma=1.0) is None
    open_ended = remedy.restoring(tail, wanted=4.0, sigma=3.0)
    assert open_ended is not None
    assert (open_ended.low is None, open_ended.high) == (False, None)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=40))
def test_no_pairing_of_events_is_outside_the_bounds_of_the_overlap(pairs: list[tuple[bool, bool]]) -> None:
    wanted, accepted = sum(ref for ref, _ in pairs), sum(now for _, now in pairs)
    both = sum(ref and now for ref, now in pairs)
    if wanted:
        kept = remedy.overlap(accepted, wanted=wanted, events=len(pairs), sigma=0.0)
        assert kept.least - 1e-9 <= both / wanted <= kept.most + 1e-9
        assert not accepted or (accepted - both) / accepted >= kept.new - 1e-9


def test_events_that_keep_their_order_reach_the_upper_bound() -> None:
    before = pareto(np.random.default_rng(3), 20_000)
    after = before * 9 // 10
    ref, now = before >= 1000, after >= 1000
    kept = remedy.overlap(now.sum(), wanted=ref.sum(), events=20_000, sigma=0.0)
    assert kept.most == (ref & now).sum() / ref.sum()


def moved_events(*, moves: float, alone: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return features (n, 2), moved by `moves`, and a score that follows them and moves by `alone` besides."""
    chance = np.random.default_rng(8)
    features = chance.multivariate_normal([moves, 0], [[1, 0.6], [0.6, 2]], 40_000)
    return features, features @ [3.0, -1.0] + alone + chance.normal(size=40_000)


@pytest.mark.parametrize(("moves", "alone", "expected"), [(-0.5, 0.0, -1.5), (0.0, -2.0, 0.0), (0.4, 1.0, 1.2)])
def test_reweighting_finds_what_the_inputs_have_carried_and_nothing_else(
    moves: float, alone: float, expected: float
) -> None:
    features, score = moved_events(moves=moves, alone=alone)
    found = remedy.reweighted(
        np.cov(np.column_stack([features, score]), rowvar=False, bias=True),
        features.mean(axis=0),
        expected=np.zeros(2),
        error=np.zeros(2),
        events=len(score),
    )
    assert abs(found.shift - expected) < 3 * found.sigma < 0.1


def test_the_error_of_the_reference_is_in_the_error_of_the_shift() -> None:
    features, score = moved_events(moves=1.0, alone=0.0)
    products = np.cov(np.column_stack([features, score]), rowvar=False, bias=True)
    found = remedy.reweighted(
        products, features.mean(axis=0), expected=np.zeros(2), error=np.array([0.1, 0.0]), events=len(score)
    )
    assert found.sigma == pytest.approx(0.3, rel=0.01)


def test_two_features_that_are_one_are_no_trouble() -> None:
    features, score = moved_events(moves=-0.5, alone=0.0)
    twice = np.column_stack([features, features[:, 0]])
    found = remedy.reweighted(
        np.cov(np.column_stack([twice, score]), rowvar=False, bias=True),
        twice.mean(axis=0),
        expected=np.zeros(3),
        error=np.zeros(3),
        events=len(score),
    )
    assert found.shift == pytest.approx(-1.5, abs=0.05)


def test_what_is_restored_is_a_share_of_what_was_lost() -> None:
    assert remedy.restored(80, 100, wanted=100) == 1.0
    assert remedy.restored(80, 90, wanted=100) == 0.5
    assert remedy.restored(80, 110, wanted=100) == 0.5
    assert remedy.restored(80, 60, wanted=100) == -1.0


def test_old_events_are_worth_less_the_further_the_scores_have_moved() -> None:
    expected = np.array([400.0, 400.0, 200.0, 0.0])
    assert remedy.effective(2 * expected, expected) == (pytest.approx(1.0), 0.0)
    assert remedy.effective(np.array([0.0, 0.0, 100.0, 100.0]), expected) == (pytest.approx(0.2), 0.5)
    assert remedy.effective(np.array([0.0, 0.0, 0.0, 9.0]), expected) == (0.0, 1.0)
