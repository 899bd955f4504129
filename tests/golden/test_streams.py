"""Networks in io_stream, where layers hand values on one after the other, against hls4ml's own compiled C++."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulator.importers.files import read_keras

pytestmark = pytest.mark.csim

Network = Any  # tests/golden/conftest.py
Compare = Callable[..., Any]


def types(**precision: str) -> dict[str, Any]:
    return {"Precision": precision}


def streamed(network: Network, folder: Path, *outputs: str) -> Any:
    architecture, weights = network.write(folder, list(outputs))
    return read_keras(architecture, weights, hls_config={"LayerName": network.precision}, io_type="io_stream")


def names(network: Network) -> list[str]:
    return [layer["name"] for layer in network.layers if layer["class_name"] not in ("InputLayer", "Flatten")]


def assert_equal(compared: Any, *, layers: set[str]) -> None:
    assert layers <= compared.traced
    assert compared.wrong_layers == {}
    assert compared.mismatches == 0
    assert compared.distinct > 2


ACTIVATIONS = (
    "relu",
    "sigmoid",
    "tanh",
    "softplus",
    "softsign",
    "elu",
    "linear",
    "hard_sigmoid",
    "binary_tanh",
    "softmax",
)


class Inputs:
    """A stream is read once: every branch has an input of its own."""

    def __init__(self, network: Network) -> None:
        self._network, self._count = network, 0

    def __call__(self, *shape: int, precision: str = "fixed<10,4>") -> str:
        self._count += 1
        return str(self._network.input(f"x{self._count}", *shape, precision=precision))


def test_dense_layers_and_activations(network: Network, compared: Compare, tmp_path: Path) -> None:
    cutting, fresh = types(weight="fixed<9,3>", bias="fixed<12,4>", accum="fixed<13,7,TRN,SAT>"), Inputs(network)
    for number, kind in enumerate(ACTIVATIONS):
        reused = cutting | ({"Strategy": "Resource", "ReuseFactor": 5} if number % 2 else {})
        dense = network.dense(f"d{number}", fresh(5, precision="fixed<10,5>"), (5, 4), hls=reused)
        network.add("Activation", f"a_{kind}", dense, activation=kind, hls=types(result="fixed<14,6>"))
    outputs = [f"a_{kind}" for kind in ACTIVATIONS]
    assert_equal(compared(streamed(network, tmp_path, *outputs)), layers=set(names(network)) - {"a_linear"})


def test_activations_with_parameters_and_every_softmax(network: Network, compared: Compare, tmp_path: Path) -> None:
    fresh = Inputs(network)
    network.add("ELU", "elu", fresh(4), alpha=0.75, hls=types(result="fixed<16,6>", param="fixed<8,2>"))
    network.add("LeakyReLU", "leaky", fresh(4), alpha=0.3, hls=types(result="fixed<13,6,RND,SAT>", param="fixed<9,1>"))
    network.add("ThresholdedReLU", "cut", fresh(4), theta=1.3, hls=types(result="ufixed<9,4>", param="fixed<9,3>"))
    network.weights["prelu"] = {"alpha": network.generator.normal(0, 0.5, 4)}
    network.add("PReLU", "prelu", fresh(4), shared_axes=None, hls=types(result="fixed<14,6>", param="fixed<9,2>"))
    for implementation in ("stable", "latency", "argmax"):
        hls = {"Implementation": implementation} | types(result="fixed<18,4>")
        network.add("Activation", f"s_{implementation}", fresh(5), activation="softmax", hls=hls)
    network.embedding("rows", fresh(5, precision="uint<3>"), (8, 3), hls=types(embeddings="fixed<9,3>"))
    assert_equal(compared(streamed(network, tmp_path, *names(network))), layers=set(names(network)))


def test_branches_and_merges(network: Network, compared: Compare, tmp_path: Path) -> None:
    precise = types(weight="fixed<8,2>", bias="fixed<8,3>", accum="fixed<24,10>", result="fixed<12,6>")
    x, fresh = network.input("x", 6, precision="fixed<10,5>"), Inputs(network)
    network.dense("left", x, (6, 4), hls=precise)
    network.dense("right", x, (6, 4), hls=precise)
    settings = types(scale="fixed<9,4>", bias="fixed<9,4>", result="fixed<13,7>")
    network.batch_normalisation("scaled", "right", 4, hls=settings)
    network.add("Add", "sum", "left", "scaled", hls=types(result="fixed<11,5,RND,SAT>"))
    network.dense("out", "sum", (4, 3), hls=precise)
    kinds = ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")
    for kind in kinds:
        network.add(
            kind, f"m_{kind}", fresh(6), fresh(6, precision="ufixed<9,5>"), hls=types(result="fixed<12,5,RND,SAT>")
        )
    network.add("Concatenate", "joined", fresh(6), fresh(4), axis=-1, hls=types(result="fixed<9,4,TRN,SAT>"))
    outputs = ["out", *(f"m_{kind}" for kind in kinds), "joined"]
    assert_equal(compared(streamed(network, tmp_path, *outputs)), layers=set(names(network)))


def test_images(network: Network, compared: Compare, tmp_path: Path) -> None:
    x = network.input("x", 8, 7, 2, precision="fixed<9,4>")
    cutting = types(weight="fixed<8,2>", bias="fixed<8,3>", accum="fixed<14,7>", result="ufixed<10,5,RND,SAT>")
    network.convolution("c0", x, (3, 3, 2, 3), hls=cutting)
    pool = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid", "data_format": "channels_last"}
    network.add("MaxPooling2D", "p0", "c0", hls=types(result="fixed<12,5>"), **pool)
    network.convolution("c1", "p0", (1, 1, 3, 2), hls=cutting)
    network.add("AveragePooling2D", "p1", "c1", hls=types(accum="fixed<14,5>", result="fixed<12,5>"), **pool)
    fresh = Inputs(network)
    for kind in ("Max", "Average"):
        narrow = types(accum="fixed<14,5>", result="fixed<12,5>")
        network.add(
            f"Global{kind}Pooling2D", kind, fresh(4, 3, 2), keepdims=False, data_format="channels_last", hls=narrow
        )
    network.add("Flatten", "flat", "p1", data_format="channels_last")
    network.dense("out", "flat", (2, 3), hls=types(accum="fixed<20,8>", result="fixed<12,5>"))
    assert_equal(
        compared(streamed(network, tmp_path, "out", "Max", "Average"), events=1500), layers=set(names(network))
    )


def test_lines(network: Network, compared: Compare, tmp_path: Path) -> None:
    line = network.input("line", 9, 3, precision="ufixed<8,3>")
    cutting = types(weight="fixed<8,2>", bias="fixed<8,3>", accum="fixed<14,7>", result="fixed<12,6>")
    network.convolution("c0", line, (3, 3, 4), hls=cutting | {"Strategy": "Resource"})
    network.add("Activation", "r0", "c0", activation="relu", hls=types(result="ufixed<10,5>"))
    narrow, places = types(accum="fixed<14,5>", result="fixed<12,5>"), {"data_format": "channels_last"}
    network.add("GlobalAveragePooling1D", "whole", "r0", keepdims=False, hls=narrow, **places)
    network.dense("out", "whole", (4, 3), hls=types(accum="fixed<20,8>", result="fixed<12,5>"))
    fresh = Inputs(network)
    pool = {"pool_size": [3], "strides": [3], "padding": "valid", **places}
    for kind in ("Max", "Average"):
        network.add(f"{kind}Pooling1D", kind, fresh(9, 3), hls=narrow, **pool)
    network.add("GlobalMaxPooling1D", "highest", fresh(9, 3), keepdims=False, hls=narrow, **places)
    network.convolution("points", fresh(9, 3), (1, 3, 2), hls=cutting)
    unrolled = {"Strategy": "Resource_Unrolled", "ReuseFactor": 3}
    network.convolution("unrolled", fresh(9, 3), (3, 3, 2), hls=cutting | unrolled)
    outputs = ["out", "Max", "Average", "highest", "points", "unrolled"]
    assert_equal(compared(streamed(network, tmp_path, *outputs), events=1500), layers=set(names(network)))


@pytest.mark.parametrize("window", [(3,), (3, 2)])
def test_depthwise_and_separable_convolutions(
    window: tuple[int, ...], network: Network, compared: Compare, tmp_path: Path
) -> None:
    fresh, shape = Inputs(network), (9, 3) if len(window) == 1 else (6, 5, 3)
    accumulators = {"wide": "fixed<24,10>", "cutting": "fixed<13,7>", "saturating": "fixed<9,4,RND,SAT>"}
    outputs = []
    for kind, accumulator in accumulators.items():
        settings = types(weight="fixed<8,2>", bias="fixed<8,3>", accum=accumulator, result="fixed<12,6>")
        outputs.append(network.depthwise(f"deep_{kind}", fresh(*shape), (*window, 3), hls=settings))
        parts = {"depthwise": "fixed<7,2>", "pointwise": "fixed<9,2>", "bias": "fixed<8,3>", "result": "fixed<12,6>"}
        inner = {"dw_output": "fixed<11,5,RND,SAT>", "depthwise_accum": accumulator, "pointwise_accum": accumulator}
        outputs.append(network.separable(f"apart_{kind}", fresh(*shape), (*window, 3, 4), hls=types(**parts, **inner)))
    traced = {name + "_pointwise" * name.startswith("apart") for name in outputs}
    assert_equal(compared(streamed(network, tmp_path, *outputs), events=1500), layers=traced)


def test_joins_of_several_dimensions(network: Network, compared: Compare, tmp_path: Path) -> None:
    fresh = Inputs(network)
    for axis in (1, 2):
        network.add("Concatenate", f"table_{axis}", fresh(3, 2), fresh(3, 2), axis=axis, hls=types(result="fixed<9,4>"))
    for axis in (1, 2, 3):
        network.add("Concatenate", f"block_{axis}", fresh(2, 3, 2), fresh(2, 3, 2), axis=axis)
    assert_equal(compared(streamed(network, tmp_path, *names(network)), events=500), layers=set(names(network)))


def test_moves(network: Network, compared: Compare, tmp_path: Path) -> None:
    fresh, places = Inputs(network), {"data_format": "channels_last"}
    network.add("ZeroPadding2D", "padded", fresh(4, 3, 2), padding=[[1, 2], [0, 1]], **places)
    network.add("ZeroPadding1D", "padded_line", fresh(5, 3), padding=[2, 1], **places)
    network.add("Cropping2D", "cut", fresh(4, 3, 2), cropping=[[1, 1], [1, 0]], **places)
    network.add("Cropping1D", "cut_line", fresh(5, 3), cropping=[1, 2], **places)
    network.add("UpSampling2D", "enlarged", fresh(4, 3, 2), size=[3, 2], interpolation="nearest", **places)
    network.add("UpSampling1D", "enlarged_line", fresh(5, 3), size=3, **places)
    network.add("Permute", "turned", fresh(2, 3), dims=[2, 1])
    assert_equal(compared(streamed(network, tmp_path, *names(network)), events=500), layers=set(names(network)))


WORDS = ("fixed<10,4>", "ufixed<9,3>", "fixed<8,1>", "fixed<8,-1>", "fixed<6,8>", "fixed<9,4,RND,SAT_SYM>", "int<7>")


@pytest.mark.parametrize("kind", ["selu", "ternary_tanh"])
def test_what_streams_compute_in_another_way(kind: str, network: Network, compared: Compare, tmp_path: Path) -> None:
    """For inputs that 1, -1 or lambda fit in, and do not."""
    fresh = Inputs(network)
    for number, word in enumerate(WORDS):
        network.add(
            "Activation", f"a{number}", fresh(4, precision=word), activation=kind, hls=types(result="fixed<13,4>")
        )
    graph = streamed(network, tmp_path, *names(network))
    found = compared(graph, events=4000)
    assert_equal(found, layers=set(names(network)))
    assert {"a0", "a4", "a6"} <= found.moving
