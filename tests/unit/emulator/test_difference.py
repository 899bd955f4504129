from __future__ import annotations

import dataclasses

import numpy as np

from emulator.difference import changes
from emulator.formats import Format
from emulator.graph import Cast, Dense, Program, Tensor

fmt = Format.parse
BYTE = fmt("ap_fixed<8,4>")


def network(**fields: object) -> Program:
    x = Tensor("x", (3,), BYTE)
    dense = Dense(
        name="dense",
        sources=("x",),
        output=Tensor("y", (2,), fmt("ap_fixed<12,6>")),
        weights=np.array([[1, -3], [7, 5], [2, 9]]),
        weight_format=BYTE,
        bias=np.array([1, 2]),
        bias_format=BYTE,
        accumulator=fmt("ap_fixed<20,10>"),
        order=np.arange(3),
    )
    last = Cast("out", ("y",), Tensor("z", (2,), BYTE))
    return Program((x,), (dataclasses.replace(dense, **fields), last), ("z",))  # type: ignore[arg-type]


def said(left: Program, right: Program) -> list[str]:
    return [str(change) for change in changes(left, right)]


def test_equal_programs_differ_in_nothing_even_under_other_names() -> None:
    assert said(network(), network(name="another")) == []


def test_changed_weights_are_counted_and_the_largest_change_is_told() -> None:
    other = network(weights=np.array([[1, -3], [7, 6], [2, -9]]))
    assert said(network(), other) == ["layer dense, weights: 2 of 6 numbers, most at [2, 1]: 9 | -9"]


def test_formats_shapes_and_missing_parts_are_told() -> None:
    saturating = network(accumulator=fmt("ap_fixed<20,10,AP_TRN,AP_SAT>"), gather=np.arange(3)[None])
    assert said(network(), saturating) == [
        "layer dense, accumulator: ap_fixed<20,10,AP_TRN,AP_WRAP> | ap_fixed<20,10,AP_TRN,AP_SAT>",
        "layer dense, gather: None | numbers of shape (1, 3)",
    ]
    assert said(network(), network(bias=np.array([1, 2, 3]))) == ["layer dense, bias: (2,) | (3,)"]


def test_a_layer_more_and_a_layer_of_another_kind_are_told() -> None:
    whole = network()
    short = Program(whole.inputs, whole.layers[:1], ("y",))
    assert said(whole, short) == ["layer out, layer: Cast, in the first model only"]
    cast = Cast("cast", ("x",), Tensor("y", (3,), BYTE))
    assert said(short, Program(whole.inputs, (cast,), ("y",))) == ["layer dense, layer: Dense | Cast"]
