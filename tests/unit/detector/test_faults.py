from dataclasses import replace

import numpy as np
import pytest

from emulator.detector.faults import (
    Ageing,
    DeadRegion,
    Fault,
    HotTower,
    JetScale,
    NoiseBurst,
    Region,
    StreamLoss,
)
from emulator.detector.objects import Candidates, Objects

REGION = Region(eta=(-3.0, -1.3), phi=(4.7, 5.4))


def chance() -> np.random.Generator:
    return np.random.default_rng(1)


def candidates(pt: list[float], eta: list[int], phi: list[int]) -> Candidates:
    return Candidates(np.array([pt], np.float32), np.array([eta], np.int16), np.array([phi], np.int16))


@pytest.fixture
def objects() -> Objects:
    """One event: the first jet and e/gamma are in the region (eta -2.2, phi 5.0), the others are not."""
    calorimeter = candidates([50.0, 40.0], [-50, 50], [115, 20])
    muon = candidates([20.0], [-200], [460])
    return Objects(calorimeter, muon, calorimeter, np.zeros(1, np.float32), np.zeros(1, np.float32))


def test_nothing_broken_changes_nothing(objects: Objects) -> None:
    assert Fault().seen(objects, age=0, chance=chance()) is objects


def test_a_region_ends_on_all_four_sides() -> None:
    inside_then_below_above_before_behind = candidates([1.0] * 5, [-50, -70, -28, -50, -50], [115, 115, 115, 106, 125])
    assert REGION.holds(inside_then_below_above_before_behind).tolist() == [[True, False, False, False, False]]


def test_a_dead_region_takes_jets_and_egamma_inside_it_only(objects: Objects) -> None:
    seen = DeadRegion(REGION).seen(objects, age=0, chance=chance())
    assert seen.jet.pt.tolist() == [[0.0, 40.0]]
    assert seen.egamma.pt.tolist() == [[0.0, 40.0]]
    assert seen.muon is objects.muon


def test_what_a_dead_region_took_is_missing_in_its_direction(objects: Objects) -> None:
    seen = DeadRegion(REGION).seen(objects, age=0, chance=chance())
    assert np.hypot(seen.met_x, seen.met_y)[0] == pytest.approx(50.0, rel=1e-5)
    assert np.arctan2(seen.met_y, seen.met_x)[0] % (2 * np.pi) == pytest.approx(115 * 2 * np.pi / 144, rel=1e-5)


def test_a_hot_tower_fires_at_its_rate_in_its_place() -> None:
    n = 200_000
    nothing = Candidates(np.zeros((n, 1), np.float32), np.zeros((n, 1), np.int16), np.zeros((n, 1), np.int16))
    quiet = Objects(nothing, nothing, nothing, np.zeros(n, np.float32), np.zeros(n, np.float32))
    seen = HotTower(eta=30, phi=101, rate=1e-2).seen(quiet, age=0, chance=chance())
    for kind in (seen.jet, seen.egamma):
        fired = kind.pt > 0
        assert fired.sum() / n == pytest.approx(1e-2, rel=0.1)
        assert set(kind.eta[fired]) == {30}
        assert set(kind.phi[fired]) == {101}
    assert np.hypot(seen.met_x, seen.met_y) == pytest.approx(seen.jet.pt.sum(axis=1), rel=1e-4)


def test_a_wrong_jet_scale_changes_jets_only(objects: Objects) -> None:
    seen = JetScale(0.95).seen(objects, age=0, chance=chance())
    assert seen.jet.pt == pytest.approx(objects.jet.pt * 0.95)
    assert (seen.egamma, seen.muon, seen.met_x) == (objects.egamma, objects.muon, objects.met_x)


def test_ageing_grows_and_is_stronger_forward(objects: Objects) -> None:
    central_and_forward = replace(objects, jet=candidates([50.0, 50.0], [0, 100], [0, 0]))
    young = Ageing(loss=5e-4).seen(central_and_forward, age=0, chance=chance()).jet.pt[0]
    old = Ageing(loss=5e-4).seen(central_and_forward, age=99, chance=chance()).jet.pt[0]
    assert (old < young).all()
    assert (young < 50.0).all()
    assert old[0] / 50.0 == pytest.approx(1 - 0.05 * 0.5)
    assert old[1] / 50.0 == pytest.approx(1 - 0.05 * (0.5 + 4.35 / 2.5))


def test_a_noise_burst_ends(objects: Objects) -> None:
    burst = NoiseBurst(lumisections=3, jets=4.0)
    assert (burst.seen(objects, age=2, chance=chance()).jet.pt > 0).sum() > 2
    assert burst.seen(objects, age=3, chance=chance()) is objects


def test_a_noise_burst_has_the_mean_number_of_jets() -> None:
    n = 20_000
    nothing = Candidates(np.zeros((n, 1), np.float32), np.zeros((n, 1), np.int16), np.zeros((n, 1), np.int16))
    quiet = Objects(nothing, nothing, nothing, np.zeros(n, np.float32), np.zeros(n, np.float32))
    seen = NoiseBurst(lumisections=3, jets=4.0).seen(quiet, age=0, chance=chance())
    assert (seen.jet.pt > 0).sum() / n == pytest.approx(4.0, rel=0.02)


def test_a_lossy_producer_loses_its_share_on_its_partition_only() -> None:
    fault, draw = StreamLoss(partition=1, share=0.7), chance()
    assert all(fault.delivered(0, draw) for _ in range(100))
    assert np.mean([fault.delivered(1, draw) for _ in range(2000)]) == pytest.approx(0.3, abs=0.05)
