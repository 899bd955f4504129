"""Networks of HGQ2, quantised element by element, also as trees of adders, against hls4ml's compiled C++."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.graph import Dense, Quantiser
from emulator.graph_source import read_graph
from emulator.importers.hls4ml import import_graph

pytestmark = [
    pytest.mark.csim,
    pytest.mark.filterwarnings("ignore"),  # Keras, JAX and HGQ2 warn of each other
]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network of HGQ2 with bits of their own for every weight and every activation, saved by Keras."""
    os.environ["KERAS_BACKEND"] = "jax"
    keras = pytest.importorskip("keras", reason="needs Keras 3")
    layers = pytest.importorskip("hgq.layers", reason="needs HGQ2")
    config = pytest.importorskip("hgq.config", reason="needs HGQ2")
    trace = pytest.importorskip("hgq.utils", reason="needs HGQ2").trace_minmax
    keras.utils.set_random_seed(4)
    rng = np.random.default_rng(4)
    with (
        config.QuantizerConfigScope(default_q_type="kbi", place=("weight", "bias")),
        config.QuantizerConfigScope(default_q_type="kif", place="datalane"),
        config.LayerConfigScope(enable_ebops=False),
    ):
        model = keras.Sequential(
            [
                keras.layers.Input((10,)),
                layers.QDense(8, activation="relu"),
                layers.QDense(6, activation="relu"),
                layers.QDense(3),
            ]
        )
    raw = rng.normal(size=(2000, 10)) * rng.uniform(0.2, 4, 10)
    model(raw)
    for variable in model.trainable_variables:
        if variable.path.endswith(("/f", "/b")) and "kernel" not in variable.path:
            variable.assign(np.round(np.asarray(variable) + rng.integers(-2, 2, variable.shape)))
    trace(model, raw)
    path = tmp_path_factory.mktemp("hgq2") / "net.keras"
    model.save(path)
    return path


@pytest.mark.parametrize("strategy", ["latency", "distributed_arithmetic"])
def test_a_network_of_hgq2_gives_csims_scores_and_layers(
    strategy: str, saved: Path, compared: Callable[..., Any]
) -> None:
    if strategy == "distributed_arithmetic":
        pytest.importorskip("da4ml", reason="needs da4ml, which writes the trees of adders")
    settings = {"Model": {"Precision": "fixed<24,12>", "ReuseFactor": 1, "Strategy": strategy}}
    graph = read_graph(saved, hls_config=settings, backend="Vitis")
    kinds = [type(layer) for layer in import_graph(graph).layers]
    assert kinds.count(Dense) == 3
    assert Quantiser in kinds
    found = compared(graph)
    assert found.wrong_layers == {}
    assert found.mismatches == 0
    assert found.distinct > 100
