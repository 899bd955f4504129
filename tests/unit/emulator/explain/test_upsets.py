"""The search for one flipped bit finds it, or the flips that cannot be told from it, and says what never shows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emulator import card_files
from emulator.detector import MODELS, SCENARIOS, play
from emulator.detector.run import Block
from emulator.engines.gemm import GemmEngine
from emulator.explain import Flip, search_upsets, with_flip
from emulator.explain.flips import parts
from emulator.formats import Raw
from emulator.graph import Dense, Program


@pytest.fixture(scope="module")
def program() -> Program:
    found = card_files.read(MODELS / "l1anomaly_v2").program
    assert found is not None
    return found


@pytest.fixture(scope="module")
def raw() -> Raw:
    blocks = play(SCENARIOS["quiet"], seed=3, lumisections=1, events_per_lumisection=400, partitions=1)
    return np.concatenate([each.inputs for each in blocks if isinstance(each, Block)]).astype(np.int64)


def places(program: Program) -> list[tuple[str, str]]:
    return [(layer.name, part) for layer in program.layers for part, _, _ in parts(layer)]


def test_the_right_bit_is_found_in_weights_and_biases_of_every_layer(program: Program, raw: Raw) -> None:
    chance, healthy = np.random.default_rng(5), GemmEngine(program).score(raw)
    layers = {layer.name: layer for layer in program.layers}
    assert len(places(program)) == 6
    for name, part in places(program):
        ((stored, held),) = [(s, h) for p, s, h in parts(layers[name]) if p == part]
        shown = 0
        while shown < 1:
            index = tuple(int(chance.integers(size)) for size in stored.shape)
            flip = Flip(name, part, index, int(chance.integers(held.width)))
            hardware = GemmEngine(with_flip(program, flip)).score(raw)
            rows = np.flatnonzero((hardware != healthy).any(axis=1))[:24]
            if len(rows) < 3:
                continue
            shown += 1
            found = search_upsets(program, raw[rows], hardware[rows])
            assert (found.fits, found.of) == (len(rows), len(rows))
            assert flip in found.best


def test_what_is_called_indistinguishable_gives_the_same_scores(program: Program, raw: Raw) -> None:
    flip, some = Flip("encode1", "weights", (3, 0), 12), raw[:6]
    hardware = GemmEngine(with_flip(program, flip)).score(some)
    found = search_upsets(program, some, hardware)
    assert len(found.best) > 1
    for each in found.best:
        assert (GemmEngine(with_flip(program, each)).score(some) == hardware).all()


def test_events_on_which_hardware_agrees_count_as_reproduced(program: Program, raw: Raw) -> None:
    flip = Flip("encode1", "weights", (3, 0), 12)
    hardware, healthy = GemmEngine(with_flip(program, flip)).score(raw), GemmEngine(program).score(raw)
    differs = (hardware != healthy).any(axis=1)
    rows = np.concatenate([np.flatnonzero(differs)[:10], np.flatnonzero(~differs)[:10]])
    assert len(rows) == 20
    found = search_upsets(program, raw[rows], hardware[rows])
    assert flip in found.best
    assert (found.fits, found.of) == (20, 20)


def test_flips_that_never_show_are_counted_and_none_is_named(program: Program, raw: Raw) -> None:
    some = raw[:4].copy()
    some[:] = 0
    found = search_upsets(program, some, GemmEngine(program).score(some))
    weights = next(layer for layer in program.layers if isinstance(layer, Dense))
    assert found.best == ()
    assert found.silent >= weights.weights.size * weights.weight_format.width  # nothing multiplies zero inputs
    assert found.silent < found.tried == sum(s.size * h.width for x in program.layers for _, s, h in parts(x))


def test_a_layer_whose_flips_saturate_its_accumulator_is_searched_exactly(program: Program, raw: Raw) -> None:
    first = program.layers[0]
    assert isinstance(first, Dense)
    tight = replace(first.accumulator, width=24, integer=9, overflow="SAT")
    program = replace(program, layers=(replace(first, accumulator=tight), *program.layers[1:]))
    flip = Flip(first.name, "weights", (0, 4), 13)
    some = raw[:8]
    hardware = GemmEngine(with_flip(program, flip)).score(some)
    assert flip in search_upsets(program, some, hardware).best
