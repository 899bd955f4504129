"""Networks of HGQ2, quantised element by element, also as trees of adders, against hls4ml's compiled C++."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.graph import Dense, Quantiser, Table
from emulator.graph_source import read_graph
from emulator.importers.hls4ml import import_graph

pytestmark = [
    pytest.mark.csim,
    pytest.mark.filterwarnings("ignore"),  # Keras, JAX and HGQ2 warn of each other
]


@pytest.fixture(scope="module")
def keras() -> Any:
    """Keras, with HGQ2 there, and its quantisers set to bits of their own for every weight and every activation."""
    os.environ["KERAS_BACKEND"] = "jax"
    found = pytest.importorskip("keras", reason="needs Keras 3")
    config = pytest.importorskip("hgq.config", reason="needs HGQ2")
    found.utils.set_random_seed(4)
    with (
        config.QuantizerConfigScope(default_q_type="kbi", place=("weight", "bias")),
        config.QuantizerConfigScope(default_q_type="kif", place="datalane"),
        config.LayerConfigScope(enable_ebops=False),
    ):
        yield found


@pytest.fixture
def flat(keras: Any) -> Iterator[Any]:
    """The same, with one format for all activations of a layer, which is what hls4ml has for streams."""
    scope = pytest.importorskip("hgq.config", reason="needs HGQ2").QuantizerConfigScope
    with scope(default_q_type="kif", place="datalane", heterogeneous_axis=()):
        yield keras


def save(model: Any, path: Path) -> Path:
    """Move the bits of a network of HGQ2, find its ranges, and save it as Keras does."""
    trace = pytest.importorskip("hgq.utils", reason="needs HGQ2").trace_minmax
    rng = np.random.default_rng(4)
    shape = model.input_shape[1:]
    raw = rng.normal(size=(2000, *shape)) * rng.uniform(0.2, 4, shape)
    model(raw)
    for variable in model.trainable_variables:
        if variable.path.endswith(("/f", "/b")) and "kernel" not in variable.path:
            variable.assign(np.round(np.asarray(variable) + rng.integers(-2, 2, variable.shape)))
    trace(model, raw)
    model.save(path)
    return path


def assert_equal(found: Any) -> None:
    assert found.wrong_layers == {}
    assert found.mismatches == 0
    assert found.distinct > 100


@pytest.mark.parametrize("strategy", ["latency", "distributed_arithmetic"])
def test_a_network_of_hgq2_gives_csims_scores_and_layers(
    strategy: str, keras: Any, compared: Callable[..., Any], tmp_path: Path
) -> None:
    layers = pytest.importorskip("hgq.layers", reason="needs HGQ2")
    if strategy == "distributed_arithmetic":
        pytest.importorskip("da4ml", reason="needs da4ml, which writes the trees of adders")
    settings = {"Model": {"Precision": "fixed<24,12>", "ReuseFactor": 1, "Strategy": strategy}}
    stack = [layers.QDense(8, activation="relu"), layers.QDense(6, activation="relu"), layers.QDense(3)]
    model = keras.Sequential([keras.layers.Input((10,)), *stack])
    graph = read_graph(save(model, tmp_path / "net.keras"), hls_config=settings, backend="Vitis")
    kinds = [type(layer) for layer in import_graph(graph).layers]
    assert kinds.count(Dense) == 3
    assert Quantiser in kinds
    assert_equal(compared(graph))


def test_convolutions_and_einsums_as_trees_of_adders_are_csims(
    keras: Any, compared: Callable[..., Any], tmp_path: Path
) -> None:
    layers = pytest.importorskip("hgq.layers", reason="needs HGQ2")
    pytest.importorskip("da4ml", reason="needs da4ml, which writes the trees of adders")
    biases = {"bias_initializer": keras.initializers.RandomNormal(stddev=1.0)}
    x = keras.layers.Input((6, 3), name="x")
    line = layers.QConv1D(4, 3, padding="same", strides=2, name="line", **biases)(x)
    points = layers.QConv1D(3, 1, name="points", parallelization_factor=1)(line)
    turned = layers.QEinsumDense("btc,cd->bdt", (4, 3), bias_axes="d", name="turned", **biases)(points)
    grouped = layers.QEinsumDense("btc,tcd->btd", (4, 2), bias_axes="td", name="grouped", **biases)(turned)
    image = layers.QConv2D(2, (2, 3), padding="same", name="image")(keras.layers.Reshape((4, 2, 1))(grouped))
    model = keras.Model(x, [image, grouped])
    settings = {"Model": {"Precision": "fixed<24,12>", "ReuseFactor": 1, "Strategy": "distributed_arithmetic"}}
    graph = read_graph(save(model, tmp_path / "net.keras"), hls_config=settings, backend="Vitis")
    written = [node.name for node in graph.get_layers() if node.get_attr("da_codegen")]
    assert written == ["line", "points", "turned", "grouped", "image"]
    found = compared(graph)
    assert_equal(found)
    assert set(written) <= found.traced & found.moving


STREAMED = ("latency", "distributed_arithmetic")


@pytest.mark.parametrize("strategy", STREAMED)
def test_networks_of_hgq2_in_streams_are_csims(
    strategy: str, flat: Any, compared: Callable[..., Any], tmp_path: Path
) -> None:
    layers = pytest.importorskip("hgq.layers", reason="needs HGQ2")
    pytest.importorskip("da4ml", reason="needs da4ml, which writes the trees of adders")
    x = flat.layers.Input((7, 6, 2), name="x")
    y = layers.QConv2D(4, (3, 2), strides=(2, 1), padding="same", activation="relu", name="strided")(x)
    y = layers.QConv2D(3, 1, name="points")(y)
    y = layers.QConv2D(3, (2, 2), strides=(2, 2), name="halved")(y)
    y = layers.QDense(4, activation="relu", name="channels")(flat.layers.Reshape((6, 3))(y))
    y = layers.QConv1D(2, 3, strides=2, name="line")(y)
    model = flat.Model(x, layers.QDense(3, name="out")(flat.layers.Flatten()(y)))
    settings = {"Model": {"Precision": "fixed<24,12>", "ReuseFactor": 1, "Strategy": strategy}}
    graph = read_graph(save(model, tmp_path / "net.keras"), hls_config=settings, backend="Vitis", io_type="io_stream")
    found = compared(graph, events=2000)
    assert_equal(found)
    assert {"strided", "points", "halved", "channels", "line", "out"} <= found.traced & found.moving


@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_any_function_of_one_variable_is_looked_up_as_csim_does(
    io_type: str, flat: Any, compared: Callable[..., Any], tmp_path: Path
) -> None:
    """Of inputs with and without sign, and of some that are all below 1/2, which leaves no integer bits."""
    hgq = pytest.importorskip("hgq.layers", reason="needs HGQ2")
    kinds = {"gelu": "linear", "sigmoid": "relu", "tanh": "linear"}
    small = {"kernel_initializer": flat.initializers.RandomNormal(stddev=0.03)}
    y = x = flat.layers.Input((10,), name="x")
    for name, before in kinds.items():
        y = hgq.QDense(6, activation=before, name=f"before_{name}", **(small if name == "tanh" else {}))(y)
        y = hgq.QUnaryFunctionLUT(name, name=name, allow_heterogeneous_table=False, allow_heterogeneous_input=False)(y)
    ends = hgq.QDense(2, name="out")(y)
    settings = {"Model": {"Precision": "fixed<24,12>", "ReuseFactor": 1, "Strategy": "latency"}}
    path = save(flat.Model(x, ends), tmp_path / "net.keras")
    graph = read_graph(path, hls_config=settings, backend="Vitis", io_type=io_type)
    program = import_graph(graph)
    read = {each.name: each.sources[0] for each in program.layers if isinstance(each, Table)}
    assert set(read) == set(kinds)
    assert {program.tensors()[name].format.signed for name in read.values()} == {False, True}
    assert read["tanh"].endswith("_scaled")
    found = compared(graph)
    assert found.wrong_layers == {}
    assert found.mismatches == 0
    assert set(kinds) <= found.traced & found.moving
