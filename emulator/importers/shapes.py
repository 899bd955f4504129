"""The shapes of a network's layers: weights of another model under the names of this one, and layers of nothing."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from emulator.model_file import AGAIN, UnreadableModel

_WEIGHTS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "Dense": ("n_in", "n_out"),
        "Conv1D": ("filt_width", "n_chan", "n_filt"),
        "Conv2D": ("filt_height", "filt_width", "n_chan", "n_filt"),
    }
)
"""What a layer's weights are by, in hls4ml's words; the last is what its bias is by."""


def refuse_misfits(graph: Any, path: Path) -> None:
    """Raise `UnreadableModel` that names the first layer of an hls4ml ModelGraph whose shapes do not fit."""
    for node in graph.get_layers():
        for variable in node.get_variables():
            if 0 in variable.shape:
                raise UnreadableModel(
                    f"{path}: the output of layer {node.name!r} has the shape {_plain(variable.shape)}, which holds "
                    f"nothing: give the model another input shape, and {AGAIN}"
                )
        sizes = [node.get_attr(name) for name in _WEIGHTS.get(node.class_name, ())]
        if not sizes or None in sizes or node.model.config.get_compression(node):
            continue
        if node.class_name == "Dense":
            sizes[0] = node.get_input_variable().shape[-1]  # hls4ml believes the weights
        for name, wanted in (("weight", sizes), ("bias", sizes[-1:])):
            _refuse_misfit(node, name, wanted, path)


def _refuse_misfit(node: Any, name: str, wanted: list[int], path: Path) -> None:
    weight = node.weights.get(name)
    # Backends turn weights about: only how many there are is sure.
    if weight is not None and np.size(weight.data) != math.prod(wanted):
        raise UnreadableModel(
            f"{path}: tensor {name!r} of layer {node.name!r} has the shape {_plain(np.shape(weight.data))}, and the "
            f"layer needs {_plain(wanted)}: these weights are of another model; {AGAIN}, with its own weights"
        )


def _plain(shape: Any) -> list[int]:
    return [int(size) for size in shape]
