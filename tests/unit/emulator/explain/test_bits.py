from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from emulator.engines.gemm import GemmEngine
from emulator.explain.bits import search
from emulator.formats import Format, Raw
from emulator.graph import Dense, Dot, Layer, Merge, Program, Rectifier, Tensor

fmt = Format.parse
WEIGHT, BIAS = fmt("ap_fixed<8,2>"), fmt("ap_fixed<9,3>")


def network(accumulator: str) -> Program:
    """7-5-4, relu between, a sum of squares and what skips a layer."""
    rng = np.random.default_rng(3)
    x = Tensor("x", (7,), fmt("ap_fixed<10,6>"))

    def dense(name: str, source: str, shape: tuple[int, int]) -> Dense:
        return Dense(
            name=name,
            sources=(source,),
            output=Tensor(name, (shape[1],), fmt("ap_fixed<18,10,AP_RND,AP_SAT>")),
            weights=rng.integers(-60, 60, shape),
            weight_format=WEIGHT,
            bias=rng.integers(-60, 60, shape[1]),
            bias_format=BIAS,
            accumulator=fmt(accumulator),
            order=np.arange(shape[0]),
        )

    zero = np.zeros(1, np.int64)
    relu = Rectifier("relu", ("one",), Tensor("h", (5,), fmt("ap_ufixed<14,8,AP_RND,AP_SAT>")), 0, WEIGHT, zero, WEIGHT)
    layers: tuple[Layer, ...] = (
        dense("one", "x", (7, 5)),
        relu,
        dense("two", "h", (5, 4)),
        Dot("dot", ("two", "two"), Tensor("d", (1,), fmt("ap_fixed<40,30>")), fmt("ap_fixed<44,34>")),
        Merge("both", ("two", "d"), Tensor("y", (4,), fmt("ap_fixed<40,30>")), "add"),
    )
    return Program((x,), layers, ("y",))


def convolution() -> Program:
    rng = np.random.default_rng(4)
    x = Tensor("x", (6, 2), fmt("ap_fixed<9,5>"))
    gather = np.stack([np.arange(2 * i, 2 * i + 6) for i in range(4)])
    layer = Dense(
        name="conv",
        sources=("x",),
        output=Tensor("y", (4, 3), fmt("ap_fixed<20,10>")),
        weights=rng.integers(-60, 60, (6, 3)),
        weight_format=WEIGHT,
        bias=rng.integers(-60, 60, 3),
        bias_format=BIAS,
        accumulator=fmt("ap_fixed<16,8>"),
        order=np.arange(6),
        gather=gather,
    )
    return Program((x,), (layer,), ("y",))


def upset(program: Program, name: str, index: tuple[int, ...], bit: int) -> Program:
    """The program whose hardware has one bit flipped, in two's complement."""
    layers = []
    for layer in program.layers:
        if layer.name == name:
            assert isinstance(layer, Dense)
            part = "weights" if len(index) == 2 else "bias"
            width = WEIGHT.width if part == "weights" else BIAS.width
            numbers = getattr(layer, part).copy()
            pattern = (int(numbers[index]) ^ (1 << bit)) & ((1 << width) - 1)
            numbers[index] = pattern - (1 << width) if pattern >> (width - 1) else pattern
            layers.append(dataclasses.replace(layer, **{part: numbers}))
        else:
            layers.append(layer)
    return Program(program.inputs, tuple(layers), program.outputs)


def differing(program: Program, broken: Program) -> tuple[Raw, Raw]:
    rng = np.random.default_rng(8)
    width = sum(tensor.size for tensor in program.inputs)
    raw = rng.integers(-120, 120, (400, width))
    right, wrong = GemmEngine(program).score(raw), GemmEngine(broken).score(raw)
    ours = (right != wrong).any(axis=1)
    return raw[ours][:24], wrong[ours][:24]


FLIPS = [
    *(("one", (i % 7, i % 5), i % 8) for i in range(0, 24, 3)),
    *(("two", (i % 5, i % 4), (i + 3) % 8) for i in range(0, 12, 2)),
    *(("one", (2,), 4), ("two", (1,), 8), ("one", (3,), 0)),
]


@pytest.mark.parametrize("accumulator", ["ap_fixed<30,18>", "ap_fixed<14,8>", "ap_fixed<18,12,AP_RND,AP_SAT>"])
@pytest.mark.parametrize(("layer", "index", "bit"), FLIPS)
def test_every_flip_that_shows_is_found(layer: str, index: tuple[int, ...], bit: int, accumulator: str) -> None:
    program = network(accumulator)
    raw, hardware = differing(program, upset(program, layer, index, bit))
    if not len(raw):
        pytest.skip("this bit never shows on these events")
    found = search(program, raw, hardware)
    assert (layer, index, bit) in [(flip.layer, flip.index, flip.bit) for flip in found]
    assert {(flip.fits, flip.of) for flip in found} == {(len(raw), len(raw))}
    assert len(found) <= 8


def test_most_flips_do_show() -> None:
    shown = 0
    for layer, index, bit in FLIPS:
        program = network("ap_fixed<30,18>")
        shown += len(differing(program, upset(program, layer, index, bit))[0]) > 0
    assert shown > len(FLIPS) * 3 / 4


@pytest.mark.parametrize(("index", "bit"), [((3, 1), 6), ((5, 2), 7), ((0,), 3)])
def test_a_flip_in_a_convolution_is_found(index: tuple[int, ...], bit: int) -> None:
    program = convolution()
    raw, hardware = differing(program, upset(program, "conv", index, bit))
    assert len(raw) > 3
    assert [(f.layer, f.index, f.bit) for f in search(program, raw, hardware)] == [("conv", index, bit)]


def test_what_no_flip_explains_has_no_answer() -> None:
    program = network("ap_fixed<30,18>")
    raw = np.random.default_rng(1).integers(-100, 100, (20, 7))
    hardware = GemmEngine(program).score(raw) + np.array([1, -3, 2, 40])
    assert search(program, raw, hardware) == ()
    assert search(program, raw[:0], hardware[:0]) == ()


def test_a_flip_says_what_the_number_was_and_became() -> None:
    program = network("ap_fixed<30,18>")
    broken = upset(program, "two", (1, 2), 7)
    (flip, *_) = search(program, *differing(program, broken))
    before, after = (p.layers[2].weights[1, 2] for p in (program, broken))  # type: ignore[union-attr]
    assert (flip.part, flip.before, flip.after) == ("weight", before, after)
