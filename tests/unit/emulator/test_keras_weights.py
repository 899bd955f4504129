"""Weights beside a Keras 2 network that are not those of its layers, and the ways to write those that are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emulator.model_file import UnreadableModel

h5py = pytest.importorskip("h5py", reason="needs the models extra: h5py")
pytest.importorskip("hls4ml", reason="needs the models extra: hls4ml")

from emulator.graph_source import read_graph  # noqa: E402 - after the check that hls4ml is there
from tests.networks import CELL  # noqa: E402 - as above

Shape = tuple[int, ...]
Layer = dict[str, Any]
REMEDY = "these weights are of another model; export the model again, or copy it again, with its own weights"

DENSE = {"units": 3, "activation": "linear", "use_bias": True}
ROW = {
    "kernel_size": [3],
    "strides": [1],
    "padding": "valid",
    "dilation_rate": [1],
    "data_format": "channels_last",
    "activation": "linear",
    "use_bias": True,
    "depth_multiplier": 2,
}
SQUARE = ROW | {"kernel_size": [3, 2], "strides": [1, 1], "dilation_rate": [1, 1], "depth_multiplier": 1}
UNITS = CELL | {"units": 2, "reset_after": True}
GRU: dict[str, Shape] = {"kernel": (3, 6), "recurrent_kernel": (2, 6), "bias": (2, 6)}
BATCH = {"axis": [-1], "epsilon": 1e-3, "scale": True, "center": True}
MOVING = {"moving_mean": (4,), "moving_variance": (4,)}

RIGHT: dict[str, tuple[Layer, dict[str, Shape], Shape]] = {
    "Dense": (DENSE, {"kernel": (4, 3), "bias": (3,)}, (4,)),
    "QDense": (DENSE, {"kernel": (4, 3), "bias": (3,)}, (4,)),
    "Conv1D": (ROW | {"filters": 2}, {"kernel": (3, 4, 2), "bias": (2,)}, (6, 4)),
    "Conv2D": (SQUARE | {"filters": 2}, {"kernel": (3, 2, 4, 2), "bias": (2,)}, (6, 6, 4)),
    "QConv2D": (SQUARE | {"filters": 2}, {"kernel": (3, 2, 4, 2), "bias": (2,)}, (6, 6, 4)),
    "DepthwiseConv1D": (ROW, {"depthwise_kernel": (3, 4, 2), "bias": (8,)}, (6, 4)),
    "SeparableConv2D": (
        SQUARE | {"filters": 5},
        {"depthwise_kernel": (3, 2, 4, 1), "pointwise_kernel": (1, 1, 4, 5), "bias": (5,)},
        (6, 6, 4),
    ),
    "LSTM": (UNITS, {"kernel": (3, 8), "recurrent_kernel": (2, 8), "bias": (8,)}, (4, 3)),
    "GRU": (UNITS, GRU, (4, 3)),
    "Embedding": ({"input_dim": 8, "output_dim": 3}, {"embeddings": (8, 3)}, (4,)),
    "BatchNormalization": (BATCH, {"gamma": (4,), "beta": (4,), **MOVING}, (4,)),
    "QBatchNormalization": (BATCH, {"gamma": (4,), "beta": (4,), **MOVING}, (4,)),
    "LayerNormalization": (BATCH | {"axis": [2]}, {"gamma": (4,), "beta": (4,)}, (3, 4)),
}
"""Of every kind of layer its configuration, the shapes of its weights and that of its input."""

MISFITS: list[tuple[str, Layer, dict[str, Shape | None], str]] = [
    ("Dense", {}, {"bias": None}, "tensor 'bias' of layer 'n' is missing, and the layer needs [3]"),
    ("Dense", {}, {"kernel": None}, "tensor 'kernel' of layer 'n' is missing, and the layer needs [n_in, 3]"),
    ("Dense", {"units": 5}, {}, "'kernel' of layer 'n' has the shape [4, 3], and the layer needs [n_in, 5]"),
    ("Dense", {"use_bias": False}, {}, "'bias' of layer 'n' has the shape [3], and the layer has no such tensor"),
    ("Dense", {}, {"kernel": (12,)}, "'kernel' of layer 'n' has the shape [12], and the layer needs [n_in, 3]"),
    ("QDense", {}, {"bias": None}, "tensor 'bias' of layer 'n' is missing, and the layer needs [3]"),
    ("Conv1D", {}, {"kernel": (2, 4, 3)}, "has the shape [2, 4, 3], and the layer needs [3, n_chan, 2]"),
    ("Conv2D", {}, {"kernel": (2, 3, 4, 2)}, "has the shape [2, 3, 4, 2], and the layer needs [3, 2, n_chan, 2]"),
    ("QConv2D", {}, {"kernel": (4, 2, 3, 2)}, "has the shape [4, 2, 3, 2], and the layer needs [3, 2, n_chan, 2]"),
    ("DepthwiseConv1D", {}, {"depthwise_kernel": (3, 2, 4)}, "the shape [3, 2, 4], and the layer needs [3, n_chan, 2]"),
    ("SeparableConv2D", {}, {"pointwise_kernel": (1, 1, 5, 4)}, "and the layer needs [1, 1, n_deep, 5]"),
    ("LSTM", {}, {"recurrent_kernel": (8, 2)}, "has the shape [8, 2], and the layer needs [2, 8]"),
    ("LSTM", {}, {"kernel": None}, "tensor 'kernel' of layer 'n' is missing, and the layer needs [n_in, 8]"),
    ("GRU", {}, {"bias": (6, 2)}, "has the shape [6, 2], and the layer needs [2, 6]"),
    ("GRU", {"reset_after": False}, {}, "has the shape [2, 6], and the layer needs [6]"),
    ("Embedding", {}, {"embeddings": (3, 8)}, "has the shape [3, 8], and the layer needs [8, 3]"),
    ("BatchNormalization", {}, {"beta": (1,)}, "'beta' of layer 'n' has the shape [1], and the layer needs [4]"),
    ("BatchNormalization", {"scale": False}, {}, "'gamma' of layer 'n' has the shape [4], and the layer has no such"),
    ("QBatchNormalization", {}, {"gamma": None}, "tensor 'gamma' of layer 'n' is missing"),
    ("LayerNormalization", {}, {"gamma": (3,), "beta": (3,)}, "has the shape [3], and the layer needs [4]"),
]


def part(kind: str, name: str, **config: Any) -> Layer:
    return {"class_name": kind, "config": {"name": name, **config}}


def write(
    folder: Path, layers: list[Layer], weights: dict[str, Shape], *, shape: Shape = (4,), kind: type = np.float32
) -> Path:
    """Write `net.json` and `net_weights.h5`; the weights are by their paths in that file."""
    parts = [part("InputLayer", "x", batch_input_shape=[None, *shape], dtype="float32"), *layers]
    with h5py.File(folder / "net_weights.h5", "w") as file:
        for name, size in weights.items():
            file[name] = np.ones(size, dtype=kind)
    (folder / "net.json").write_text(json.dumps({"class_name": "Sequential", "config": {"layers": parts}}))
    return folder / "net.json"


def refused(path: Path) -> str:
    with pytest.raises(UnreadableModel) as error:
        read_graph(path)
    return str(error.value)


# One layer


@pytest.mark.parametrize("pattern", ["n/n/{}:0", "n/{}:0", "n/{}", "model_weights/n/n/{}:0", "model_weights/n/{}"])
@pytest.mark.parametrize("kind", RIGHT)
def test_weights_that_fit_are_read_wherever_keras_writes_them(kind: str, pattern: str, tmp_path: Path) -> None:
    config, weights, shape = RIGHT[kind]
    named = {pattern.format(name): size for name, size in weights.items()}
    graph = read_graph(write(tmp_path, [part(kind, "n", **config)], named, shape=shape))
    assert any(node.weights for node in graph.get_layers())


@pytest.mark.parametrize(("kind", "config", "changes", "said"), MISFITS)
def test_weights_that_the_configuration_contradicts_are_refused(
    kind: str, config: Layer, changes: dict[str, Shape | None], said: str, tmp_path: Path
) -> None:
    right, weights, shape = RIGHT[kind]
    named = {f"n/n/{name}:0": size for name, size in {**weights, **changes}.items() if size is not None}
    line = refused(write(tmp_path, [part(kind, "n", **right | config)], named, shape=shape))
    assert line.startswith(f"{tmp_path / 'net'}")
    assert said in line
    assert line.endswith(REMEDY)


@pytest.mark.parametrize("flags", [{}, {"use_bias": None}, {"use_bias": False}])
def test_a_layer_that_asks_for_no_bias_needs_none(flags: Layer, tmp_path: Path) -> None:
    layer = part("Dense", "n", units=3, activation="linear", **flags)
    graph = read_graph(write(tmp_path, [layer], {"n/n/kernel:0": (4, 3)}))
    assert not np.any(graph.graph["n"].weights["bias"].data)


# Normalisations


def batch(channels: int, name: str = "n") -> dict[str, Shape]:
    return {f"{name}/{name}/{tensor}:0": (channels,) for tensor in ("gamma", "beta", *MOVING)}


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("shape", [(4,), (6, 4), (2, 6, 4)])
def test_a_normalisation_of_other_channels_is_refused(channels: int, shape: Shape, tmp_path: Path) -> None:
    line = refused(write(tmp_path, [part("BatchNormalization", "n", **BATCH)], batch(channels), shape=shape))
    said = f"tensor 'moving_mean' of layer 'n' has the shape [{channels}], and the layer needs [4]"
    assert line == f"{tmp_path / 'net_weights.h5'}: {said}: {REMEDY}"


@pytest.mark.parametrize("channels", [1, 4])
def test_so_is_one_that_hls4ml_would_merge_into_the_layer_before(channels: int, tmp_path: Path) -> None:
    layers = [part("Dense", "d", **DENSE), part("BatchNormalization", "n", **BATCH)]
    weights = {"d/d/kernel:0": (4, 3), "d/d/bias:0": (3,), **batch(channels)}
    assert f"of layer 'n' has the shape [{channels}], and the layer needs [3]" in refused(
        write(tmp_path, layers, weights)
    )


@pytest.mark.parametrize(
    ("kind", "shape"), [("BatchNormalization", (4,)), ("BatchNormalization", (3, 4)), ("LayerNormalization", (3, 4))]
)
@pytest.mark.parametrize("tensor", ["scale", "bias"])
@pytest.mark.parametrize("size", [1, 3, 5])
def test_a_saved_normalisation_of_another_length_is_refused(
    kind: str, shape: Shape, tensor: str, size: int, tmp_path: Path
) -> None:
    config, weights, _ = RIGHT[kind]
    named = {f"n/n/{name}:0": each for name, each in weights.items()}
    graph = read_graph(write(tmp_path, [part(kind, "n", **config)], named, shape=shape))
    graph.save(tmp_path / "right.fml")
    assert read_graph(tmp_path / "right.fml")
    graph.graph["n"].weights[tensor].data = np.ones(size)
    graph.save(tmp_path / "net.fml")
    said = f"tensor {tensor!r} of layer 'n' has the shape [{size}], and the layer needs [4]"
    assert refused(tmp_path / "net.fml") == f"{tmp_path / 'net.fml'}: {said}: {REMEDY}"


# Networks inside networks, and layers inside layers


def nested(*layers: Layer) -> Layer:
    first = part("InputLayer", "y", batch_input_shape=[None, 4], dtype="float32")
    return part("Sequential", "inner", layers=[first, *layers])


def test_a_network_inside_a_network_is_looked_into(tmp_path: Path) -> None:
    weights = {"model_weights/inner/n/kernel:0": (4, 3), "model_weights/inner/n/bias:0": (3,)}
    layers = [nested(part("Dense", "n", **DENSE))]
    assert read_graph(write(tmp_path, layers, weights)).graph["n"].weights["bias"].data.tolist() == [1, 1, 1]
    del weights["model_weights/inner/n/bias:0"]
    assert "tensor 'bias' of layer 'n' is missing" in refused(write(tmp_path, layers, weights))


def test_so_is_the_layer_that_is_done_at_every_step(tmp_path: Path) -> None:
    layers = [part("TimeDistributed", "t", layer=part("Dense", "n", **DENSE))]
    weights = {"model_weights/t/t/kernel:0": (4, 3), "model_weights/t/t/bias:0": (3,)}
    assert read_graph(write(tmp_path, layers, weights, shape=(6, 4)))
    del weights["model_weights/t/t/bias:0"]
    assert "tensor 'bias' of layer 't' is missing" in refused(write(tmp_path, layers, weights, shape=(6, 4)))


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("tensor", GRU)
def test_so_are_both_directions(direction: str, tensor: str, tmp_path: Path) -> None:
    layers = [part("Bidirectional", "b", merge_mode="concat", layer=part("GRU", "g", **UNITS))]
    weights = {f"b/b/{way}_g/gru_cell/{name}:0": GRU[name] for way in ("forward", "backward") for name in GRU}
    assert read_graph(write(tmp_path, layers, weights, shape=(4, 3)))
    weights[f"b/b/{direction}_g/gru_cell/{tensor}:0"] = GRU[tensor][::-1]
    line = refused(write(tmp_path, layers, weights, shape=(4, 3)))
    assert f"tensor '{direction}_g/gru_cell/{tensor}' of layer 'b' has the shape" in line


# What else lies in the file


@pytest.mark.parametrize("top", ["", "model_weights/"])
def test_weights_of_a_layer_that_is_not_there_are_refused(top: str, tmp_path: Path) -> None:
    weights = {f"{top}n/n/kernel:0": (4, 3), f"{top}n/n/bias:0": (3,), f"{top}zzz/zzz/kernel:0": (4, 3)}
    line = refused(write(tmp_path, [part("Dense", "n", **DENSE)], weights))
    said = "tensor 'zzz/kernel:0' is of layer 'zzz', which the network has not got"
    assert line == f"{tmp_path / 'net_weights.h5'}: {said}: {REMEDY}"


@pytest.mark.parametrize("top", ["", "model_weights/"])
def test_what_keras_writes_beside_the_weights_is_none_of_them(top: str, tmp_path: Path) -> None:
    weights = {f"{top}n/n/kernel:0": (4, 3), f"{top}n/n/bias:0": (3,), "optimizer_weights/n/momentum:0": (4, 3)}
    path = write(tmp_path, [part("Dense", "n", **DENSE), part("Dropout", "drop", rate=0.5)], weights)
    with h5py.File(tmp_path / "net_weights.h5", "a") as file:
        for name in ("x", "drop", "dropped_since", "top_level_model_weights"):
            file.create_group(top + name)
    assert read_graph(path)


def test_layers_with_a_slash_in_their_name_are_there(tmp_path: Path) -> None:
    weights = {"a/b/a/b/kernel:0": (4, 3), "a/b/a/b/bias:0": (3,)}
    assert read_graph(write(tmp_path, [part("Dense", "a/b", **DENSE)], weights))


@pytest.mark.parametrize(("kind", "said"), [(np.complex128, "holds complex128"), (np.bytes_, "holds |S1")])
def test_weights_that_are_no_real_numbers_are_refused(kind: type, said: str, tmp_path: Path) -> None:
    weights = {"n/n/kernel:0": (4, 3), "n/n/bias:0": (3,)}
    line = refused(write(tmp_path, [part("Dense", "n", **DENSE)], weights, kind=kind))
    assert f"{tmp_path / 'net_weights.h5'}: tensor 'n/n/bias:0' {said}, and the weights of a network are real" in line


def test_a_project_is_looked_into_as_its_files_are(tmp_path: Path) -> None:
    model = "HLSConfig: {Model: {Precision: 'fixed<8,4>', ReuseFactor: 1}}"
    files = "KerasJson: net.json\nKerasH5: net_weights.h5"
    (tmp_path / "hls4ml_config.yml").write_text(
        f"Backend: Vivado\nIOType: io_parallel\nOutputDir: out\nProjectName: net\n{files}\n{model}"
    )
    weights = {"n/n/kernel:0": (4, 3), "n/n/bias:0": (3,)}
    write(tmp_path, [part("Dense", "n", **DENSE)], weights)
    assert read_graph(tmp_path)
    del weights["n/n/bias:0"]
    write(tmp_path, [part("Dense", "n", **DENSE)], weights)
    assert "tensor 'bias' of layer 'n' is missing" in refused(tmp_path)
