"""Counting, against a slow count of the same events."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emulator.pack import Unreadable, pack
from monitor.observe.binning import BINS, Binning, score_bin
from monitor.observe.sample import KEPT
from monitor.observe.summariser import Summariser
from monitor.observe.summary import Summary
from tests.unit.observe.crossings import INPUTS, LAYOUT, THRESHOLD, batch, crossings, key

SUMMARISER = Summariser(LAYOUT, INPUTS, 1, THRESHOLD)
RNG = np.random.default_rng(5)
EVENTS = crossings(700, RNG)
SUMMARY = SUMMARISER.summarise(key(), EVENTS)


def test_input_histograms_equal_a_count_object_by_object():
    expected = np.zeros((INPUTS, BINS + 1), np.int64)
    for event in EVENTS.inputs.astype(np.int64):
        for group in LAYOUT:
            for index in range(group.count):
                there = event[group.column(index, 0)] != 0
                for number, axis in enumerate(group.axes):
                    column = group.column(index, number)
                    bin_ = int(Binning.of(axis).bins(event[[column]])[0]) if there else BINS
                    expected[column, bin_] += 1
    assert (SUMMARY.counts["inputs"] == expected).all()


def test_towers_count_objects_that_are_there():
    jet = LAYOUT.groups[1]
    expected = np.zeros((116, 72), np.int64)
    for event in EVENTS.inputs.astype(np.int64):
        for index in range(jet.count):
            pt, eta, phi = event[jet.column(index, 0) : jet.column(index, 0) + 3]
            if pt:
                expected[(eta + 115) // 2, phi // 2] += 1
    grid = SUMMARY.shape.grids[1]
    assert (grid.of(SUMMARY.counts["towers"]) == expected).all()
    assert expected.sum() > 700


def test_products_of_features_are_exact_sums():
    names = SUMMARY.shape.features()
    assert names == (("met", "leading"), ("jet", "multiplicity"), ("jet", "leading"), ("jet", "sum"), ("", "score"))
    many = (EVENTS.inputs[:, 3::3] > 0).sum(axis=1)
    score = score_bin(EVENTS.score)[:, 0]
    assert SUMMARY.counts["sums"][1] == many.sum()
    assert SUMMARY.counts["products"][1, 4] == SUMMARY.counts["products"][4, 1] == (many * score).sum()


def test_the_firmwares_decision_comes_before_the_threshold():
    assert SUMMARY.accepted == (EVENTS.score[:, 0] >= THRESHOLD).sum() > 0
    decided = replace(EVENTS, accept=np.arange(700) < 5)
    assert SUMMARISER.summarise(key(), decided).accepted == 5
    undecided = Summariser(LAYOUT, INPUTS, 1).summarise(key(), EVENTS)
    assert (undecided.tally("decided"), undecided.accepted) == (0, 0)


def test_unknown_pileup_is_left_out_of_the_mean():
    half = np.where(np.arange(700) % 2, np.nan, 40.5).astype(np.float32)
    assert SUMMARISER.summarise(key(), replace(EVENTS, pileup=half)).pileup == 40.5
    none = replace(EVENTS, pileup=np.full(700, np.nan, np.float32))
    assert np.isnan(SUMMARISER.summarise(key(), none).pileup)


def test_mismatches_are_counted_by_output_and_by_bit():
    emulated = EVENTS.score.copy()
    emulated[:3] ^= 0b101
    emulated[3] ^= 1 << 31
    summary = SUMMARISER.summarise(key(), EVENTS, emulated)
    assert (summary.compared, summary.mismatched) == (700, 4)
    assert summary.counts["mismatched"].tolist() == [4]
    assert np.flatnonzero(summary.counts["bits"][0]).tolist() == [0, 2, 31]
    assert summary.counts["bits"][0, 2] == 3
    assert (summary.sample.hardware != summary.sample.emulated).all()


def test_a_decision_that_flips_is_counted():
    emulated = EVENTS.score.copy()
    event = int(np.argmax(emulated[:, 0]))
    emulated[event] = 0
    assert SUMMARISER.summarise(key(), EVENTS, emulated).tally("flipped") == 1


def test_events_that_cannot_be_compared_are_counted_by_reason():
    one = SUMMARISER.summarise(key(), EVENTS, reason="unknown digest")
    two = SUMMARISER.summarise(key(), EVENTS, reason="emulator failed")
    assert dict((one + two + one).not_comparable) == {"unknown digest": 1400, "emulator failed": 700}
    assert one.compared == 0


def test_the_earliest_mismatches_are_kept_whatever_the_order_and_the_ties():
    """All events share one orbit, bx and number: only their content can tell which 64 stay."""
    same = {
        "orbit": np.zeros(700, np.uint32),
        "event": np.zeros(700, np.uint64),
        "bx": np.zeros(700, np.uint16),
    }
    events = replace(EVENTS, **same)
    parts = [
        SUMMARISER.summarise(key(), events.select(rows), events.score[rows] + 1)
        for rows in (slice(0, 350), slice(350, 700))
    ]
    forwards, backwards = parts[0] + parts[1], parts[1] + parts[0]
    assert len(forwards.sample) == KEPT
    assert forwards.to_bytes() == backwards.to_bytes()


def test_a_summary_of_57_inputs_fits_into_100_kilobytes():
    from emulator.detector.layout import L1_LAYOUT  # noqa: PLC0415 -- read where it is used once

    summariser = Summariser(L1_LAYOUT, 57, 1)
    inputs = RNG.integers(-100, 30_000, (5000, 57)).astype(np.int16)
    events = batch(inputs, RNG.integers(0, 2**31, (5000, 1)))
    assert len(summariser.summarise(key(), events, events.score + 1).to_bytes()) < 100_000


def test_inputs_without_a_layout_are_counted_too():
    summariser = Summariser(None, 4, 2)
    inputs = np.asarray([[0, 1, -1, 40_000], [0, 2, -2, -40_000]], np.int32)
    summary = summariser.summarise(key(), batch(inputs, np.ones((2, 2), np.int64)))
    assert summary.counts["inputs"].sum(axis=1).tolist() == [2, 2, 2, 2]


def test_a_batch_of_another_width_is_refused_with_both_widths():
    with pytest.raises(ValueError, match="12 inputs and 1 outputs, the model 4 and 2"):
        Summariser(None, 4, 2).summarise(key(), EVENTS)


def test_summaries_of_different_lumisections_do_not_add_up():
    with pytest.raises(ValueError, match="do not add up"):
        SUMMARY + SUMMARISER.summarise(key(ls=2), EVENTS)


@pytest.mark.parametrize("content", [b"", b"TWP1nonsense", pack({"book": 1}, {}), SUMMARY.to_bytes()[:-9]])
def test_bytes_that_are_no_summary_are_unreadable(content: bytes):
    with pytest.raises(Unreadable):
        Summary.from_bytes(content)
