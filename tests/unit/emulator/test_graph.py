from __future__ import annotations

import dataclasses
import typing

import numpy as np
import pytest

from emulator import graph
from emulator.formats import Format
from emulator.graph import KINDS, Cast, Layer, Program, Tensor

FMT = Format.parse("ap_fixed<8,4>")


def test_every_kind_of_layer_has_its_name_in_the_catalogue() -> None:
    assert set(typing.get_args(Layer)) == set(KINDS.values())
    assert set(KINDS) <= set(graph.__all__)


@pytest.mark.parametrize("kind", KINDS.values(), ids=lambda kind: kind.__name__)
def test_layers_are_frozen_and_hold_only_what_a_card_can_store(kind: type) -> None:
    allowed = {
        "str",
        "int",
        "bool",
        "int | None",
        "Format",
        "Format | None",
        "Tensor",
        "tuple[str, ...]",
        "Raw",
        "Raw | None",
    }
    assert {str(field.type) for field in dataclasses.fields(kind)} <= allowed
    assert [field.name for field in dataclasses.fields(kind)][:3] == ["name", "sources", "output"]
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]


def test_a_layer_that_reads_what_nobody_wrote_is_refused() -> None:
    x = Tensor("x", (2,), FMT)
    with pytest.raises(ValueError, match=r"second reads \['z'\]"):
        Program((x,), (Cast("second", ("z",), Tensor("y", (2,), FMT)),), ("y",))
    with pytest.raises(ValueError, match=r"outputs reads \['w'\]"):
        Program((x,), (Cast("first", ("x",), Tensor("y", (2,), FMT)),), ("w",))


def test_a_program_counts_its_inputs_and_outputs() -> None:
    a, b = Tensor("a", (2, 3), FMT), Tensor("b", (4,), FMT)
    layers = (Cast("first", ("a",), Tensor("y", (2, 3), FMT)), Cast("second", ("b",), Tensor("z", (4,), FMT)))
    program = Program((a, b), layers, ("z", "y"))
    assert (program.n_inputs, program.n_outputs) == (10, 10)
    assert [tensor.name for tensor in program.output_tensors] == ["z", "y"]
    assert list(program.tensors()) == ["a", "b", "y", "z"]
    assert np.prod(program.tensors()["a"].shape) == program.tensors()["a"].size
