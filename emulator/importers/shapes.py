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
        "Dense": {"weight": ("n_in", "n_out"), "bias": ("n_out",)},
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
    }
)
"""What a layer's weights are by, in hls4ml's words. hls4ml compares those of other layers, or makes them itself."""


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
            _refuse_misfit(node, name, [_size(node, each) for each in sizes], path)


def _size(node: Any, name: str | int) -> int | None:
    if node.class_name == "Dense" and name == "n_in":
        name = int(node.get_input_variable().shape[-1])  # hls4ml believes the weights
    return name if isinstance(name, int) else node.get_attr(name)


def _refuse_misfit(node: Any, name: str, wanted: list[int | None], path: Path) -> None:
    weight, sizes = node.weights.get(name), [size for size in wanted if size is not None]
    if weight is None or len(sizes) < len(wanted):
        return
    # Backends turn weights about: only how many there are is sure.
    if np.size(weight.data) != math.prod(sizes):
        raise UnreadableModel(
            f"{path}: tensor {name!r} of layer {node.name!r} has the shape {_plain(np.shape(weight.data))}, and the "
            f"layer needs {_plain(sizes)}: these weights are of another model; {AGAIN}, with its own weights"
        )


def _plain(shape: Any) -> list[int]:
    return [int(size) for size in shape]
