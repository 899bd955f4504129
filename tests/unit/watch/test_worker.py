"""The worker: records of partitions in, closed lumisections out, and nothing that a record can do stops it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emulator.poison import Poison
from monitor.trigger.batch import Batch, Place, Reason, Received, Rejected
from monitor.trigger.lumisection import Lumisection
from monitor.watch.calendar import Calendar
from monitor.watch.closed import PartitionClosed
from monitor.watch.worker import WorkerStep
from tests.unit.watch.plays import STREAM, TOPIC, V1, V2, Library, Linear, batch, end, header, same, step, worker


def reasons(done: WorkerStep) -> list[Reason]:
    return [rejected.reason for _, rejected in done.rejected]


def only(done: WorkerStep) -> PartitionClosed:
    (closed,) = done.closed
    return closed


def test_a_lumisection_closes_at_its_end_record_with_the_exact_numbers() -> None:
    done = step(worker(), batch((1, 5)), batch((1, 5), sequence=1), end(1, 5, 60))
    closed = only(done)
    assert (closed.lumisection, closed.received, closed.declared) == (Lumisection(1, 5), 40, 60)
    assert closed.summaries[0].compared == 40
    assert closed.summaries[0].mismatched == 0


def test_a_lumisection_without_events_is_closed_too() -> None:
    closed = only(step(worker(), end(1, 5, 0)))
    assert (closed.received, closed.declared, closed.summaries) == (0, 0, ())


def test_events_are_compared_bit_for_bit_with_the_model_that_the_producer_names() -> None:
    stale = step(worker(), batch((1, 5), hardware=V2), end(1, 5, 20))
    assert only(stale).summaries[0].mismatched > 0
    right = step(worker(), batch((1, 5), hardware=V2, digest=V2.digest), end(1, 5, 20))
    assert only(right).summaries[0].mismatched == 0


def test_a_batch_of_two_lumisections_is_split() -> None:
    done = step(worker(), batch((1, 5), (1, 6)), end(1, 5, 20), end(1, 6, 20))
    assert [(each.lumisection.ls, each.received) for each in done.closed] == [(5, 20), (6, 20)]


def test_how_events_are_batched_does_not_matter() -> None:
    whole = batch((1, 5), events=60)
    thirds = [whole.select(slice(i * 20, i * 20 + 20)) for i in range(3)]
    pieces = [replace(each, header=header(sequence=i)) for i, each in enumerate(thirds)]
    assert same(step(worker(), whole, end(1, 5, 60)).closed, step(worker(), *pieces, end(1, 5, 60)).closed)


def test_a_repeated_sequence_number_is_rejected_and_counted_once() -> None:
    done = step(worker(), batch((1, 5)), batch((1, 5)), end(1, 5, 20))
    assert reasons(done) == [Reason.DUPLICATE]
    assert only(done).received == 20
    assert only(done).rejected == {"duplicate": 1}


def test_a_gap_in_the_sequence_is_lost_data() -> None:
    done = step(worker(), batch((1, 5), sequence=3), batch((1, 5), sequence=7), end(1, 5, 40))
    assert only(done).lost_batches == 3


def test_sequences_are_followed_for_each_producer() -> None:
    done = step(worker(), batch((1, 5), sequence=3), batch((1, 5), producer="p1", sequence=9), end(1, 5, 40))
    assert (only(done).lost_batches, only(done).received) == (0, 40)


def test_a_restarted_producer_counts_from_zero_with_new_events() -> None:
    done = step(worker(), batch((1, 5), sequence=40), batch((1, 6), sequence=0), end(1, 5, 20), end(1, 6, 20))
    assert done.rejected == ()
    assert [each.received for each in done.closed] == [20, 20]
    assert sum(each.lost_batches for each in done.closed) == 0


def test_events_of_a_closed_lumisection_are_late() -> None:
    done = step(worker(), batch((1, 5)), end(1, 5, 20), batch((1, 5), sequence=1), end(1, 5, 20), end(1, 6, 0))
    assert reasons(done) == [Reason.LATE, Reason.LATE]
    assert [each.received for each in done.closed] == [20, 0]


def test_an_older_run_is_late() -> None:
    assert reasons(step(worker(), batch((2, 5)), end(2, 5, 20), batch((1, 90), sequence=1))) == [Reason.LATE]


def test_a_partly_late_batch_is_reported_and_its_other_events_are_counted() -> None:
    done = step(worker(), batch((1, 5)), end(1, 5, 20), batch((1, 5), (1, 6), sequence=1), end(1, 6, 20))
    assert reasons(done) == [Reason.LATE]
    assert [each.received for each in done.closed] == [20, 20]


def test_the_wrong_width_is_rejected_with_both_numbers() -> None:
    done = step(worker(), batch((1, 5), width=15))
    assert reasons(done) == [Reason.WIDTH]
    assert "15 inputs" in done.rejected[0][1].detail
    assert "12" in done.rejected[0][1].detail


def test_a_stream_that_is_not_configured_is_rejected_without_a_label_of_its_own() -> None:
    done = step(worker(), batch((1, 5), stream="surprise"), end(1, 5, 0, stream="surprise"))
    assert reasons(done) == [Reason.STREAM, Reason.STREAM]
    assert {rejected.stream for _, rejected in done.rejected} == {""}


def test_rejections_that_name_no_stream_count_for_the_only_one_of_the_topic() -> None:
    done = step(worker(), Rejected(Reason.MALFORMED, "not Arrow"), end(1, 5, 0))
    assert done.rejected[0][1].stream == STREAM
    assert only(done).rejected == {"malformed": 1}


@pytest.mark.parametrize(
    ("head", "models", "reason"),
    [
        ({"model": "v9", "digest": None}, (V1, V2), "unknown-model"),
        ({"digest": f"sha256:{'0' * 64}"}, (V1, V2), "unknown-digest"),
        ({"digest": None}, (V1, Linear("v1", V2.weights)), "ambiguous-label"),
        ({}, (Linear("v1", V1.weights, fails=True),), "emulator-failed"),
    ],
)
def test_what_cannot_be_emulated_is_counted_with_its_reason(
    head: dict[str, str | None], models: tuple[Linear, ...], reason: str
) -> None:
    summary = only(step(worker(models), batch((1, 5), **head), end(1, 5, 20))).summaries[0]
    assert (summary.compared, summary.not_comparable) == (0, {reason: 20})


def test_an_emulator_that_answers_nonsense_is_not_believed() -> None:
    class Nonsense(Linear):
        def score(self, raw: np.ndarray) -> np.ndarray:  # type: ignore[override]
            return super().score(raw)[:-1]

    done = step(worker((Nonsense("v1", V1.weights),)), batch((1, 5)), end(1, 5, 20))
    assert only(done).summaries[0].not_comparable == {"emulator-failed": 20}
    assert "19" in done.troubles[0]


class Deadly(Linear):
    """Does not survive events whose first input is zero."""

    def score(self, raw: np.ndarray) -> np.ndarray:  # type: ignore[override]
        scores = super().score(raw)
        why = {int(row): "killed by signal 11" for row in np.flatnonzero(raw[:, 0] == 0)}
        if not self.fits(raw).all():
            raise ValueError("an input does not fit")
        if why:
            raise Poison("deadly.so", why=why, scores=np.where(raw[:, :1] == 0, -1, scores))
        return scores


def survivable() -> Batch:
    records = batch((1, 5))
    inputs = records.inputs.astype(np.int32)
    inputs[:, 0] = 9
    return replace(records, inputs=inputs, score=V1.score(inputs))


def test_events_that_the_emulator_does_not_survive_are_told_and_all_others_are_compared() -> None:
    records = survivable()
    records.inputs[[3, 11], 0] = 0
    done = step(worker((Deadly("v1", V1.weights),)), records, end(1, 5, 20))
    summary = only(done).summaries[0]
    assert (summary.compared, summary.not_comparable) == (18, {"emulator-failed": 2})
    assert summary.mismatched == 0
    (trouble,) = done.troubles
    assert f"failed on 2 of 20 events, first on event {records.event[3]} of run 1: killed by signal 11" in trouble


def test_an_event_that_does_not_fit_and_one_that_kills_are_left_out_for_their_own_reasons() -> None:
    records = survivable()
    records.inputs[3, 0], records.inputs[11, 4] = 0, 1 << 20  # the latter is replaced by zeros, which kill as well
    summary = only(step(worker((Deadly("v1", V1.weights),)), records, end(1, 5, 20))).summaries[0]
    assert (summary.compared, summary.not_comparable) == (18, {"emulator-failed": 1, "outside-format": 1})


def test_a_shelf_that_raises_does_not_stop_the_watch() -> None:
    class Broken(Library):
        def find(self, label: str, digest: str | None, *, runs: tuple[int, int], menu: str) -> Linear:
            raise OSError(f"the registry is gone: {label} {digest} {runs} {menu}")

    done = step(worker(shelf=Broken()), batch((1, 5)), end(1, 5, 20))
    assert only(done).summaries[0].not_comparable == {"emulator-failed": 20}


def test_epochs_within_one_lumisection_are_kept_apart() -> None:
    done = step(worker(), batch((1, 5)), batch((1, 5), sequence=1, prescale_column="3"), end(1, 5, 40))
    assert [summary.key.epoch.prescale_column for summary in only(done).summaries] == ["2a", "3"]


def test_an_endless_row_of_epochs_does_not_fill_the_memory() -> None:
    watch = worker(calendar=Calendar(most_epochs=3))
    done = step(watch, *(batch((1, 5), sequence=i, menu=f"m{i}") for i in range(5)), end(1, 5, 100))
    assert reasons(done) == [Reason.VALUES, Reason.VALUES]
    assert len(only(done).summaries) == 3


def test_a_lumisection_without_end_record_closes_once_later_ones_have_come_for_long_enough() -> None:
    watch = worker(calendar=Calendar(lateness=60))
    assert step(watch, batch((1, 5)), batch((1, 6), sequence=1), at=100).closed == ()
    assert step(watch, batch((1, 5), sequence=2), at=159).closed == ()
    closed = only(step(watch, batch((1, 6), sequence=3), at=160))
    assert (closed.lumisection.ls, closed.received, closed.declared) == (5, 40, None)


def test_lumisections_close_in_order_even_if_the_later_one_ends_first() -> None:
    watch = worker(calendar=Calendar(lateness=60))
    assert step(watch, batch((1, 5)), batch((1, 6), sequence=1), end(1, 6, 20), at=100).closed == ()
    done = step(watch, end(1, 5, 20), at=101)
    assert [each.lumisection.ls for each in done.closed] == [5, 6]


def test_record_times_in_the_future_close_nothing_early() -> None:
    watch = worker(calendar=Calendar(lateness=60))
    step(watch, batch((1, 5)), batch((1, 6), sequence=1), at=100)
    place = watch.frontier((TOPIC, 0)).next
    liar = Received(Place(TOPIC, 0, place), 1e12, batch((1, 6), sequence=2))
    assert watch.step([liar], now=101).closed == ()


def test_a_silent_partition_closes_what_it_has() -> None:
    watch = worker(calendar=Calendar(silence=75))
    step(watch, batch((1, 5)), at=100)
    assert watch.tick(174).closed == ()
    assert only(watch.tick(175)).received == 20
    assert watch.tick(500).closed == ()


def test_a_lumisection_far_ahead_is_believed_only_when_it_comes_again() -> None:
    watch = worker()
    done = step(watch, batch((1, 5)), batch((1, 4_000_000), sequence=1), batch((1, 6), sequence=2), end(1, 5, 20))
    assert reasons(done) == [Reason.VALUES]
    assert only(done).received == 20
    assert reasons(step(watch, batch((1, 700), sequence=3), batch((1, 700), sequence=4))) == [Reason.VALUES]


def test_offsets_that_come_again_are_ignored() -> None:
    watch = worker()
    done = step(watch, batch((1, 5)))
    again = watch.step([Received(Place(TOPIC, 0, 0), 0.0, batch((1, 5)))], now=0)
    assert (done.rejected, again.rejected, again.moved) == ((), (), frozenset())
    assert only(step(watch, end(1, 5, 20))).received == 20


def test_a_forgotten_partition_is_not_known_any_more() -> None:
    watch = worker()
    step(watch, batch((1, 5)))
    watch.forget([(TOPIC, 0), (TOPIC, 7)])
    with pytest.raises(KeyError):
        watch.frontier((TOPIC, 0))
