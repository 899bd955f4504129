"""Networks of the size and the formats of a Level-1 trigger, written as Keras files: (file, hls4ml settings)."""

from __future__ import annotations

import itertools
import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Written = tuple[Path, dict[str, Any]]

CELL: dict[str, Any] = {
    "activation": "tanh",
    "recurrent_activation": "sigmoid",
    "use_bias": True,
    "return_sequences": False,
    "return_state": False,
    "go_backwards": False,
    "stateful": False,
    "unroll": False,
    "time_major": False,
}
"""What Keras writes of a recurrent layer besides its units."""


def encoder(directory: Path) -> Written:
    """57-32-16-8 and the sum of the squares of the last layer, in the formats of a Level-1 anomaly trigger."""
    dense = {"weight": "fixed<10,2,RND,SAT>", "bias": "fixed<10,4,RND,SAT>", "accum": "fixed<32,18>"}
    return _encoder(directory, inputs="fixed<18,13>", dense=dense, hidden="ufixed<16,10,RND,SAT>")


def encoder_of_16_bits(directory: Path) -> Written:
    """The same network with inputs and hidden layers of 16 bits."""
    dense = {"weight": "fixed<10,2,RND,SAT>", "bias": "fixed<10,4,RND,SAT>", "accum": "fixed<32,18>"}
    return _encoder(directory, inputs="fixed<16,11>", dense=dense, hidden="ufixed<15,9,RND,SAT>")


def encoder_of_8_bits(directory: Path) -> Written:
    """The same network with inputs, weights and hidden layers of 8 bits."""
    dense = {"weight": "fixed<8,2,RND,SAT>", "bias": "fixed<8,4,RND,SAT>", "accum": "fixed<24,14>"}
    return _encoder(directory, inputs="fixed<8,8>", dense=dense, hidden="ufixed<8,6,RND,SAT>")


def default_encoder(directory: Path) -> Written:
    """The same network in hls4ml's default format: every product truncated, every sum wrapped."""
    file, _ = encoder(directory)
    # `accum: auto` on Dot raises a bare AssertionError in hls4ml.
    return file, {"LayerName": {"score": {"Precision": {"result": "fixed<16,6>", "accum": "fixed<16,6>"}}}}


def tagger(directory: Path) -> Written:
    """16-64-32-32-5 with softmax, in hls4ml's default format."""
    return chain(directory, sizes=(16, 64, 32, 32, 5), activation="softmax", tail=[]), {}


def wide_tagger(directory: Path) -> Written:
    """The same with accumulators that keep every bit of the products."""
    file, _ = tagger(directory)
    return file, {"LayerName": {f"d{i}": {"Precision": {"accum": "fixed<32,12>"}} for i in range(4)}}


def resource_tagger(directory: Path) -> Written:
    """The same, with saturating accumulators, which make the order of additions matter, and the Resource strategy."""
    file, _ = tagger(directory)
    precision = {"accum": "fixed<14,6,TRN,SAT>", "result": "fixed<14,6,RND,SAT_SYM>"}
    names = {f"d{i}": {"Precision": precision, "Strategy": "Resource", "ReuseFactor": 4} for i in range(4)}
    return file, {"Model": {"Precision": "fixed<16,6>", "ReuseFactor": 4, "Strategy": "Resource"}, "LayerName": names}


def images(directory: Path) -> Written:
    """A small Conv2D: 16x16 pixels, two convolutions of 3x3 with pools of 2x2, 10 hidden neurons; default format."""
    rng = np.random.default_rng(12)
    shapes = {"c0": (3, 3, 1, 4), "c1": (3, 3, 4, 4), "d0": (2 * 2 * 4, 10), "d1": (10, 1)}
    window = {"pool_size": [2, 2], "strides": [2, 2], "padding": "valid", "data_format": "channels_last"}
    kernel = {"filters": 4, "kernel_size": [3, 3], "strides": [1, 1], "dilation_rate": [1, 1], "padding": "valid"}
    rest = {"data_format": "channels_last", "activation": "relu", "use_bias": True}
    layers = [
        layer("InputLayer", "x", batch_input_shape=[None, 16, 16, 1], dtype="float32"),
        layer("Conv2D", "c0", "x", **kernel, **rest),
        layer("MaxPooling2D", "p0", "c0", **window),
        layer("Conv2D", "c1", "p0", **kernel, **rest),
        layer("AveragePooling2D", "p1", "c1", **window),
        layer("Flatten", "flat", "p1", data_format="channels_last"),
        layer("Dense", "d0", "flat", units=10, activation="relu", use_bias=True),
        layer("Dense", "d1", "d0", units=1, activation="linear", use_bias=True),
    ]
    weights = {name: (rng.normal(0, 0.4, shape), rng.normal(0, 0.2, shape[-1])) for name, shape in shapes.items()}
    return write(directory, layers, weights), {}


def chain(directory: Path, *, sizes: tuple[int, ...], activation: str, tail: list[dict[str, Any]]) -> Path:
    """Write Dense layers d0, d1, … with ReLU between them; `activation` is that of the last."""
    rng = np.random.default_rng(11)
    layers = [layer("InputLayer", "x", batch_input_shape=[None, sizes[0]], dtype="float32")]
    weights = {}
    for i, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        act = activation if i == len(sizes) - 2 else "relu"
        source = f"d{i - 1}" if i else "x"
        layers.append(layer("Dense", f"d{i}", source, units=n_out, activation=act, use_bias=True))
        weights[f"d{i}"] = rng.normal(0, 1.5 / np.sqrt(n_in), (n_in, n_out)), rng.normal(0, 0.3, n_out)
    return write(directory, layers + tail, weights)


def write(directory: Path, layers: list[dict[str, Any]], weights: dict[str, tuple[Any, Any]]) -> Path:
    """Write `net.json` and `net_weights.h5` as Keras 2 does; the last layer is the output."""
    with h5py.File(directory / "net_weights.h5", "w") as file:
        for name, (kernel, bias) in weights.items():
            file[f"{name}/{name}/kernel:0"] = kernel
            file[f"{name}/{name}/bias:0"] = bias
    last = layers[-1]["name"]
    config = {"name": "net", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": [[last, 0, 0]]}
    (directory / "net.json").write_text(json.dumps({"class_name": "Model", "config": config}))
    return directory / "net.json"


def layer(kind: str, name: str, *sources: str, **config: Any) -> dict[str, Any]:
    nodes = [[[source, 0, 0, {}] for source in sources]] if sources else []
    return {"class_name": kind, "name": name, "config": {"name": name, **config}, "inbound_nodes": nodes}


def _encoder(directory: Path, *, inputs: str, dense: dict[str, str], hidden: str) -> Written:
    dot = layer("Dot", "score", "d2", "d2", axes=1, normalize=False)
    file = chain(directory, sizes=(57, 32, 16, 8), activation="linear", tail=[dot])
    names = {
        "x": {"Precision": {"result": inputs}},
        **{f"d{i}": {"Precision": dense | {"result": "fixed<18,12,RND,SAT>"}} for i in range(3)},
        **{f"d{i}_relu": {"Precision": {"result": hidden}} for i in range(2)},
        "score": {"Precision": {"result": "ufixed<18,14,RND_CONV,SAT>", "accum": "fixed<40,28>"}},
    }
    return file, {"LayerName": names}
