"""A light never stays green because nobody turned it off."""

import dataclasses

import pytest

from monitor.decide.verdict import Blame, Level
from monitor.serve.light import healthy, light, stale
from tests.unit.serve import houses


@pytest.mark.parametrize(
    ("state", "level", "blame"),
    [
        ("ok", Level.OK, Blame.NONE),
        ("watch", Level.WATCH, Blame.CONDITIONS),
        ("firmware", Level.ACT, Blame.FIRMWARE),
        ("detector", Level.ACT, Blame.DETECTOR),
        ("unknown", Level.UNKNOWN, Blame.STREAM),
        ("learning", Level.UNKNOWN, Blame.MONITOR),
    ],
)
def test_a_fresh_verdict_is_shown_as_it_is(state: str, level: Level, blame: Blame):
    snapshot = houses.named(state)
    shown = light(snapshot, snapshot.streams[0], now=houses.NOW)
    assert (shown.level, shown.blame) == (level, blame)


def test_a_stuck_loop_makes_every_stream_unknown_and_the_daemon_unhealthy():
    snapshot = houses.snapshot(houses.ok(), houses.detector())
    late = snapshot.now + snapshot.stale_after + 0.1
    assert stale(snapshot, late)
    assert not stale(snapshot, snapshot.now + snapshot.stale_after)
    assert {light(snapshot, stream, now=late).level for stream in snapshot.streams} == {Level.UNKNOWN}
    assert "60 seconds" in healthy(snapshot, late)[0]


def test_a_stream_without_new_verdicts_becomes_unknown_while_the_loop_runs():
    snapshot = houses.snapshot(dataclasses.replace(houses.ok(), judged_at=houses.NOW - 121.0))
    shown = light(snapshot, snapshot.streams[0], now=houses.NOW)
    assert (shown.level, shown.blame) == (Level.UNKNOWN, Blame.STREAM)
    assert "121 seconds" in shown.reason


def test_a_clock_that_is_not_a_number_counts_as_stale():
    assert stale(houses.snapshot(houses.ok(), now=float("nan")), houses.NOW)


def test_a_daemon_with_problems_names_them():
    assert healthy(houses.snapshot(problems=("the disk is full",)), houses.NOW) == ("the disk is full",)
    assert healthy(houses.named("ok"), houses.NOW) == ()
