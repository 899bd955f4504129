"""The daemon's own pace: a change of throughput or lag is counted, a steady one is not."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.app.pace import LAG, THROUGHPUT, Pace


def played(records: list[int], lags: list[int]) -> tuple[Pace, list[tuple[int, str]]]:
    """Return the pace after one turn a second, and (second, what) of every change."""
    pace, found = Pace(), []
    assert not pace.take(0, now=-1.0)
    for second, (many, lag) in enumerate(zip(records, lags, strict=True)):
        assert pace.take(many, now=float(second))
        found += [(second, what) for what in pace.read(lag, now=float(second))]
    return pace, found


@pytest.mark.parametrize(("factor", "changes"), [(1.0, False), (0.5, True), (2.0, True)])
def test_half_or_double_the_records_is_a_change(factor: float, changes: bool) -> None:
    generator = np.random.default_rng(1)
    many = [*generator.poisson(60, 400), *generator.poisson(60 * factor, 200)]
    pace, found = played([int(each) for each in many], [3] * 600)
    assert bool(found) == changes
    assert all(what == THROUGHPUT and 400 <= second < 520 for second, what in found)
    assert pace.changes == {THROUGHPUT: len(found), LAG: 0}


def test_a_lag_that_grows_is_a_change_and_steady_reading_is_none() -> None:
    generator = np.random.default_rng(2)
    lags = [int(each) for each in [*generator.poisson(5, 300), *(5 + 4 * np.arange(200))]]
    pace, found = played([50] * 500, lags)
    assert {what for _, what in found} == {LAG}
    assert min(second for second, _ in found) >= 300
    assert pace.changes[LAG] == len(found)


def test_turns_between_two_readings_are_added_up() -> None:
    pace = Pace()
    assert [pace.take(5, now=now) for now in (0.0, 0.25, 0.5, 0.75)] == [False] * 4
    assert pace.take(5, now=1.0)
    assert pace.read(0, now=1.0) == ()
    assert not pace.take(1, now=1.5)
