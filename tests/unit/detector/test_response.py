from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from emulator.detector import L1_LAYOUT
from emulator.detector.conditions import draw_crossings, draw_fill
from emulator.detector.layout import EGAMMA, JET, MET, MUON
from emulator.detector.objects import Candidates, Objects, digitise
from emulator.detector.response import Response


def inputs_at(pileup: float, *, events: int = 40_000) -> NDArray[np.int16]:
    fill = replace(draw_fill(seed=3, run=400_000, lumisections=1), start=pileup, stop=pileup)
    return digitise(Response(fill).objects(draw_crossings(fill, 1, events), 1))


@pytest.fixture(scope="module")
def inputs() -> NDArray[np.int16]:
    return inputs_at(50.0)


def test_every_input_is_in_the_domain_of_its_axis(inputs: NDArray[np.int16]) -> None:
    assert inputs.dtype == np.int16
    assert inputs.shape[1] == L1_LAYOUT.width == 57
    for group in L1_LAYOUT:
        for index in range(group.count):
            for number, axis in enumerate(group.axes):
                column = inputs[:, group.column(index, number)]
                assert column.min() >= axis.low, (group.name, index, axis.name)
                assert column.max() < axis.high, (group.name, index, axis.name)


@pytest.mark.parametrize("group", [EGAMMA, MUON, JET], ids=lambda group: group.name)
def test_objects_are_sorted_by_pt_and_zero_filled(group, inputs) -> None:
    objects = inputs[:, group.offset : group.stop].reshape(-1, group.count, 3)
    pt = objects[:, :, 0]
    assert (np.diff(pt, axis=1) <= 0).all()
    assert (pt == 0).any()
    assert (pt > 0).any()
    assert not objects[pt == 0].any()


def test_objects_fill_their_whole_range_of_eta_and_phi(inputs: NDArray[np.int16]) -> None:
    for group in (EGAMMA, MUON, JET):
        objects = inputs[:, group.offset : group.stop].reshape(-1, group.count, 3)
        present = objects[objects[:, :, 0] > 0]
        assert present[:, 1].min() < 0.95 * group.axes[1].low
        assert present[:, 1].max() > 0.95 * group.axes[1].high
        assert present[:, 2].min() == 0
        assert present[:, 2].max() == group.axes[2].high - 1


def test_more_pileup_makes_more_and_harder_jets_and_a_wider_missing_momentum(inputs: NDArray[np.int16]) -> None:
    low, high = inputs_at(40.0), inputs_at(60.0)
    pts = slice(JET.offset, JET.stop, 3)
    for quantity in (
        lambda raw: (raw[:, pts] > 0).sum(axis=1).mean(),
        lambda raw: raw[:, JET.offset].mean(),
        lambda raw: raw[:, MET.offset].mean(),
        lambda raw: (raw[:, MUON.offset] > 0).mean(),
    ):
        assert quantity(low) < quantity(inputs) < quantity(high)


def test_hard_dijets_are_back_to_back(inputs: NDArray[np.int16]) -> None:
    second = inputs[:, JET.column(1, 0)]
    hard = inputs[second > 100]
    opening = (hard[:, JET.column(0, 2)] - hard[:, JET.column(1, 2)]) % 144
    assert len(hard) > 50
    assert np.median(np.abs(opening - 72)) < 10


def test_missing_momentum_balances_a_lone_hard_electron(inputs: NDArray[np.int16]) -> None:
    lone = inputs[(inputs[:, EGAMMA.offset] > 60) & (inputs[:, EGAMMA.offset] < 90) & (inputs[:, JET.offset] < 60)]
    opening = (lone[:, EGAMMA.column(0, 2)] - lone[:, MET.column(0, 2)]) % 144
    assert len(lone) > 20
    assert (np.abs(opening - 72) < 36).mean() > 0.75


def test_a_lumisection_needs_none_before_it() -> None:
    fill = draw_fill(seed=3, run=400_000, lumisections=500)
    alone = digitise(Response(fill).objects(draw_crossings(fill, 500, 100), 500))
    response = Response(fill)
    for ls in (1, 2, 500):
        after = digitise(response.objects(draw_crossings(fill, ls, 100), ls))
    assert np.array_equal(alone, after)


def test_no_lumisection_repeats_another() -> None:
    fill = draw_fill(seed=3, run=400_000, lumisections=2)
    crossings, response = draw_crossings(fill, 1, 1000), Response(fill)
    assert (response.objects(crossings, 1).jet.phi != response.objects(crossings, 2).jet.phi).mean() > 0.9


def test_digitising_counts_saturates_and_orders() -> None:
    none = Candidates(np.zeros((1, 1), np.float32), np.zeros((1, 1), np.int16), np.zeros((1, 1), np.int16))
    jets = Candidates(
        np.array([[10.74, 5000.0, 0.4, 30.0]], np.float32),
        np.array([[-115, 115, 3, 0]], np.int16),
        np.array([[143, 0, 5, 77]], np.int16),
    )
    raw = digitise(Objects(none, none, jets, np.zeros(1, np.float32), np.full(1, -30.2, np.float32)))[0]
    assert raw[JET.offset : JET.offset + 12].tolist() == [2047, 115, 0, 60, 0, 77, 21, -115, 143, 0, 0, 0]
    assert raw[:3].tolist() == [60, 0, 108]  # straight down is three quarters of 144
    assert not raw[3 : JET.offset].any()
