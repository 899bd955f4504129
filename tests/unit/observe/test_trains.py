"""Where crossings lie in their trains, learnt from events alone; and the profiles over these places."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emulator.detector.conditions import draw_crossings, draw_fill
from monitor.observe.frame import Frame
from monitor.observe.quantities import catalogue, measure
from monitor.observe.summariser import Summariser
from monitor.observe.trains import AFTER_1, BEFORE_1, ENOUGH, FAR, FILLED, FIRST, PLACES, Trains
from tests.unit.observe.crossings import INPUTS, LAYOUT, THRESHOLD, batch, crossings, key

ORBIT = 60
STARTS, LENGTH = (5, 30), 12


def occupied(events: int) -> np.ndarray:
    """Return an orbit with two trains, of as many events a crossing."""
    orbit = np.zeros(ORBIT, np.int64)
    for start in STARTS:
        orbit[start : start + LENGTH] = events
    return orbit


def names(trains: Trains | None) -> list[str]:
    assert trains is not None
    return [PLACES[each] for each in trains.place]


def test_every_crossing_has_its_place():
    found = names(Trains.of(occupied(100)))
    assert found[3:8] == [
        "two before a train",
        "one before a train",
        "first of a train",
        "second of a train",
        "third of a train",
    ]
    assert found[8:13] == ["fourth to eighth of a train"] * 5
    assert found[13:16] == ["further in a train"] * 3
    assert found[16:20] == ["last of a train", "one after a train", "two after a train", "far from any train"]


def test_a_train_over_the_end_of_the_orbit_is_one_train():
    assert names(Trains.of(np.roll(occupied(100), -10))) == list(np.roll(names(Trains.of(occupied(100))), -10))


def test_a_gap_of_one_is_behind_a_train_and_a_bunch_alone_is_first():
    orbit = np.zeros(ORBIT, np.int64)
    orbit[[10, 12]] = 100
    assert names(Trains.of(orbit))[8:15] == [
        "two before a train",
        "one before a train",
        "first of a train",
        "one after a train",
        "first of a train",
        "one after a train",
        "two after a train",
    ]


def test_an_orbit_full_of_bunches_has_neither_head_nor_tail():
    assert set(names(Trains.of(np.full(ORBIT, 100)))) == {"further in a train"}


def test_nothing_is_said_before_there_are_enough_events():
    assert Trains.of(np.zeros(ORBIT, np.int64)) is None
    assert Trains.of(occupied(ENOUGH - 1)) is None
    assert Trains.of(occupied(ENOUGH + 1)) is not None


def test_events_that_come_too_early_or_too_late_are_no_bunches():
    orbit = occupied(100)
    orbit[[start + LENGTH for start in STARTS]] = 15
    assert names(Trains.of(orbit)) == names(Trains.of(occupied(100)))


def test_the_simulated_machine_is_found_as_it_was_filled():
    fill = draw_fill(seed=3, run=401_000, lumisections=100)
    seen = np.bincount(np.concatenate([draw_crossings(fill, ls, 1000).bx for ls in range(1, 81)]), minlength=3564)
    found = Trains.of(seen)
    assert found is not None
    filled = np.zeros(3564, np.bool_)
    filled[fill.trains.bx] = True
    assert ((found.place >= FILLED.start) & (found.place < FILLED.stop) == filled).all()
    assert (fill.trains.head[found.place[fill.trains.bx] == FIRST] == 1).all()
    assert (found.place == FIRST).sum() == len(fill.trains.bx) / 36


def profile(trains: Trains | None, bx: np.ndarray) -> dict[str, tuple[float, float]]:
    events = crossings(len(bx), np.random.default_rng(2))
    events = batch(events.inputs, events.score, bx=bx.astype(np.uint16))
    summary = Summariser(LAYOUT, INPUTS, 1, THRESHOLD, crossings=ORBIT).summarise(key(), events)
    found = measure(summary, Frame(trains=trains))
    rows = zip(catalogue(summary.shape).names, found.value.tolist(), found.exposure.tolist(), strict=True)
    return {name: (value, exposure) for name, value, exposure in rows if name.endswith("train")}


def test_a_profile_does_not_depend_on_how_many_trains_there_are():
    bx = np.repeat(np.flatnonzero(occupied(1)), 10)
    found = profile(Trains.of(occupied(100)), bx)
    for place in PLACES[FILLED]:
        value, exposure = found[f"events {place}"]
        assert value == exposure > 0
    assert found["events one before a train"] == (0, 20)
    accepted, decided = found["accept rate first of a train"]
    assert 0 < accepted < decided == 20


def test_nothing_is_measured_while_nobody_knows_the_trains():
    assert set(profile(None, np.arange(ORBIT)).values()) == {(0, 0)}


def test_events_behind_a_train_stand_out():
    bx = np.repeat(np.flatnonzero(occupied(1)), 10)
    late = np.where(np.arange(len(bx)) % 10 == 0, bx + 1, bx)
    found, trains = profile(Trains.of(occupied(100)), late), Trains.of(occupied(100))
    assert found["events one after a train"][0] == 2
    assert found["events first of a train"][0] == 18
    assert trains is not None
    assert (trains.crossings[[BEFORE_1, AFTER_1]] == 2).all()
    assert trains.crossings.sum() == ORBIT
    assert trains.crossings[FAR] > 0


def test_a_crossing_beyond_the_orbit_is_refused():
    events = crossings(10, np.random.default_rng(2))
    late = replace(events, bx=np.full(10, ORBIT, np.uint16))
    with pytest.raises(ValueError, match=r"bx 60 is beyond the orbit of 60 crossings: mend"):
        Summariser(LAYOUT, INPUTS, 1, THRESHOLD, crossings=ORBIT).summarise(key(), late)
