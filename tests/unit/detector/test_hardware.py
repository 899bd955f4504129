from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

import emulator
from emulator.detector import L1_LAYOUT, MODELS, SCENARIOS, Block, play
from emulator.detector.conditions import draw_crossings, draw_fill
from emulator.detector.faults import Fault, TruncatedInput
from emulator.detector.hardware import ANNOUNCED, STALE, Board, flip
from emulator.detector.layout import MUON
from emulator.detector.objects import digitise
from emulator.detector.response import Response
from emulator.detector.run import _decided

# What the repository holds; a change here is a new model, and a new digest says so.
DIGESTS = {
    "l1anomaly_v1": "sha256:6f4055872f19e921d0689516174225b32b556a5fce7b9c56ede14299779b40a5",
    "l1anomaly_v2": "sha256:a133812a699001975c278c5d1ef3b2c41860eb78e6e5242f9acc7487583ad10f",
}
Inputs = NDArray[np.int16]


@pytest.fixture(scope="module")
def model() -> emulator.Model:
    return emulator.load(MODELS / ANNOUNCED)


def inputs_at(pileup: float, fault: Fault | None = None, *, events: int = 60_000) -> Inputs:
    fill = replace(draw_fill(seed=11, run=400_000, lumisections=1), start=pileup, stop=pileup)
    objects = Response(fill).objects(draw_crossings(fill, 1, events), 1)
    return digitise((fault or Fault()).seen(objects, age=0, chance=np.random.default_rng(1)))


@pytest.fixture(scope="module")
def middle() -> Inputs:
    return inputs_at(47.5)


@pytest.mark.parametrize("label", sorted(DIGESTS))
def test_a_committed_card_loads_under_its_label_layout_and_digest(label: str) -> None:
    with emulator.load(MODELS / label) as model:
        assert model.engine in {"native", "gemm"}  # as there is a compiler here
        assert model.card.label == label
        assert model.card.layout == L1_LAYOUT
        assert model.card.digest == DIGESTS[label]
        assert (model.card.n_inputs, model.card.n_outputs) == (57, 1)
        assert model.card.certificate.mismatches == 0


@pytest.mark.parametrize("label", sorted(DIGESTS))
def test_a_committed_card_is_small(label: str) -> None:
    assert sum(file.stat().st_size for file in (MODELS / label).iterdir()) < 300_000


@pytest.mark.parametrize("label", sorted(DIGESTS))
def test_the_threshold_accepts_one_to_two_percent_at_mid_pileup(label: str, middle: Inputs) -> None:
    with emulator.load(MODELS / label) as model:
        assert 0.01 < (model.score(middle)[:, 0] >= model.card.threshold).mean() < 0.02


def test_the_rate_follows_pileup_and_gain(model: emulator.Model, middle: Inputs) -> None:
    def rate(inputs: Inputs) -> float:
        return float((model.score(inputs)[:, 0] >= model.card.threshold).mean())

    class LostGain(Fault):
        def seen(self, objects, *, age, chance):  # noqa: ARG002 — the interface
            left = np.float32(0.98)
            return replace(
                objects,
                jet=objects.jet.scaled(left),
                egamma=objects.egamma.scaled(left),
                met_x=objects.met_x * left,
                met_y=objects.met_y * left,
            )

    assert rate(inputs_at(45.0)) / rate(inputs_at(55.0)) < 0.8
    assert 0.75 < rate(inputs_at(47.5, LostGain())) / rate(middle) < 0.95


def scores_differ(model: emulator.Model, name: str, *, lumisections: int = 3) -> list[float]:
    """Share of events per lumisection whose recorded score is not what the announced model makes of the inputs."""
    scenario = replace(SCENARIOS[name], onset=3)
    return [
        float((model.score(block.inputs) != block.score).mean())
        for block in play(scenario, seed=3, lumisections=lumisections, partitions=1)
        if isinstance(block, Block)
    ]


@pytest.mark.parametrize("name", ["quiet", "dead-region", "hot-tower", "jet-scale", "ageing", "noise-burst"])
def test_hardware_and_emulation_agree_where_the_detector_is_at_fault(model: emulator.Model, name: str) -> None:
    assert scores_differ(model, name) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("name", "least"), [("weight-upset", 0.002), ("stale-model", 0.9), ("truncated-input", 0.005), ("unit-slip", 0.9)]
)
def test_hardware_and_emulation_disagree_from_the_onset_of_a_firmware_fault(
    model: emulator.Model, name: str, least: float
) -> None:
    before, last, broken = scores_differ(model, name)
    assert (before, last) == (0.0, 0.0)
    assert broken >= least


def test_the_header_announces_the_same_model_whatever_the_board_runs(model: emulator.Model) -> None:
    scenario = replace(SCENARIOS["stale-model"], onset=2)
    for item in play(scenario, seed=3, lumisections=2):
        if isinstance(item, Block):
            assert (item.label, item.digest) == (ANNOUNCED, model.card.digest)


def test_a_stale_board_runs_the_old_version(middle: Inputs) -> None:
    with emulator.load(MODELS / STALE) as old:
        assert np.array_equal(Board(1).stale(middle[:500]), old.score(middle[:500]))


def test_the_flipped_bit_is_the_seeds_and_shows(middle: Inputs) -> None:
    healthy = Board(1).announced(middle[:2000])
    upsets = [Board(seed).upset(middle[:2000]) for seed in (1, 1, 2, 3)]
    assert np.array_equal(upsets[0], upsets[1])
    assert not (np.array_equal(upsets[0], upsets[2]) and np.array_equal(upsets[0], upsets[3]))
    assert all((upset != healthy).mean() >= 0.01 for upset in upsets)


def test_the_board_accepts_from_the_threshold_on(middle: Inputs) -> None:
    class Fixed(Board):
        threshold = 5

        def announced(self, inputs: NDArray[np.integer]) -> NDArray[np.int64]:
            return np.arange(3, 3 + len(inputs), dtype=np.int64)[:, None]

    score, accept = _decided(Fixed(1), Fault(), middle[:4])
    assert score[:, 0].tolist() == [3, 4, 5, 6]
    assert accept.tolist() == [False, False, True, True]


def test_a_truncated_pt_loses_its_lowest_bit_only() -> None:
    seen: list[Inputs] = []

    class Recorder:
        def announced(self, inputs: Inputs) -> NDArray[np.int64]:
            seen.append(inputs)
            return np.zeros((len(inputs), 1), dtype=np.int64)

        stale: Callable[[Inputs], NDArray[np.int64]] = announced
        upset: Callable[[Inputs], NDArray[np.int64]] = announced

    recorded = inputs_at(50.0, events=2000)
    TruncatedInput("muon").scored(Recorder(), recorded)
    changed = recorded != seen[0]
    pts = [MUON.column(index, 0) for index in range(MUON.count)]
    assert changed.any()
    assert set(np.flatnonzero(changed.any(axis=0))) <= set(pts)
    assert np.array_equal(recorded[:, pts] - seen[0][:, pts], recorded[:, pts] & 1)


@pytest.mark.parametrize(
    ("value", "bit", "flipped"), [(0, 0, 1), (0, 3, -8), (-1, 3, 7), (7, 0, 6), (-8, 3, 0), (5, 1, 7)]
)
def test_flipping_a_bit_is_in_twos_complement(value: int, bit: int, flipped: int) -> None:
    assert flip(value, bit=bit, width=4) == flipped
    assert flip(flipped, bit=bit, width=4) == value
