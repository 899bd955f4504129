"""The weights of a Keras 2 network: whether the HDF5 file has those that the layers of the `.json` file ask for."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, TypeGuard

import h5py
import numpy as np

from emulator.model_file import AGAIN, UnreadableModel, read_json

Axis = int | str | tuple[int, str]
"""A number, what the layer's configuration calls so (or, where it does not, some number), or a multiple of that."""
Tensors = Mapping[str, tuple[Axis, ...]]

_OTHERS = f"these weights are of another model; {AGAIN}, with its own weights"
_NETWORKS = ("Sequential", "Functional", "Model")
_FLAGS: Mapping[str, str] = MappingProxyType({"bias": "use_bias", "gamma": "scale", "beta": "center"})
"""What says in a configuration whether the layer has a tensor; it has all others."""
_BESIDE = ("optimizer_weights", "top_level_model_weights")
"""Groups that Keras writes beside those of the layers."""
_DEEP = ("kernel_size", "n_chan", "depth_multiplier")


def _separable(*window: int) -> Tensors:
    return {"depthwise_kernel": _DEEP, "pointwise_kernel": (*window, "n_deep", "filters"), "bias": ("filters",)}


def _recurrent(gates: int, *biases: int) -> Tensors:
    width = (gates, "units")
    return {"kernel": ("n_in", width), "recurrent_kernel": ("units", width), "bias": (*biases, width)}


_DENSE: Tensors = {"kernel": ("n_in", "units"), "bias": ("units",)}
_CONVOLUTION: Tensors = {"kernel": ("kernel_size", "n_chan", "filters"), "bias": ("filters",)}
_DEPTHWISE: Tensors = {"depthwise_kernel": _DEEP, "bias": ("n_filt",)}
_AFFINE: Tensors = {"gamma": ("n_chan",), "beta": ("n_chan",)}
_TENSORS: Mapping[str, Tensors] = MappingProxyType(
    {
        "Dense": _DENSE,
        "BinaryDense": _DENSE,
        "TernaryDense": _DENSE,
        "Conv1D": _CONVOLUTION,
        "Conv2D": _CONVOLUTION,
        "DepthwiseConv1D": _DEPTHWISE,
        "DepthwiseConv2D": _DEPTHWISE,
        "SeparableConv1D": _separable(1),
        "SeparableConv2D": _separable(1, 1),
        "SimpleRNN": _recurrent(1),
        "LSTM": _recurrent(4),
        "GRU": _recurrent(3, 2),
        "Embedding": {"embeddings": ("input_dim", "output_dim")},
        "BatchNormalization": {**_AFFINE, "moving_mean": ("n_chan",), "moving_variance": ("n_chan",)},
        "LayerNormalization": _AFFINE,
    }
)
"""What the weights of a kind of layer are by, in Keras's words, or hls4ml's for what the configuration does not say.

Those of QKeras are as their namesakes. Layers of other kinds are left alone.
"""


@dataclass(frozen=True, slots=True)
class _Layer:
    """A layer, the HDF5 group that hls4ml looks into for it, and what it puts before the names of tensors there."""

    name: str
    kind: str
    config: Mapping[str, Any]
    group: str
    prefix: str = ""


def refuse_other_weights(architecture: Path, weights: Path) -> None:
    """Raise `UnreadableModel` that names the first tensor of `weights` that the layers of `architecture` contradict.

    Looks where hls4ml looks, since it fills in zeros for a bias that is missing, and believes any kernel.
    """
    layers = list(_layers(read_json(architecture)))
    with h5py.File(weights, "r") as file:
        saved = file.get("model_weights", file)
        for layer in layers:
            _refuse_misfits(layer, saved.get(layer.group), weights)
        _refuse_strangers(saved, layers, weights)


def refuse_uneven_normalisations(layers: Iterable[Mapping[str, Any]], path: Path) -> None:
    """Raise `UnreadableModel` for a batch normalisation in hls4ml's list of layers that is not by its input's channels.

    hls4ml merges it into the layer before with numpy, which repeats a single number as often as it takes.
    """
    for layer in layers:
        refuse_uneven_normalisations(layer.get("layer_list", ()), path)
        refuse_uneven_normalisations(filter(None, [layer.get("wrapped_layer")]), path)
        if layer.get("mean_data") is None:
            continue
        channels, shape = layer.get("n_filt", -1), list(np.shape(layer["mean_data"]))
        needed = [layer["n_in"] if channels == -1 else channels]
        if shape != needed:
            raise _misfit(path, layer["name"], "moving_mean", shape, needed)


def _layers(network: Any, nested: str = "") -> Iterator[_Layer]:
    """Return the layers of a network, and of those inside it, which are all saved in the group of the outermost."""
    for part in _parts(network):
        name, kind, config = part["config"]["name"], part["class_name"], part["config"]
        if kind in _NETWORKS:
            yield from _layers(part, nested or name)
        elif kind == "TimeDistributed":
            yield from _repeated(name, config, nested)
        elif kind == "Bidirectional":
            yield from _both_ways(name, config, nested)
        else:
            yield _Layer(name, kind, config, _inside(nested, name))


def _parts(network: Any) -> list[Mapping[str, Any]]:
    """Return what is written of every layer; older versions of Keras wrote a list for a Sequential network."""
    config = network.get("config")
    parts = config.get("layers") if isinstance(config, Mapping) else config
    return [part for part in parts if _whole(part)] if isinstance(parts, list) else []


def _whole(part: Any) -> TypeGuard[Mapping[str, Any]]:
    """Tell whether this is a layer with a name and a kind; of others hls4ml says what is wrong."""
    config = part.get("config") if isinstance(part, Mapping) else None
    if not isinstance(config, Mapping):
        return False
    return all(isinstance(word, str) and word for word in (config.get("name"), part.get("class_name")))


def _inside(nested: str, name: str) -> str:
    return f"{nested}/{name}" if nested else name


def _repeated(name: str, config: Mapping[str, Any], nested: str) -> Iterator[_Layer]:
    inner = config.get("layer")
    if not _whole(inner):
        yield _Layer(name, "TimeDistributed", config, _inside(nested, name))
    elif inner["class_name"] in _NETWORKS:
        yield from _layers(inner, nested or name)
    else:
        yield _Layer(name, inner["class_name"], inner["config"], _inside(nested, name))


def _both_ways(name: str, config: Mapping[str, Any], nested: str) -> Iterator[_Layer]:
    forward, group = config.get("layer"), _inside(nested, name)
    for direction, inner in (("forward", forward), ("backward", config.get("backward_layer") or forward)):
        # hls4ml looks for the cell of a SimpleRNN under a name that Keras does not give it.
        if not _whole(inner) or "SimpleRNN" in inner["class_name"]:
            yield _Layer(name, "Bidirectional", config, group)
        else:
            cell = f"{direction}_{inner['config']['name']}/{inner['class_name'].lower()}_cell/"
            yield _Layer(name, inner["class_name"], inner["config"], group, cell)


def _refuse_misfits(layer: _Layer, group: Any, path: Path) -> None:
    sizes: dict[str, int] = {}
    for tensor, axes in _tensors(layer).items():
        found, needed = _found(group, layer, tensor), _sizes(axes, layer.config, sizes)
        if isinstance(found, h5py.Group):
            continue  # named as a tensor, and hls4ml stumbles over it
        shape = None if found is None else list(found.shape)
        _refuse_misfit(layer, tensor, shape, needed, path)
        sizes |= {axis: size for axis, size in zip(needed, shape or (), strict=False) if isinstance(axis, str)}


def _refuse_misfit(layer: _Layer, tensor: str, shape: list[int] | None, needed: list[int | str], path: Path) -> None:
    said = layer.config.get(_FLAGS[tensor]) if tensor in _FLAGS else True
    name = layer.prefix + tensor
    if shape is None and said:
        lacks = f"tensor {name!r} of layer {layer.name!r} is missing"
        raise UnreadableModel(f"{path}: {lacks}, and the layer needs {_plain(needed)}: {_OTHERS}")
    if shape is not None and said is False:
        raise _misfit(path, layer.name, name, shape, None)
    if shape is not None and not _fits(shape, needed):
        raise _misfit(path, layer.name, name, shape, needed)


def _tensors(layer: _Layer) -> Tensors:
    kind = layer.kind if layer.kind in _TENSORS else layer.kind.removeprefix("Q")
    if kind == "GRU" and layer.config.get("reset_after") is False:
        return _recurrent(3)
    return _TENSORS.get(kind, {})


def _found(group: Any, layer: _Layer, tensor: str) -> Any:
    """Return what hls4ml finds for a tensor: the first that has its name anywhere in its own."""
    if not isinstance(group, h5py.Group):
        return None
    name = group.visit(lambda each: each if layer.prefix + tensor in each else None)
    # A kernel that is missing would be found in `recurrent_kernel`.
    leaf = (name or "").rpartition("/")[2].partition(":")[0]
    return None if name is None or leaf in _tensors(layer).keys() - {tensor} else group[name]


def _sizes(axes: Iterable[Axis], config: Mapping[str, Any], known: Mapping[str, int]) -> list[int | str]:
    """Return the sizes of these axes: their name, where neither the configuration nor a tensor before tells."""
    sizes: list[int | str] = []
    for axis in axes:
        match axis:
            case int():
                sizes.append(axis)
            case times, name:
                value = config.get(name)
                sizes.append(times * value if isinstance(value, int) else f"{times}*{name}")
            case name:
                value = config.get(name, known.get(name))
                sizes += value if isinstance(value, list) else [value if isinstance(value, int) else name]
    return sizes


def _fits(shape: list[int], needed: list[int | str]) -> bool:
    pairs = zip(shape, needed, strict=False)
    return len(shape) == len(needed) and all(isinstance(want, str) or size == want for size, want in pairs)


def _refuse_strangers(saved: h5py.Group, layers: list[_Layer], path: Path) -> None:
    """Refuse weights of a layer that the network has not got; groups of nothing are of layers without weights."""
    known = {each.split("/")[0] for layer in layers for each in (layer.name, layer.group)}
    for name, group in saved.items():
        if name in known or name in _BESIDE or not isinstance(group, h5py.Group):
            continue
        tensor = group.visititems(lambda inside, item: inside if isinstance(item, h5py.Dataset) else None)
        if tensor is not None:
            raise UnreadableModel(
                f"{path}: tensor {tensor!r} is of layer {name!r}, which the network has not got: {_OTHERS}"
            )


def _misfit(path: Path, layer: str, tensor: str, shape: Iterable[Any], needed: Iterable[Any] | None) -> UnreadableModel:
    needs = "has no such tensor" if needed is None else f"needs {_plain(needed)}"
    return UnreadableModel(
        f"{path}: tensor {tensor!r} of layer {layer!r} has the shape {_plain(shape)}, and the layer {needs}: {_OTHERS}"
    )


def _plain(sizes: Iterable[Any]) -> str:
    return f"[{', '.join(map(str, sizes))}]"
