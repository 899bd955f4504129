"""Einsums, with weights and of two tensors, against hls4ml's own compiled C++."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.graph import Dense, Dot
from emulator.graph_source import read_graph
from emulator.importers.hls4ml import import_graph
from tests.golden.accumulators import ACCUMULATORS

pytestmark = [
    pytest.mark.csim,
    pytest.mark.filterwarnings("ignore"),  # Keras, JAX and HGQ2 warn of each other
]

DENSE = {
    "default": ("btc,tcd->btd", (4, 5), "d"),
    "wraps": ("btc,cd->btd", (4, 5), "d"),
    "cuts_and_wraps": ("btc,cd->bdt", (5, 4), "d"),
    "saturates": ("btc,cd->btd", (4, 5), "td"),
    "falls_to_zero": ("btc,tcd->bd", (5,), None),
    "is_an_integer": ("btc,tcd->bdt", (5, 4), "dt"),
}
PAIRS = ("btc,bsc->bts", "btc,btc->bt", "btc,btd->bcd", "btc,bsc->bst", "btc,btd->btcd")


@pytest.fixture(scope="module")
def keras() -> Any:
    os.environ["KERAS_BACKEND"] = "jax"
    found = pytest.importorskip("keras", reason="needs Keras 3")
    found.utils.set_random_seed(6)
    return found


def graph_of(keras: Any, inputs: list[Any], layers: dict[str, Any], folder: Path, precision: dict[str, Any]) -> Any:
    keras.Model(inputs, list(layers.values())).save(folder / "net.keras")
    config = {"LayerName": {name: {"Precision": types} for name, types in precision.items()}}
    return read_graph(folder / "net.keras", hls_config=config, backend="Vitis")


def assert_equal(compared: Any, *, layers: set[str]) -> None:
    assert layers <= compared.traced
    assert compared.wrong_layers == {}
    assert compared.mismatches == 0
    assert layers <= compared.moving


def test_tensors_times_weights_are_csims(keras: Any, compared: Callable[..., Any], tmp_path: Path) -> None:
    x = keras.layers.Input((4, 3), name="x")
    layers, precision = {}, {"x": {"result": "fixed<10,5>"}}
    for name, (equation, shape, axes) in DENSE.items():
        layer = keras.layers.EinsumDense(
            equation,
            shape,
            bias_axes=axes,
            name=name,
            kernel_initializer=keras.initializers.RandomNormal(stddev=1.5),
            bias_initializer=keras.initializers.RandomNormal(stddev=1.5),
        )
        layers[name] = layer(x)
        types = {"weight": "fixed<9,3>", "bias": "fixed<12,4>", "result": "fixed<18,8,RND,SAT>"}
        precision[name] = types | {"accum": ACCUMULATORS[name]} if name in ACCUMULATORS else {}
    graph = graph_of(keras, [x], layers, tmp_path, precision)
    assert sum(isinstance(layer, Dense) for layer in import_graph(graph).layers) > len(layers)
    assert_equal(compared(graph), layers=set(layers))


def test_tensors_times_tensors_are_csims(keras: Any, compared: Callable[..., Any], tmp_path: Path) -> None:
    einsum = pytest.importorskip("hgq.layers", reason="needs HGQ2").QEinsum
    x = keras.layers.Input((4, 3), name="x")
    y = keras.layers.Input((4, 3), name="y")
    layers, precision = {}, {"x": {"result": "fixed<10,5>"}, "y": {"result": "ufixed<8,2>"}}
    for name, equation in zip(("default", *ACCUMULATORS), itertools.cycle(PAIRS), strict=False):
        second = x if name == "wraps" else y
        layers[name] = einsum(equation, name=name, enable_iq=False, enable_oq=False)([x, second])
        accumulator = {"accum": ACCUMULATORS[name]} if name in ACCUMULATORS else {}
        precision[name] = {"result": "fixed<18,8,RND,SAT>"} | accumulator
    graph = graph_of(keras, [x, y], layers, tmp_path, precision)
    assert sum(isinstance(layer, Dot) for layer in import_graph(graph).layers) == len(layers)
    assert_equal(compared(graph), layers=set(layers))
