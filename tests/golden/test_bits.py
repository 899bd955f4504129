"""Networks of binary and ternary weights and activations against hls4ml's own compiled C++."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.importers.files import read_keras

pytestmark = pytest.mark.csim

Network = Any  # tests/golden/conftest.py

CHAINS = {
    "bits": ("BinaryDense", "binary_tanh", 3),
    "trits": ("TernaryDense", "ternary_tanh", 3),
    "trits_of_bits": ("TernaryDense", "binary_tanh", 2),
    "bits_of_trits": ("BinaryDense", "ternary_tanh", 2),
    "numbers_of_bits": ("Dense", "binary_tanh", 3),
}
PRODUCTS = {"mult", "both_binary", "data_binary", "weight_binary", "weight_ternary"}
SHAPES = ((6, 8), (8, 7), (7, 5))


def chain(network: Network, name: str) -> str:
    """Add an input and layers of one kind, with normalisations that become thresholds between them."""
    kind, activation, depth = CHAINS[name]
    source = network.input(f"{name}_x", 6, precision="fixed<10,4>")
    for number, shape in enumerate(SHAPES[:depth]):
        source = network.dense(f"{name}_{number}", source, shape, scale=1.0)
        network.layers[-1]["class_name"] = kind
        if number < depth - 1:
            source = network.batch_normalisation(f"{name}_norm{number}", source, shape[1])
            network.weights[source]["gamma"][::3] *= -1  # upper thresholds below the lower ones
            source = network.add("Activation", f"{name}_act{number}", source, activation=activation)
    return str(source)


def image(network: Network, *, branch: bool) -> list[str]:
    """Add an input, a convolution that makes bits, and what reads them: another, padding included, and a scale."""
    wide = {
        "Precision": {"weight": "fixed<8,2>", "bias": "fixed<8,3>", "accum": "fixed<20,8>", "result": "fixed<12,6>"}
    }
    cutting = {"Precision": wide["Precision"] | {"accum": "fixed<7,3,TRN,SAT>"}}
    source = network.input("image_x", 6, 3, precision="fixed<10,4>")
    source = network.convolution("image_0", source, (3, 3, 4), hls=wide)
    source = network.batch_normalisation("image_norm", source, 4, axis=[2])
    source = network.add("Activation", "image_act", source, activation="binary_tanh")
    outputs = [network.convolution("image_1", source, (3, 4, 2), padding="same", hls=cutting)]
    if branch:
        outputs.append(network.batch_normalisation("image_scaled", source, 4, axis=[2], hls=wide))
    return outputs


@pytest.mark.parametrize("io_type", ["io_parallel", "io_stream"])
def test_binary_and_ternary_networks_are_csims(
    io_type: str, network: Network, compared: Callable[..., Any], tmp_path: Path
) -> None:
    outputs = [chain(network, name) for name in CHAINS]
    outputs += image(network, branch=io_type == "io_parallel")  # a stream of bits forks into another type
    narrow = {"weight": "fixed<9,3>", "bias": "fixed<9,3>", "accum": "fixed<7,3,TRN,SAT>", "result": "fixed<9,4>"}
    network.precision["numbers_of_bits_1"] = {"Precision": narrow, "Strategy": "Resource", "ReuseFactor": 4}
    architecture, weights = network.write(tmp_path, outputs)
    graph = read_keras(architecture, weights, hls_config={"LayerName": network.precision}, io_type=io_type)
    code = " ".join(node.get_attr("config_cpp") or "" for node in graph.get_layers())
    assert {product for product in PRODUCTS if f"nnet::product::{product}<" in code} == PRODUCTS
    found = compared(graph)
    assert found.wrong_layers == {}
    assert found.mismatches == 0
    assert set(outputs) <= found.moving
    assert {"bnbt_bits_norm0", "bnbt_bits_norm1", "bnbt_trits_norm0", "bnbt_trits_norm1"} <= found.traced
