import numpy as np
import pytest

from emulator.detector.conditions import CROSSINGS, ORBITS, Beams, draw_crossings, draw_fill


def test_pileup_decays_from_about_60_to_about_35() -> None:
    fill = draw_fill(seed=1, run=400_000, lumisections=100)
    levels = [fill.pileup(ls) for ls in range(1, 101)]
    assert levels == sorted(levels, reverse=True)
    assert levels[0] == pytest.approx(60, rel=0.08)
    assert levels[-1] == pytest.approx(35, rel=0.08)
    # Exponential: equal steps lose equal shares.
    assert levels[50] / levels[49] == pytest.approx(levels[99] / levels[98])


def test_levelling_holds_pileup_until_the_beams_give_less() -> None:
    fill = draw_fill(seed=1, run=400_000, lumisections=100, beams=Beams(levelled=45.0))
    assert fill.pileup(1) == 45.0
    assert fill.pileup(100) < 45.0


def test_crossings_are_different_in_order_of_time_and_on_filled_bunches() -> None:
    fill = draw_fill(seed=1, run=400_000, lumisections=10)
    # So many that draws with repetition would hold some twice.
    crossings = draw_crossings(fill, 3, 200_000)
    time = crossings.orbit.astype(np.int64) * CROSSINGS + crossings.bx
    assert (np.diff(time) > 0).all()
    assert (crossings.orbit // ORBITS == 2).all()
    assert np.isin(crossings.bx, fill.trains.bx).all()


def test_bunches_differ_in_luminosity_and_trains_have_heads() -> None:
    trains = draw_fill(seed=1, run=400_000, lumisections=10).trains
    assert trains.bx.max() < CROSSINGS
    assert trains.luminosity.mean() == pytest.approx(1.0, abs=1e-4)
    assert 0.03 < trains.luminosity.std() < 0.1
    first = np.flatnonzero(np.diff(trains.bx.astype(int), prepend=-10) > 1)
    assert np.array_equal(np.flatnonzero(trains.head == 1.0), first)


@pytest.mark.parametrize("train", [8, 36, 72])
def test_trains_have_as_many_bunches_as_the_beams_say(train: int) -> None:
    bx = draw_fill(seed=1, run=400_000, lumisections=10, beams=Beams(train=train)).trains.bx.astype(int)
    lengths = np.diff(np.flatnonzero(np.diff(bx, prepend=-10, append=CROSSINGS + 10) > 1))
    assert len(lengths) >= 4
    assert (lengths == train).all()


def test_the_luminometer_errs_by_one_scale_in_the_whole_fill() -> None:
    fill = draw_fill(seed=4, run=400_002, lumisections=400)
    ratio = [float((c := draw_crossings(fill, ls, 10)).reported[0] / c.pileup[0]) for ls in range(1, 401)]
    assert np.mean(ratio) == pytest.approx(fill.luminometer.scale, abs=5e-4)
    assert np.std(ratio) == pytest.approx(fill.luminometer.noise, rel=0.2)


def test_every_run_wobbles_in_its_own_way() -> None:
    fills = [draw_fill(seed=1, run=run, lumisections=10) for run in (400_000, 400_001)]
    assert fills[0].wobble != fills[1].wobble
    assert fills[0].luminometer != fills[1].luminometer


def test_a_fill_without_lumisections_is_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        draw_fill(seed=1, run=400_000, lumisections=0)
