"""Imported programs on the numpy engine against hls4ml's own compiled C++: every score, every layer, no difference."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.graph import NotExact, Table
from emulator.importers.files import read_keras, read_onnx
from emulator.importers.hls4ml import import_graph
from tests.golden.accumulators import ACCUMULATORS

pytestmark = pytest.mark.csim

Network = Any  # tests/golden/conftest.py
Compare = Callable[..., Any]

SHARED = Path(__file__).parents[2] / ".." / "shared" / "data" / "models"
SHARED_MODELS = [
    "keras/KERAS_1layer.json",
    "keras/KERAS_3layer.json",
    "keras/KERAS_3layer_batch_norm.json",
    "keras/KERAS_conv1d_small.json",
    "keras/jetTagger_Conv2D_Small.json",
    "onnx/three_layer_keras.onnx",
    "onnx/qonnx_qkeras_jettagging.onnx",
]


def types(**precision: str) -> dict[str, Any]:
    return {"Precision": precision}


def graph_of(network: Network, folder: Path, *outputs: str, model: dict[str, Any] | None = None) -> Any:
    architecture, weights = network.write(folder, list(outputs))
    return read_keras(architecture, weights, hls_config={"LayerName": network.precision, "Model": model or {}})


def assert_equal(compared: Any, *, layers: set[str]) -> None:
    assert layers <= compared.traced
    assert compared.wrong_layers == {}
    assert compared.mismatches == 0
    assert compared.distinct > 2


@pytest.mark.shared
@pytest.mark.parametrize("model", SHARED_MODELS)
def test_public_models_give_csims_scores_and_layers(model: str, compared: Compare) -> None:
    path = SHARED / model
    if not path.exists():
        pytest.skip(f"{model} is not beside the checkout")
    graph = read_onnx(path) if path.suffix == ".onnx" else read_keras(path, path.with_name(f"{path.stem}_weights.h5"))
    assert_equal(compared(graph), layers=set())


def test_an_anomaly_detector_gives_csims_scores_and_layers(network: Network, compared: Compare, tmp_path: Path) -> None:
    """57-32-16-8, score Σmu²; the middle layer's accumulator wraps, the last one truncates every product."""
    x = network.input("x", 57, precision="fixed<18,13>")
    wide = types(weight="fixed<9,2>", bias="fixed<9,2>", accum="fixed<28,17>", result="fixed<18,13,RND,SAT>")
    wrapping = types(weight="fixed<8,1>", bias="fixed<8,4>", accum="fixed<22,9>", result="fixed<14,8>")
    cutting = types(weight="fixed<8,1>", bias="fixed<8,4>", accum="fixed<16,9>", result="fixed<12,7,RND_CONV,SAT>")
    h = network.dense("h1", x, (57, 32), hls=wide)
    h = network.add("Activation", "r1", h, activation="relu", hls=types(result="ufixed<15,10,RND,SAT>"))
    h = network.dense("h2", h, (32, 16), hls=wrapping)
    h = network.add("Activation", "r2", h, activation="relu", hls=types(result="ufixed<12,6>"))
    mu = network.dense("mu", h, (16, 8), hls=cutting)
    network.add(
        "Dot", "score", mu, mu, axes=1, normalize=False, hls=types(accum="fixed<20,14>", result="ufixed<18,14>")
    )
    assert_equal(compared(graph_of(network, tmp_path, "score"), events=20_000), layers={"h1", "h2", "mu", "score"})


def test_a_tagger_gives_csims_scores_and_layers(network: Network, compared: Compare, tmp_path: Path) -> None:
    """16-64-32-32-5 and softmax, all in hls4ml's default fixed<16,6>, which truncates every product."""
    h = network.input("x", 16, precision="fixed<16,6>")
    for i, (n_in, n_out) in enumerate([(16, 64), (64, 32), (32, 32)]):
        h = network.dense(f"h{i}", h, (n_in, n_out), scale=0.3, activation="relu")
    logits = network.dense("logits", h, (32, 5))
    network.add("Activation", "tag", logits, activation="softmax")
    assert_equal(compared(graph_of(network, tmp_path, "tag"), events=20_000), layers={"logits", "tag"})


def test_every_kind_of_accumulator_adds_as_csim_does(network: Network, compared: Compare, tmp_path: Path) -> None:
    x = network.input("x", 12, precision="fixed<10,5>")
    for name, accumulator in ACCUMULATORS.items():
        precision = types(weight="fixed<9,3>", bias="fixed<12,4>", accum=accumulator, result="fixed<18,8>")
        network.dense(name, x, (12, 6), scale=1.5, hls=precision)
        resource = precision | {"Strategy": "Resource", "ReuseFactor": 3}
        network.dense(f"{name}_reused", x, (12, 6), scale=1.5, hls=resource)
    # More multiplications in a row than inputs: the other loop of the Resource strategy.
    precision = types(weight="fixed<9,3>", bias="fixed<12,4>", accum="fixed<12,6,TRN,SAT>", result="fixed<18,8>")
    network.dense("reused_often", x, (12, 6), scale=1.5, hls=precision | {"Strategy": "Resource", "ReuseFactor": 24})
    for name, reuse in (("saturates", 3), ("falls_to_zero", 24), ("cuts", 2)):
        unrolled = precision | {"Strategy": "Resource_Unrolled", "ReuseFactor": reuse}
        unrolled |= types(**precision["Precision"] | {"accum": ACCUMULATORS[name]})
        network.dense(f"{name}_unrolled", x, (12, 6), scale=1.5, hls=unrolled)
        network.weights[f"{name}_unrolled"]["kernel"][::3] = 0  # not even written
    names = [layer["name"] for layer in network.layers if layer["class_name"] == "Dense"]
    graph = graph_of(network, tmp_path, *names)
    strategies = {node.name: node.get_attr("strategy") for node in graph.get_layers()}
    assert strategies["reused_often"] == "resource"
    assert strategies["saturates_unrolled"] == "resource_unrolled"
    assert_equal(compared(graph), layers=set(names))


def every_value(width: int, columns: int) -> np.ndarray:
    """Every raw value of a signed format of `width` bits, in every column once."""
    half = 1 << (width - 1)
    return np.stack([np.roll(np.arange(-half, half), i * 17) for i in range(columns)], axis=1)


SIMPLE = ("relu", "relu6", "sigmoid", "tanh", "softplus", "softsign", "selu", "binary_tanh", "ternary_tanh", "linear")


def test_activations_answer_every_input_as_csim_does(network: Network, compared: Compare, tmp_path: Path) -> None:
    x = network.input("x", 4, precision="fixed<12,5>")
    out = types(result="fixed<16,6>")
    simple = (
        "relu",
        "sigmoid",
        "tanh",
        "softplus",
        "softsign",
        "selu",
        "relu6",
        "binary_tanh",
        "ternary_tanh",
        "linear",
    )
    for name in simple:
        network.add("Activation", f"a_{name}", x, activation=name, hls=out)
    network.add("Activation", "a_hard", x, activation="hard_sigmoid", hls=types(result="fixed<10,3,RND,SAT>"))
    network.add("ELU", "a_elu", x, alpha=0.75, hls=types(result="fixed<16,6>", param="fixed<8,2>"))
    network.add("LeakyReLU", "a_leaky", x, alpha=0.3, hls=types(result="fixed<13,6,RND,SAT>", param="fixed<9,1>"))
    network.add("ThresholdedReLU", "a_cut", x, theta=1.3, hls=types(result="ufixed<9,4,TRN,SAT>", param="fixed<9,3>"))
    network.add("ReLU", "a_keras_relu", x, max_value=None, negative_slope=0.0, threshold=0.0, hls=out)
    network.weights["a_prelu"] = {"alpha": network.generator.normal(0, 0.5, 4)}
    network.add("PReLU", "a_prelu", x, shared_axes=None, hls=types(result="fixed<14,6>", param="fixed<9,2>"))
    network.batch_normalisation("a_norm", x, 4, hls=types(scale="fixed<9,3>", bias="fixed<10,4>", result="fixed<14,6>"))
    names = [layer["name"] for layer in network.layers if layer["class_name"] != "InputLayer"]
    graph = graph_of(network, tmp_path, *names)
    assert_equal(compared(graph, inputs=every_value(12, 4)), layers=set(names) - {"a_linear"})


@pytest.mark.filterwarnings("ignore:Softmax layer")
def test_inputs_whose_unit_is_more_than_one_are_looked_up_as_csim_does(
    network: Network, compared: Compare, tmp_path: Path
) -> None:
    """csim's quotient is a multiple of the input's unit, and only then an index."""
    for number, word in enumerate(("fixed<6,11>", "fixed<2,4>", "ufixed<4,9>", "fixed<5,6>")):
        x = network.input(f"x{number}", 4, precision=word)
        for kind in ("sigmoid", "tanh", "softplus", "selu"):
            for size in (2, 1024):
                hls = {"TableSize": size} | types(result="fixed<14,6>")
                network.add("Activation", f"{kind}_{size}_{number}", x, activation=kind, hls=hls)
        hls = {"Implementation": "legacy"} | types(result="fixed<18,4>")
        network.add("Activation", f"legacy_{number}", x, activation="softmax", hls=hls)
    names = [layer["name"] for layer in network.layers if layer["class_name"] != "InputLayer"]
    found = compared(graph_of(network, tmp_path, *names))
    assert_equal(found, layers=set(names))


SOFTMAXES = {
    "stable": {"Implementation": "stable"},
    "latency": {"Implementation": "latency"},
    "legacy": {"Implementation": "legacy"},
    "argmax": {"Implementation": "argmax"},
    "small": {"Implementation": "stable", "TableSize": 256},
}


def test_every_softmax_answers_as_csim_does(network: Network, compared: Compare, tmp_path: Path) -> None:
    x = network.input("x", 7, precision="fixed<12,5>")
    for name, settings in SOFTMAXES.items():
        network.add("Activation", f"s_{name}", x, activation="softmax", hls=settings | types(result="fixed<18,4>"))
    narrow = types(result="fixed<14,2>", accum="fixed<10,2,RND,SAT_ZERO>", exp_table="fixed<12,3,RND,SAT>")
    network.add("Activation", "s_emptying", x, activation="softmax", hls={"Implementation": "stable"} | narrow)
    names = [f"s_{name}" for name in (*SOFTMAXES, "emptying")]
    assert_equal(compared(graph_of(network, tmp_path, *names), inputs=every_value(12, 7)), layers=set(names))


def test_merges_moves_and_embeddings_answer_as_csim_does(network: Network, compared: Compare, tmp_path: Path) -> None:
    a = network.input("a", 6, precision="fixed<10,4>")
    b = network.input("b", 6, precision="ufixed<9,5>")
    for kind in ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"):
        network.add(kind, kind.lower(), a, b, hls=types(result="fixed<12,5,RND,SAT>"))
    network.add("Dot", "dot", a, b, axes=1, normalize=False, hls=types(accum="fixed<12,8>", result="fixed<14,8>"))
    network.add(
        "Dot", "dot_sat", a, b, axes=1, normalize=False, hls=types(accum="fixed<9,6,RND,SAT>", result="fixed<9,6>")
    )
    network.add("Concatenate", "joined", a, b, axis=-1, hls=types(result="fixed<9,4,TRN,SAT>"))
    first = network.add("Reshape", "a2", a, target_shape=[2, 3])
    second = network.add("Reshape", "b2", b, target_shape=[2, 3])
    network.add("Permute", "turned", first, dims=[2, 1])
    network.add("Concatenate", "rows", first, second, axis=1, hls=types(result="fixed<12,5>"))
    network.add("Concatenate", "columns", first, second, axis=2, hls=types(result="fixed<12,5>"))
    words, few = network.input("words", 5, precision="uint<4>"), network.input("few", 3, precision="ufixed<2,4>")
    network.embedding("rows_of_16", words, (16, 3), hls=types(embeddings="fixed<9,3>", result="fixed<6,2,RND,SAT>"))
    network.embedding("rows_of_4", few, (13, 2))
    merges = {
        "rows_of_16",
        "rows_of_4",
        "add",
        "subtract",
        "multiply",
        "average",
        "maximum",
        "minimum",
        "dot",
        "dot_sat",
        "joined",
        "rows",
        "columns",
    }
    graph = graph_of(network, tmp_path, *sorted(merges), "turned")
    assert_equal(compared(graph), layers=merges | {"turned"})


@pytest.mark.parametrize(
    ("index", "reason"),
    [
        ("fixed<16,6>", "fraction bits"),
        ("uint<5>", "beyond a vocabulary of 16"),
        ("int<4>", "beyond a vocabulary of 16"),
    ],
)
def test_an_index_beyond_its_embedding_is_left_to_csim_by_name(
    index: str, reason: str, network: Network, tmp_path: Path
) -> None:
    network.embedding("rows", network.input("words", 5, precision=index), (16, 3))
    with pytest.raises(NotExact, match=reason):
        import_graph(graph_of(network, tmp_path, "rows"))


def test_convolutions_and_pools_answer_as_csim_does(network: Network, compared: Compare, tmp_path: Path) -> None:
    x = network.input("x", 6, 5, 2, precision="fixed<9,4>")
    line = network.input("line", 9, 3, precision="ufixed<8,3>")
    precise = types(weight="fixed<8,2>", bias="fixed<8,3>", accum="fixed<24,10>", result="fixed<12,6>")
    cutting = types(weight="fixed<8,2>", bias="fixed<8,3>", accum="fixed<14,7>", result="ufixed<10,5,RND,SAT>")
    network.convolution("same", x, (3, 2, 2, 3), padding="same", strides=[2, 2], hls=precise)
    network.convolution("valid", x, (2, 3, 2, 2), hls=cutting)
    network.convolution("points", x, (1, 1, 2, 4), hls=cutting)
    network.convolution("line_same", line, (3, 3, 4), padding="same", hls=cutting | {"Strategy": "Resource"})
    network.convolution("line_points", line, (1, 3, 2), hls=precise)
    saturating = types(weight="fixed<8,2>", bias="fixed<8,3>", accum="fixed<9,4,RND,SAT>", result="fixed<12,6>")
    reused = saturating | {"Strategy": "Resource", "ReuseFactor": 3}
    network.convolution("line_reused", line, (3, 3, 4), hls=reused)
    pool = {"data_format": "channels_last"}
    for kind in ("Max", "Average"):
        settings = types(accum="fixed<14,5>", result="fixed<12,5>")
        window = {"pool_size": [2, 2], "strides": [2, 2]}
        network.add(f"{kind}Pooling2D", f"{kind}_2d", x, padding="same", hls=settings, **window, **pool)
        network.add(
            f"{kind}Pooling1D", f"{kind}_1d", line, padding="same", pool_size=[4], strides=[2], hls=settings, **pool
        )
        network.add(f"Global{kind}Pooling1D", f"{kind}_whole", line, hls=settings, keepdims=False, **pool)
    names = [layer["name"] for layer in network.layers if layer["class_name"] != "InputLayer"]
    assert_equal(compared(graph_of(network, tmp_path, *names), events=1500), layers=set(names))


# One at a time: hls4ml's headers for one and for two dimensions have the same include guard.
@pytest.mark.parametrize("window", [(3,), (3, 2)])
def test_depthwise_and_separable_convolutions_answer_as_csim_does(
    window: tuple[int, ...], network: Network, compared: Compare, tmp_path: Path
) -> None:
    x = network.input("x", *(9, 3) if len(window) == 1 else (6, 5, 3), precision="fixed<9,4>")
    accumulators = {"wide": "fixed<24,10>", "cutting": "fixed<13,7>", "saturating": "fixed<9,4,RND,SAT>"}
    names = []
    for kind, accumulator in accumulators.items():
        settings = types(weight="fixed<8,2>", bias="fixed<8,3>", accum=accumulator, result="fixed<12,6>")
        names.append(network.depthwise(f"deep_{kind}", x, (*window, 3), hls=settings))
        parts = {"depthwise": "fixed<7,2>", "pointwise": "fixed<9,2>", "bias": "fixed<8,3>", "result": "fixed<12,6>"}
        inner = {"dw_output": "fixed<11,5,RND,SAT>", "depthwise_accum": accumulator, "pointwise_accum": accumulator}
        # hls4ml makes two layers of it.
        names.append(network.separable(f"apart_{kind}", x, (*window, 3, 4), hls=types(**parts, **inner)))
    traced = {name + "_pointwise" * name.startswith("apart") for name in names}
    assert_equal(compared(graph_of(network, tmp_path, *names), events=1500), layers=traced)


def test_layer_normalisation_answers_as_csim_does(network: Network, compared: Compare, tmp_path: Path) -> None:
    x = network.input("x", 3, 5, precision="fixed<10,4>")
    formats = types(scale="fixed<9,3>", bias="fixed<10,4>", result="fixed<14,6,RND,SAT>")
    network.layer_normalisation("plain", x, 5, epsilon=1e-3)
    small = {"TableSize": 256, "TableRangePower2": 1, "TableT": "ufixed<32,6>"}
    network.layer_normalisation("small", x, 5, epsilon=1e-2, hls=formats | small)
    narrow = {"TableSize": 100, "TableRangePower2": 3}
    network.layer_normalisation("narrow", x, 5, epsilon=1e-4, hls=narrow)
    for name in ("rounds_to_even", "saturates_evenly", "falls_to_zero", "is_an_integer", "is_unsigned"):
        table = types(**formats["Precision"] | {"accum": ACCUMULATORS[name]})
        network.layer_normalisation(name, x, 5, epsilon=1e-3, hls=table | {"TableSize": 64, "TableT": "ufixed<12,6>"})
    names = [layer["name"] for layer in network.layers if layer["class_name"] != "InputLayer"]
    graph = graph_of(network, tmp_path, *names)
    tables = {layer.table_format.width for layer in import_graph(graph).layers if isinstance(layer, Table)}
    assert tables == {8, 12, 32}
    assert_equal(compared(graph, events=2000), layers=set(names))


def test_padding_cropping_and_enlarging_answer_as_csim_does(
    network: Network, compared: Compare, tmp_path: Path
) -> None:
    x = network.input("x", 4, 3, 2, precision="fixed<9,4>")
    line = network.input("line", 5, 3, precision="ufixed<8,3>")
    places = {"data_format": "channels_last"}
    network.add("ZeroPadding2D", "padded", x, padding=[[1, 2], [0, 1]], **places)
    network.add("ZeroPadding1D", "padded_line", line, padding=[2, 1], **places)
    network.add("Cropping2D", "cut", x, cropping=[[1, 1], [1, 0]], **places)
    network.add("Cropping1D", "cut_line", line, cropping=[1, 2], **places)
    network.add("UpSampling2D", "enlarged", x, size=[3, 2], interpolation="nearest", **places)
    network.add("UpSampling1D", "enlarged_line", line, size=3, **places)
    names = [layer["name"] for layer in network.layers if layer["class_name"] != "InputLayer"]
    assert_equal(compared(graph_of(network, tmp_path, *names), events=500), layers=set(names))
