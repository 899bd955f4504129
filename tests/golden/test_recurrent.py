"""Recurrent layers, unrolled in time, against hls4ml's own compiled C++."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.importers.files import read_keras
from tests.networks import CELL

pytestmark = pytest.mark.csim

Network = Any  # tests/golden/conftest.py
Compare = Callable[..., Any]
GATES = {"LSTM": 4, "GRU": 3}
STEPS, INPUTS, UNITS = 4, 3, 3

NARROW = {
    "weight": "fixed<9,2,RND,SAT>",
    "recurrent_weight": "fixed<8,2>",
    "bias": "fixed<9,3>",
    "recurrent_bias": "fixed<9,3>",
    "accum": "fixed<20,8>",
    "result": "fixed<12,4,RND_CONV,SAT>",
}
SATURATING = NARROW | {"accum": "fixed<12,4,TRN,SAT>", "result": "fixed<11,3,RND,SAT_SYM>"}


def cell(network: Network, kind: str, name: str, **config: Any) -> dict[str, Any]:
    """Return the configuration of a layer whose weights are drawn."""
    draw, width = network.generator.normal, GATES[kind] * UNITS
    network.weights[name] = {
        "kernel": draw(0, 0.6, (INPUTS, width)),
        "recurrent_kernel": draw(0, 0.6, (UNITS, width)),
        "bias": draw(0, 0.4, (2, width) if kind == "GRU" else width),
    }
    after = {"reset_after": True} if kind == "GRU" else {}
    return CELL | {"units": UNITS} | after | config


def assert_equal(compared: Any, *, layers: set[str]) -> None:
    assert layers <= compared.traced
    assert compared.wrong_layers == {}
    assert compared.mismatches == 0
    assert layers <= compared.moving


@pytest.mark.parametrize("kind", sorted(GATES))
@pytest.mark.parametrize(
    ("precision", "model"),
    [
        ({}, {"Precision": "fixed<16,6>", "ReuseFactor": 1}),
        (NARROW, {"Precision": "fixed<16,6>", "ReuseFactor": 3, "Strategy": "Resource"}),
        (SATURATING, {"Precision": "fixed<16,6>", "ReuseFactor": 1}),
    ],
    ids=["default", "resource", "saturating"],
)
def test_states_and_sequences_are_csims(
    kind: str, precision: dict[str, str], model: dict[str, Any], network: Network, compared: Compare, tmp_path: Path
) -> None:
    inputs = "fixed<12,5>"
    if kind == "LSTM":  # hls4ml's C++ compiles only where inputs, accumulator and state have one type
        inputs = precision.get("result", "fixed<16,6>")
        precision = precision | {"accum": inputs}
    x = network.input("x", STEPS, INPUTS, precision=inputs)
    hls = {"Precision": precision} if precision else None
    last = network.add(kind, "last", x, hls=hls, **cell(network, kind, "last"))
    relu = {"return_sequences": True, "activation": "relu"}
    if hls and model.get("Strategy") == "Resource":
        hls = hls | {"Strategy": "Resource_Unrolled"}
    every = network.add(kind, "every", x, hls=hls, **cell(network, kind, "every", **relu))
    architecture, weights = network.write(tmp_path, [last, every])
    graph = read_keras(architecture, weights, hls_config={"LayerName": network.precision, "Model": model})
    assert_equal(compared(graph), layers={"last", "every"})


@pytest.mark.parametrize("kind", sorted(GATES))
def test_they_are_csims_in_a_stream(kind: str, network: Network, compared: Compare, tmp_path: Path) -> None:
    inputs = NARROW["result"] if kind == "LSTM" else "fixed<12,5>"
    hls = {"Precision": NARROW | ({"accum": inputs} if kind == "LSTM" else {})}
    sources = [network.input(name, STEPS, INPUTS, precision=inputs) for name in ("x", "y")]
    last = network.add(kind, "last", sources[0], hls=hls, **cell(network, kind, "last"))
    every = network.add(kind, "every", sources[1], hls=hls, **cell(network, kind, "every", return_sequences=True))
    architecture, weights = network.write(tmp_path, [last, every])
    config = {"LayerName": network.precision, "Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}}
    graph = read_keras(architecture, weights, hls_config=config, io_type="io_stream")
    assert_equal(compared(graph), layers={"last", "every"})


def test_the_program_is_that_of_every_step(network: Network, tmp_path: Path) -> None:
    from emulator.importers.hls4ml import import_graph  # noqa: PLC0415 - needs hls4ml, which may be absent

    x = network.input("x", STEPS, INPUTS, precision="fixed<12,5>")
    last = network.add("LSTM", "last", x, **cell(network, "LSTM", "last"))
    architecture, weights = network.write(tmp_path, [last])
    program = import_graph(read_keras(architecture, weights, hls_config={"Model": {"Precision": "fixed<16,6>"}}))
    dense = [layer for layer in program.layers if type(layer).__name__ == "Dense"]
    assert len(dense) == 1 + STEPS
    assert dense[0].gather is not None
    assert dense[0].gather.shape == (STEPS, INPUTS)
    assert program.layers[-1].name == "last"
    assert np.prod(program.layers[-1].output.shape) == UNITS


def both_ways(network: Network, name: str, **config: Any) -> dict[str, Any]:
    """Return the configuration of a bidirectional GRU whose weights are drawn."""
    network.weights[name] = {}
    for direction in ("forward", "backward"):
        inner = cell(network, "GRU", "inner", **config)
        drawn = network.weights.pop("inner")
        network.weights[name] |= {f"{direction}_inner/gru_cell/{key}": value for key, value in drawn.items()}
    return {"merge_mode": "concat", "layer": {"class_name": "GRU", "config": {"name": "inner", **inner}}}


def test_both_directions_are_csims(network: Network, compared: Compare, tmp_path: Path) -> None:
    x = network.input("x", STEPS, INPUTS, precision="fixed<12,5>")
    last = network.add("Bidirectional", "last", x, **both_ways(network, "last"))
    every = network.add("Bidirectional", "every", x, **both_ways(network, "every", return_sequences=True))
    architecture, weights = network.write(tmp_path, [last, every])
    graph = read_keras(architecture, weights, hls_config={"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 1}})
    assert_equal(compared(graph), layers={"last", "every"})
