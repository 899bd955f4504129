"""Well-formed records in an order that nobody promised: the watch goes on, and its numbers stay exact."""

from __future__ import annotations

import random

import numpy as np
import pytest

from monitor.trigger.batch import Batch, EndOfLumisection, Reason
from monitor.watch.calendar import Calendar
from monitor.watch.worker import Worker, WorkerStep
from tests.unit.watch.plays import STREAM, TOPIC, V2, Log, batch, end, header, worker

FAR = 2**32 - 1
KEY = (TOPIC, 0)


def read(contents: list[Batch | EndOfLumisection], watch: Worker | None = None) -> tuple[Worker, WorkerStep]:
    log = Log()
    for number, content in enumerate(contents):
        log.put(content, at=1000.0 + number)
    watch = watch or worker()
    return watch, watch.step(log.records, now=1e9)


def good(*lumisections: int, start: int = 100) -> list[Batch | EndOfLumisection]:
    """Return lumisections as they should be, by a producer of their own."""
    found: list[Batch | EndOfLumisection] = []
    for number, ls in enumerate(lumisections):
        found += [batch((1, ls), sequence=start + number, producer="good"), end(1, ls, 20)]
    return found


def received(step: WorkerStep) -> dict[int, int]:
    return {each.lumisection.ls: each.received for each in step.closed}


@pytest.mark.parametrize(
    "poison",
    [
        batch((FAR, FAR), producer="bad"),
        batch((1, FAR), producer="bad"),
        batch((1, 5), (FAR, 1), producer="bad"),
        end(FAR, FAR, 0),
        end(1, 100_000, 10**18),
        batch((0, 0), producer="bad"),
        batch((1, 5), producer="bad", sequence=2**62, menu="x" * 64),
    ],
)
def test_one_poisoned_record_does_not_hide_what_follows(poison: Batch | EndOfLumisection) -> None:
    _, step = read([*good(5, 6), poison, *good(7, 8, 9, start=102)])
    assert {ls: count for ls, count in received(step).items() if ls >= 7} == {7: 20, 8: 20, 9: 20}


def test_a_shuffled_stream_counts_every_event_once_or_rejects_it() -> None:
    chance = random.Random(11)
    for _ in range(20):
        contents = good(*range(1, 15))
        chance.shuffle(contents)
        watch, step = read(contents)
        rest = watch.tick(1e12)
        counted = sum(each.received for each in (*step.closed, *rest.closed))
        refused = {place.offset for place, _ in step.rejected}
        whole = [i for i, each in enumerate(contents) if isinstance(each, Batch) and i not in refused]
        assert counted == 20 * len(whole)
        marks = [each.lumisection for each in (*step.closed, *rest.closed)]
        assert marks == sorted(set(marks))


def test_a_storm_of_lumisections_does_not_fill_the_memory() -> None:
    storm: list[Batch | EndOfLumisection] = [batch((1, ls), events=1, sequence=ls) for ls in range(1, 99)]
    watch, step = read(storm, worker(calendar=Calendar(most_open=8, lateness=1e6)))
    assert len(watch.frontier(KEY).streams[STREAM].open) == 8
    assert {rejected.reason for _, rejected in step.rejected} == {Reason.VALUES}


def test_a_storm_of_producers_does_not_fill_the_memory() -> None:
    storm: list[Batch | EndOfLumisection] = [batch((1, 1), events=1, producer=f"p{i}") for i in range(300)]
    watch, _ = read(storm, worker(calendar=Calendar(most_producers=50)))
    assert len(watch.frontier(KEY).producers) == 50


def test_a_storm_of_streams_leaves_no_trace_in_the_state() -> None:
    watch, step = read([batch((1, 1), stream=f"s{i}") for i in range(50)])
    assert set(watch.frontier(KEY).streams) == set()
    assert {rejected.stream for _, rejected in step.rejected} == {""}


def test_a_gap_of_astronomical_size_is_not_counted_as_loss() -> None:
    _, step = read([batch((1, 1), sequence=1), batch((1, 1), sequence=2**60), end(1, 1, 40)])
    assert step.closed[0].lost_batches == 0


def test_ends_without_events_and_events_without_ends_do_not_mix_up_lumisections() -> None:
    _, step = read([end(1, 3, 20), *good(4), batch((1, 5), producer="other"), *good(6, start=200)])
    assert received(step) == {3: 0, 4: 20}
    assert [each.declared for each in step.closed] == [20, 20]


def test_interleaved_runs_keep_the_newer_one() -> None:
    mixed: list[Batch | EndOfLumisection] = []
    for number in range(4):
        mixed += [batch((2, 1 + number), sequence=number), end(2, 1 + number, 20)]
        mixed += [batch((1, 50 + number), producer="old", sequence=number)]
    _, step = read(mixed)
    assert [(each.lumisection.run, each.received) for each in step.closed] == [(2, 20)] * 4
    assert {rejected.reason for _, rejected in step.rejected} == {Reason.LATE}


def test_a_batch_without_events_moves_nothing_but_its_sequence() -> None:
    watch, step = read([batch((1, 1), events=0, sequence=4), batch((1, 1), sequence=6), end(1, 1, 20)])
    assert (step.closed[0].received, step.closed[0].lost_batches) == (20, 1)
    assert watch.frontier(KEY).resume == 3


def test_a_batch_of_a_hundred_lumisections_is_split_or_refused_whole() -> None:
    wide = batch(*[(1, ls) for ls in range(1, 101)], events=2, hardware=V2)
    _, step = read([wide])
    assert [rejected.reason for _, rejected in step.rejected] == [Reason.VALUES]
    _, step = read([wide], worker(calendar=Calendar(most_open=200)))
    assert step.rejected == ()


def test_unsorted_rows_are_counted_where_they_belong() -> None:
    mixed = batch((1, 1), (1, 2), events=50)
    order = np.random.default_rng(3).permutation(100)
    _, step = read([mixed.select(order), end(1, 1, 50), end(1, 2, 50)])
    _, sorted_ = read([mixed, end(1, 1, 50), end(1, 2, 50)])
    assert [each.to_bytes() for each in step.closed] == [each.to_bytes() for each in sorted_.closed]


def test_a_header_that_changes_its_mind_makes_epochs_not_errors() -> None:
    flips = [batch((1, 1), sequence=i, prescale_column="ab"[i % 2]) for i in range(10)]
    _, step = read([*flips, end(1, 1, 200)])
    assert [each.events for each in step.closed[0].summaries] == [100, 100]
    assert header().prescale_column == "2a"
