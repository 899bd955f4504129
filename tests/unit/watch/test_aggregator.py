"""The aggregator: every lumisection judged once, in order, with everything that is missing named."""

from __future__ import annotations

import pytest

from emulator.pack import Unreadable
from monitor.decide.action import Kind
from monitor.trigger.lumisection import Lumisection
from monitor.watch.aggregator import AggregatorStep
from monitor.watch.closed import PartitionClosed
from tests.unit.watch.benches import LEARN, aggregator, closed, judged, levels
from tests.unit.watch.plays import STREAM, V2, batch, end, step, worker


def kinds(done: AggregatorStep) -> list[Kind]:
    return [action.kind for action in done.actions]


def test_a_lumisection_is_judged_once_all_partitions_have_reported() -> None:
    bench = aggregator()
    assert bench.step(closed(0, 1), now=0).judged == ()
    done = bench.step(closed(1, 1), now=1)
    (one,) = done.judged
    assert one.summary is not None
    assert (one.summary.events, one.evidence.completeness.declared) == (120, 120)


def test_a_missing_partition_is_waited_for_and_then_named() -> None:
    bench = aggregator()
    bench.step(closed(0, 1), now=0)
    assert bench.tick(59).judged == ()
    (one,) = bench.tick(60).judged
    assert one.evidence.completeness.missing_partitions == (1,)
    assert (one.verdict.level.value, one.verdict.blame.value) == ("unknown", "stream")


def test_a_partition_that_is_already_further_on_is_not_waited_for() -> None:
    bench = aggregator()
    bench.step(closed(1, 2), now=0)
    (one,) = bench.step(closed(0, 1), now=0).judged
    assert (one.lumisection.ls, one.evidence.completeness.missing_partitions) == (1, (1,))


def test_lumisections_are_judged_in_order_whatever_order_partitions_come_in() -> None:
    bench = aggregator()
    assert bench.step(closed(0, 1, 2, 3), now=0).judged == ()
    assert [ls for ls, _, _ in levels(bench.step(closed(1, 1, 2, 3), now=0))] == [1, 2, 3]


def test_what_was_seen_before_is_ignored() -> None:
    bench = aggregator()
    both = [*closed(0, 1), *closed(1, 1)]
    assert len(bench.step([*both[:1], *both], now=0).judged) == 1
    assert bench.step(both, now=0) == AggregatorStep()


def test_the_first_report_of_a_partition_counts() -> None:
    bench, other = aggregator(), PartitionClosed(STREAM, Lumisection(1, 1), 0, (), 9, 0)
    bench.step([*closed(0, 1), other], now=0)
    (one,) = bench.step(closed(1, 1), now=0).judged
    assert one.evidence.completeness.received == 120


def test_a_stream_that_is_not_configured_is_ignored() -> None:
    other = PartitionClosed("other", Lumisection(1, 1), 0, (), 0, 0)
    assert aggregator().step([other], now=1e9) == AggregatorStep()


def test_without_a_page_it_says_how_far_it_has_learnt_and_then_judges() -> None:
    bench = aggregator()
    done = list(judged(bench, closed(0, *range(1, LEARN + 2)), closed(1, *range(1, LEARN + 2))))
    assert f"learning 3 of {LEARN}" in (done[3].judged[0].evidence.unjudged or "")
    assert levels(done[LEARN - 1]) == [(LEARN, "unknown", "none")]
    assert levels(done[LEARN]) == [(LEARN + 1, "ok", "none")]
    assert done[LEARN].judged[0].evidence.reference is not None
    assert len(bench.learnt) == 1


def test_a_stale_model_is_named_and_its_first_mismatches_are_kept_for_replay() -> None:
    done = list(judged(aggregator((0,)), closed(0, 1, 2, hardware=V2)))
    (first,), (second,) = done[0].judged, done[1].judged
    assert (first.verdict.level.value, first.verdict.blame.value) == ("act", "identity")
    assert first.suspects is not None
    assert first.suspects.fits[0].digest == V2.digest
    assert first.suspects.fits[0].fits == first.suspects.fits[0].of
    assert first.verdict.capsule == first.capsules[0].id
    assert first.capsules[0].hardware != first.capsules[0].emulated
    assert (second.capsules, second.verdict.capsule) == ((), first.verdict.capsule)
    assert kinds(done[0]) == [Kind.VERDICT, Kind.ANNOTATE, Kind.PAGE]
    assert done[1].actions == ()


def test_two_epochs_of_one_lumisection_are_judged_apart_and_the_new_one_is_said_aloud() -> None:
    watch = worker()
    both = step(
        watch,
        batch((1, 1), events=60),
        end(1, 1, 60),
        batch((1, 2), sequence=1, events=60),
        batch((1, 2), sequence=2, events=60, prescale_column="3"),
        end(1, 2, 120),
    )
    bench = aggregator((0,))
    done = bench.step(both.closed, now=0)
    assert [each.evidence.epoch.prescale_column for each in done.judged] == ["2a", "2a", "3"]
    assert "prescale_column: 2a -> 3" in done.judged[2].verdict.evidence["new_epoch"]
    assert all(each.verdict.level.value != "act" for each in done.judged)
    spoken = [action.payload["text"] for action in done.actions if action.kind is Kind.ANNOTATE]
    assert [text for text in spoken if "new epoch" in text] == [f"{STREAM}: new epoch, prescale_column: 2a -> 3"]


def test_a_lumisection_without_events_is_unknown_never_ok() -> None:
    parts = [PartitionClosed(STREAM, Lumisection(1, 1), number, (), 0, 0) for number in (0, 1)]
    assert levels(aggregator().step(parts, now=0)) == [(1, "unknown", "none")]


def test_a_lumisection_of_which_everything_was_lost_is_the_streams_fault() -> None:
    parts = [PartitionClosed(STREAM, Lumisection(1, 1), number, (), 500, 0) for number in (0, 1)]
    assert levels(aggregator().step(parts, now=0)) == [(1, "unknown", "stream")]


def test_skipped_lumisections_are_counted() -> None:
    done = list(judged(aggregator((0,)), closed(0, 1, 5)))
    assert done[1].judged[0].verdict.evidence["skipped"] == 3


def test_silence_is_said_once_and_ends_with_the_next_lumisection() -> None:
    bench = aggregator((0,))
    bench.step(closed(0, 1), now=0)
    assert bench.tick(99).judged == ()
    (quiet,) = bench.tick(100).judged
    assert (quiet.silent, quiet.verdict.level.value, quiet.verdict.blame.value) == (True, "unknown", "stream")
    assert "1:1" in quiet.verdict.action
    assert bench.tick(500).judged == ()
    (back,) = bench.step(closed(0, 2), now=501).judged
    assert back.verdict.blame.value == "none"
    assert levels(bench.tick(601)) == [(2, "unknown", "stream")]


def test_a_stream_that_never_said_anything_is_unknown() -> None:
    bench = aggregator((0,))
    assert bench.tick(1000).judged == ()
    assert levels(bench.tick(1100)) == [(0, "unknown", "stream")]


def test_time_that_passed_while_the_daemon_was_down_is_not_silence() -> None:
    bench, again = aggregator((0,)), aggregator((0,))
    bench.step(closed(0, 1), now=0)
    again.restore(bench.to_bytes())
    assert again.tick(1e6).judged == ()
    assert len(again.tick(1e6 + 100).judged) == 1


def test_a_model_that_is_gone_does_not_page_for_ever() -> None:
    bench = aggregator((0,))
    list(judged(bench, closed(0, 1, hardware=V2)))
    done = list(judged(bench, closed(0, *range(2, 9), digest=V2.digest, hardware=V2)))
    status = [a.payload["status"] for each in done for a in each.actions if a.kind is Kind.PAGE]
    assert status == ["resolved"]


def test_rejected_records_are_reported_with_their_lumisection_once() -> None:
    parts = [PartitionClosed(STREAM, Lumisection(1, 1), number, (), 0, 0, 0, {"late": 2}) for number in (0, 1)]
    assert aggregator().step(parts, now=0).judged[0].rejected == {"late": 4}


def test_its_state_survives_a_restart_bit_for_bit() -> None:
    left, right = closed(0, *range(1, 20)), closed(1, *range(1, 20), hardware=V2)
    whole, halves = aggregator(), aggregator()
    expected = [each for done in judged(whole, left, right) for each in done.judged]
    found = []
    for pair in zip(left, right, strict=True):
        for one in pair:
            found += halves.step([one], now=0).judged
            content, halves = halves.to_bytes(), aggregator()
            halves.restore(content)
            assert halves.to_bytes() == content
    assert [each.verdict.to_json() for each in found] == [each.verdict.to_json() for each in expected]


def test_bytes_that_are_not_its_state_are_refused() -> None:
    with pytest.raises(Unreadable, match="not an aggregator's state"):
        aggregator().restore(closed(0, 1)[0].to_bytes())
