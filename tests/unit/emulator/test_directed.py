import dataclasses

import numpy as np
import pytest

from emulator.card import raw_bounds
from emulator.directed import corners, directed_inputs, random_inputs
from emulator.engines.gemm import GemmEngine
from emulator.formats import Format, Overflow, Rounding
from emulator.graph import Cast, Dense, Program, Rectifier, Tensor

INPUTS = 12


def network(*, accumulator: Format, result: Format, final: Format) -> Program:
    """Two dense layers whose casts are the ones given."""
    rng = np.random.default_rng(4)
    weight, half = Format(True, 8, 2), Format(True, 8, 2)
    x = Tensor("x", (INPUTS,), Format(True, 18, 13))
    first = Dense(
        name="first",
        sources=("x",),
        output=Tensor("a", (8,), result),
        weights=rng.integers(-90, 90, (INPUTS, 8)),
        weight_format=weight,
        bias=rng.integers(-90, 90, 8),
        bias_format=weight,
        accumulator=accumulator,
        order=np.arange(INPUTS),
    )
    leaky = Rectifier(
        name="leaky",
        sources=("a",),
        output=Tensor("b", (8,), result),
        threshold=0,
        threshold_format=half,
        slope=np.array([32]),
        slope_format=half,
    )
    second = Dense(
        name="second",
        sources=("b",),
        output=Tensor("c", (3,), Format(True, 36, 25)),
        weights=rng.integers(-90, 90, (8, 3)),
        weight_format=weight,
        bias=rng.integers(-90, 90, 3),
        bias_format=weight,
        accumulator=Format(True, 40, 29),
        order=np.arange(8),
    )
    out = Cast("out", ("c",), Tensor("d", (3,), final))
    return Program((x,), (first, leaky, second, out), ("d",))


DEFAULT = {
    "accumulator": Format(True, 28, 17),
    "result": Format(True, 20, 15, Rounding.RND, Overflow.SAT),
    "final": Format(True, 18, 16, Rounding.RND_CONV, Overflow.SAT),
}
# What a wrong engine would do instead, cast by cast.
MUTANTS = {
    "accumulator one bit short": ("accumulator", {"width": 27, "integer": 16}),
    "accumulator saturates instead of wrapping": (
        "accumulator",
        {"width": 27, "integer": 16, "overflow": Overflow.SAT},
    ),
    "result: SAT_SYM for SAT": ("result", {"overflow": Overflow.SAT_SYM}),
    "result wraps instead of saturating": ("result", {"overflow": Overflow.WRAP}),
    "result truncates instead of rounding": ("result", {"rounding": Rounding.TRN}),
    "result: RND_CONV for RND": ("result", {"rounding": Rounding.RND_CONV}),
    "result: RND_ZERO for RND": ("result", {"rounding": Rounding.RND_ZERO}),
    "result: RND_INF for RND": ("result", {"rounding": Rounding.RND_INF}),
    "final: SAT_SYM for SAT": ("final", {"overflow": Overflow.SAT_SYM}),
    "final: RND for RND_CONV": ("final", {"rounding": Rounding.RND}),
    "final: RND_ZERO for RND_CONV": ("final", {"rounding": Rounding.RND_ZERO}),
    "final wraps instead of saturating": ("final", {"overflow": Overflow.WRAP}),
}


@pytest.fixture(scope="module")
def directed() -> np.ndarray:
    program = network(**DEFAULT)
    low, high = raw_bounds(program.inputs)
    return directed_inputs(program, GemmEngine(program), low=low, high=high, rng=np.random.default_rng(1))


@pytest.mark.parametrize("name", MUTANTS)
def test_directed_inputs_find_every_wrong_cast(directed: np.ndarray, name: str) -> None:
    which, change = MUTANTS[name]
    right = DEFAULT | {"accumulator": dataclasses.replace(DEFAULT["accumulator"], width=27, integer=16)}
    if which == "accumulator" and "overflow" not in change:
        right = DEFAULT
    wrong = right | {which: dataclasses.replace(right[which], **change)}
    assert (GemmEngine(network(**right)).score(directed) != GemmEngine(network(**wrong)).score(directed)).any()


def test_directed_inputs_are_reproducible_and_within_bounds(directed: np.ndarray) -> None:
    program = network(**DEFAULT)
    low, high = raw_bounds(program.inputs)
    again = directed_inputs(program, GemmEngine(program), low=low, high=high, rng=np.random.default_rng(1))
    assert (again == directed).all()
    assert (directed >= low).all()
    assert (directed <= high).all()


def test_the_corners_hold_zero_the_extremes_and_every_input_alone() -> None:
    low, high = np.array([-8, 0, -4]), np.array([7, 15, 3])
    rows = {tuple(row) for row in corners(low, high).tolist()}
    assert {(0, 0, 0), (-8, 0, -4), (7, 15, 3), (0, 15, 0), (-8, 0, 0), (0, 0, 3), (0, 1, 0), (-1, 0, 0)} <= rows


def test_random_inputs_fill_the_range_and_stay_small_too() -> None:
    low, high = np.full(20, -(2**17)), np.full(20, 2**17 - 1)
    rows = random_inputs(low, high, events=3000, rng=np.random.default_rng(2))
    assert rows.min() < -0.99 * 2**17
    assert rows.max() > 0.99 * 2**17
    assert (np.abs(rows).max(axis=1) < 1000).sum() > 100
    assert ((rows == 0).mean(axis=1) > 0.5).sum() > 300


def test_a_dropped_accumulator_bit_survives_30000_random_inputs_but_no_directed_ones(directed: np.ndarray) -> None:
    right = GemmEngine(network(**DEFAULT))
    wrong = GemmEngine(network(**DEFAULT | {"accumulator": Format(True, 27, 16)}))
    low, high = raw_bounds(network(**DEFAULT).inputs)
    chance = random_inputs(low, high, events=30_000, rng=np.random.default_rng(0))
    assert (right.score(chance) == wrong.score(chance)).all()
    assert (right.score(directed) != wrong.score(directed)).any()
