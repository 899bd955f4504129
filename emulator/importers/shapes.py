"""The shapes of a network's layers: weights of another model under the names of this one, and layers of nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from emulator.model_file import AGAIN, UnreadableModel

Sizes = tuple[str | int, ...]


def _convolution(*window: str) -> Mapping[str, Sizes]:
    return {"weight": (*window, "n_filt"), "bias": ("n_filt",)}


def _recurrent(gates: int) -> Mapping[str, Sizes]:
    return {
        "weight": ("n_in", gates, "n_out"),
        "recurrent_weight": ("n_out", gates, "n_out"),
        "bias": (gates, "n_out"),
        "recurrent_bias": (gates, "n_out"),
    }


_WEIGHTS: Mapping[str, Mapping[str, Sizes]] = MappingProxyType(
    {
        "Dense": {"weight": ("last", "n_out"), "bias": ("n_out",)},
        "Conv1D": _convolution("filt_width", "n_chan"),
        "Conv2D": _convolution("filt_height", "filt_width", "n_chan"),
        "PointwiseConv1D": _convolution("n_chan"),
        "PointwiseConv2D": _convolution("n_chan"),
        "DepthwiseConv1D": {"weight": ("filt_width", "n_filt"), "bias": ("n_filt",)},
        "DepthwiseConv2D": {"weight": ("filt_height", "filt_width", "n_filt"), "bias": ("n_filt",)},
        "LSTM": _recurrent(4),
        "GRU": _recurrent(3),
        "Embedding": {"embeddings": ("vocab_size", "n_out")},
        "PReLU": {"param": ("n_in",)},
        "BatchNormalization": {"scale": ("channels",), "bias": ("channels",)},
        "LayerNormalization": {"scale": ("last",), "bias": ("last",)},
    }
)
"""What a layer's weights are by, in hls4ml's words, which compares none of them; other layers' are not compared here.

`last` is the input's last axis, since hls4ml believes the weights of a Dense layer; `channels` see `_channels`.
"""


def refuse_misfits(graph: Any, path: Path) -> None:
    """Raise `UnreadableModel` that names the first layer of an hls4ml ModelGraph whose shapes do not fit."""
    for node in graph.get_layers():
        for variable in node.get_variables():
            if 0 in variable.shape:
                raise UnreadableModel(
                    f"{path}: the output of layer {node.name!r} has the shape {_plain(variable.shape)}, which holds "
                    f"nothing: give the model another input shape, and {AGAIN}"
                )
        if node.model.config.get_compression(node):
            continue
        for name, sizes in _WEIGHTS.get(node.class_name, {}).items():
            if name in node.weights:
                data = node.weights[name].data
                _refuse_misfit(node, name, data, [_size(node, each, data) for each in sizes], path)


def _size(node: Any, name: str | int, data: Any) -> int | None:
    match name:
        case "last":
            return int(node.get_input_variable().shape[-1])
        case "channels":
            return _channels(node, data)
        case str():
            size: int | None = node.get_attr(name)
            return size
    return name


def _channels(node: Any, data: Any) -> int:
    """Return how many numbers a batch normalisation reads: one per value where it has no channels."""
    values, channels = math.prod(node.get_input_variable().shape), node.get_attr("n_filt", -1)
    # Where hls4ml merged it with a scale of every value, its own are as many.
    return int(values if channels == -1 or np.size(data) == values else channels)


def _refuse_misfit(node: Any, name: str, data: Any, wanted: list[int | None], path: Path) -> None:
    sizes = [size for size in wanted if size is not None]
    if len(sizes) < len(wanted):
        return
    # Backends turn weights about: only how many there are is sure.
    if np.size(data) != math.prod(sizes):
        raise UnreadableModel(
            f"{path}: tensor {name!r} of layer {node.name!r} has the shape {_plain(np.shape(data))}, and the "
            f"layer needs {_plain(sizes)}: these weights are of another model; {AGAIN}, with its own weights"
        )


def _plain(shape: Any) -> list[int]:
    return [int(size) for size in shape]
