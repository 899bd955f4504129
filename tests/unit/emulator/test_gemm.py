from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.engines.gemm import BLOCK, GemmEngine
from emulator.formats import Format, Overflow, Raw, Rounding, cast, limited
from emulator.graph import Cast, Dense, Hard, Layer, Merge, NotExact, Program, Rectifier, Table, Tensor

fmt = Format.parse


def dense(weights: Raw, bias: Raw, *, accumulator: Format, output: Format, order: Raw | None = None) -> Dense:
    return Dense(
        name="sum",
        sources=("x",),
        output=Tensor("y", (weights.shape[1],), output),
        weights=weights,
        weight_format=fmt("ap_fixed<12,6>"),
        bias=bias,
        bias_format=fmt("ap_fixed<12,6>"),
        accumulator=accumulator,
        order=np.arange(len(weights)) if order is None else order,
    )


def program(*layers: Layer, inputs: Tensor) -> Program:
    return Program((inputs,), layers, (layers[-1].output.name,))


def step_by_step(layer: Dense, x: list[int], fraction: int) -> list[int]:
    """The sum as nnet_dense_latency.h writes it: one Python integer at a time."""
    accumulator = layer.accumulator
    result = []
    for j in range(layer.weights.shape[1]):
        total = int(cast(layer.bias[j], layer.bias_format.fraction, accumulator))
        for i in layer.order.tolist():
            product = cast(x[i] * int(layer.weights[i, j]), fraction + layer.weight_format.fraction, accumulator)
            total = int(limited(np.array(total + int(product)), accumulator))
        result.append(int(cast(total, accumulator.fraction, layer.output.format)))
    return result


accumulators = st.builds(
    Format,
    signed=st.booleans(),
    width=st.integers(3, 34),
    integer=st.integers(-2, 20),
    rounding=st.sampled_from(Rounding),
    overflow=st.sampled_from(Overflow),
)


@settings(max_examples=150, deadline=None)
@given(accumulator=accumulators, seed=st.integers(0, 2**32 - 1), reverse=st.booleans())
def test_every_accumulator_adds_as_one_integer_at_a_time_does(*, accumulator: Format, seed: int, reverse: bool) -> None:
    generator = np.random.default_rng(seed)
    order = np.arange(7)[::-1].copy() if reverse else np.arange(7)
    layer = dense(
        generator.integers(-2048, 2048, (7, 3)) >> generator.integers(0, 11),
        generator.integers(-2048, 2048, 3),
        accumulator=accumulator,
        output=fmt("ap_fixed<40,20,AP_RND_CONV,AP_SAT>"),
        order=order,
    )
    x = Tensor("x", (7,), fmt("ap_fixed<10,4>"))
    raw = generator.integers(-512, 511, (12, 7), endpoint=True)
    expected = [step_by_step(layer, row, x.format.fraction) for row in raw.tolist()]
    assert GemmEngine(program(layer, inputs=x)).score(raw).tolist() == expected


@pytest.mark.parametrize("bits", [22, 23, 24, 25, 26, 29, 30, 31, 51, 52, 53, 54, 58])
def test_sums_are_exact_on_both_sides_of_every_carriers_limit(bits: int) -> None:
    """The largest odd sums that the ranges allow: what a float or an int32 would lose is the last bit."""
    wide = Format(signed=True, width=62, integer=62)
    weight = (1 << (bits - 9)) - 1
    weights = np.array([[weight, -weight], [weight, weight], [1, -1]])
    layer = Dense(
        name="sum",
        sources=("x",),
        output=Tensor("y", (2,), wide),
        weights=weights,
        weight_format=wide,
        bias=np.array([1, -2]),
        bias_format=wide,
        accumulator=wide,
        order=np.arange(3),
    )
    x = Tensor("x", (3,), fmt("ap_ufixed<8,8>"))
    raw = np.array([[255, 255, 255], [255, 254, 1], [255, 255, 254], [1, 0, 1], [0, 255, 255]])
    expected = (raw.astype(object) @ weights.astype(object) + np.array([1, -2], dtype=object)).tolist()
    assert GemmEngine(program(layer, inputs=x)).score(raw).tolist() == expected


def test_a_saturating_accumulator_depends_on_the_order_of_its_inputs() -> None:
    weights, bias = np.full((3, 1), 64), np.zeros(1, dtype=np.int64)
    x = Tensor("x", (3,), fmt("ap_fixed<10,10>"))
    scores = []
    for order in ([0, 1, 2], [2, 0, 1]):
        layer = dense(
            weights,
            bias,
            accumulator=fmt("ap_fixed<8,8,AP_TRN,AP_SAT>"),
            output=fmt("ap_fixed<8,8>"),
            order=np.array(order),
        )
        scores.append(GemmEngine(program(layer, inputs=x)).score(np.array([[100, 100, -50]])).tolist())
    assert scores == [[[77]], [[127]]]


def test_a_product_saturates_even_where_every_sum_would_fit() -> None:
    layer = dense(
        np.array([[64]]),
        np.array([-128 * 64]),
        accumulator=fmt("ap_fixed<8,8,AP_TRN,AP_SAT>"),
        output=fmt("ap_fixed<9,9>"),
    )
    x = Tensor("x", (1,), fmt("ap_ufixed<8,8>"))
    assert GemmEngine(program(layer, inputs=x)).score(np.array([[200], [100]])).tolist() == [[-1], [-28]]


def test_an_intermediate_beyond_63_bits_is_refused_with_the_layers_name() -> None:
    x = Tensor("x", (2,), fmt("ap_fixed<40,20>"))
    product = Merge("square", ("x", "x"), Tensor("y", (2,), fmt("ap_fixed<60,30>")), "multiply")
    with pytest.raises(NotExact, match=r"'square'.*bits"):
        GemmEngine(program(product, inputs=x))


def a_relu() -> GemmEngine:
    x = Tensor("x", (3,), fmt("ap_fixed<8,4>"))
    zero = np.zeros(1, dtype=np.int64)
    relu = Rectifier("r", ("x",), Tensor("y", (3,), fmt("ap_ufixed<7,4>")), 0, x.format, zero, x.format)
    half = Cast("c", ("y",), Tensor("z", (3,), fmt("ap_ufixed<4,4>")))
    return GemmEngine(Program((x,), (relu, half), ("z",)))


def test_the_first_input_out_of_range_is_named_with_event_column_and_value() -> None:
    raw = np.zeros((BLOCK + 10, 3), dtype=np.int32)
    raw[BLOCK + 4, 1], raw[BLOCK + 5, 0] = 128, -129
    with pytest.raises(ValueError, match=rf"event {BLOCK + 4}, input 1 is 128, .* -128 to 127"):
        a_relu().score(raw)


@pytest.mark.parametrize("raw", [np.zeros(3, dtype=int), np.zeros((2, 4), dtype=int), np.zeros((2, 3))])
def test_a_wrong_shape_or_a_float_is_refused(raw: np.ndarray) -> None:
    with pytest.raises(ValueError, match=r"takes integers \(n, 3\)"):
        a_relu().score(raw)


@pytest.mark.parametrize("kind", [np.int8, np.int16, np.uint8, np.int32, np.uint64, np.int64])
def test_every_integer_type_gives_the_same_scores(kind: type) -> None:
    raw = np.array([[0, 1, 127], [16, 31, 2]], dtype=kind)
    scores = a_relu().score(raw)
    assert scores.dtype == np.int64
    assert scores.tolist() == [[0, 0, 7], [1, 1, 0]]


def test_events_do_not_depend_on_how_many_come_at_once() -> None:
    raw = np.random.default_rng(0).integers(-128, 128, (2 * BLOCK + 7, 3))
    engine = a_relu()
    together = engine.score(raw)
    apart = np.concatenate([engine.score(raw[:5]), engine.score(raw[5:6]), engine.score(raw[6:])])
    assert np.array_equal(together, apart)
    assert engine.score(raw[:0]).shape == (0, 3)


def test_a_trace_has_every_layer_in_order_and_shape() -> None:
    trace = a_relu().trace(np.array([[-128, 3, 127]]))
    assert [(name, values.tolist()) for name, values in trace] == [("r", [[0, 1, 63]]), ("c", [[0, 0, 7]])]


def test_hard_tanh_is_two_hard_sigmoids_less_one() -> None:
    x = Tensor("x", (1,), fmt("ap_fixed<8,4>"))
    out = fmt("ap_fixed<12,2,AP_RND,AP_SAT>")
    hard = Hard("h", ("x",), Tensor("y", (1,), out), 51, fmt("ap_fixed<16,8>"), 128, fmt("ap_fixed<16,8>"), True)
    raw = np.arange(-128, 128)[:, None]
    exact = [2 * min(max(Fraction(51 * x, 4096) + Fraction(1, 2), 0), 1) - 1 for x in raw[:, 0].tolist()]
    expected = [[math.floor(value * 1024 + Fraction(1, 2))] for value in exact]
    assert GemmEngine(program(hard, inputs=x)).score(raw).tolist() == expected


def test_a_table_index_truncates_towards_zero_and_stays_inside() -> None:
    x = Tensor("x", (1,), fmt("ap_fixed<10,6>"))
    table = Table("t", ("x",), Tensor("y", (1,), fmt("ap_uint<8>")), np.arange(64), fmt("ap_uint<8>"), span=16)
    raw = np.array([[-512], [-5], [-4], [-3], [0], [3], [4], [511]])
    assert GemmEngine(program(table, inputs=x)).score(raw)[:, 0].tolist() == [0, 31, 31, 32, 32, 32, 33, 63]
