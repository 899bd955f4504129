"""The canonical bytes of a program: what a card stores, and what its digest is taken over."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.formats import Format
from emulator.graph import KINDS, Layer, Program, Tensor
from emulator.graph.later import is_told
from emulator.pack import Unreadable, pack, unpack

_SCHEMA = "trigwatch-program/1"
_LARGEST_TENSOR = 2**22
_INTEGERS = (np.int8, np.int16, np.int32, np.int64)


def to_bytes(program: Program) -> bytes:
    """Return the program with its names, as `from_bytes` reads it back."""
    arrays: dict[str, NDArray[Any]] = {}
    layers = [_layer_to_json(layer, number=i, arrays=arrays) for i, layer in enumerate(program.layers)]
    names = {
        "schema": _SCHEMA,
        "inputs": [_to_json(tensor) for tensor in program.inputs],
        "layers": layers,
        "outputs": list(program.outputs),
    }
    return pack(names, arrays)


def from_bytes(content: bytes) -> Program:
    """Read what `to_bytes` wrote; raises `Unreadable` that says what is wrong."""
    names, arrays = unpack(content)
    if names.get("schema") != _SCHEMA:
        raise Unreadable(f"its schema is {names.get('schema')!r}, this version reads {_SCHEMA!r}")
    try:
        inputs = tuple(_from_json(entry, arrays) for entry in names["inputs"])
        layers = tuple(_layer_from_json(entry, arrays) for entry in names["layers"])
        return Program(inputs=inputs, layers=layers, outputs=tuple(names["outputs"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise Unreadable(f"it does not describe a program: {error}") from error


def nameless(program: Program) -> Program:
    """Return the program with tensors and layers numbered instead of named.

    Names are not content: a training framework counts up the names of equal layers from one session to the next.
    """
    new = {name: f"t{i}" for i, name in enumerate(program.tensors())}
    layers = tuple(
        dataclasses.replace(
            layer,
            name=f"l{i}",
            sources=tuple(new[source] for source in layer.sources),
            output=dataclasses.replace(layer.output, name=new[layer.output.name]),
        )
        for i, layer in enumerate(program.layers)
    )
    inputs = tuple(dataclasses.replace(tensor, name=new[tensor.name]) for tensor in program.inputs)
    return Program(inputs=inputs, layers=layers, outputs=tuple(new[name] for name in program.outputs))


def narrowed(values: NDArray[Any]) -> NDArray[Any]:
    """Return integers in the smallest of int8, int16, int32, int64 that holds them all."""
    low, high = (int(values.min()), int(values.max())) if values.size else (0, 0)
    kind = next(kind for kind in _INTEGERS if np.iinfo(kind).min <= low and high <= np.iinfo(kind).max)
    return values.astype(kind)


def shape_from_json(value: Any) -> tuple[int, ...]:
    """Return a tensor's shape; raises ValueError for one that no trigger's network has."""
    shape = tuple(int(size) for size in value)
    if not all(size > 0 for size in shape) or math.prod(shape) > _LARGEST_TENSOR:
        raise ValueError(f"no tensor has shape {shape}")
    return shape


def _layer_to_json(layer: Layer, *, number: int, arrays: dict[str, NDArray[Any]]) -> dict[str, Any]:
    entry: dict[str, Any] = {"kind": type(layer).__name__}
    for field in dataclasses.fields(layer):
        value = getattr(layer, field.name)
        if not is_told(field, value):
            continue
        if isinstance(value, np.ndarray):
            key = f"{number:04d}.{field.name}"
            arrays[key] = narrowed(value)
            value = {"array": key}
        entry[field.name] = _to_json(value)
    return entry


def _layer_from_json(entry: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Layer:
    values = dict(entry)
    kind = KINDS.get(values.pop("kind"))
    if kind is None:
        raise Unreadable(f"layer kind {entry['kind']!r} is not one of {', '.join(sorted(KINDS))}: update this program")
    return kind(**{name: _from_json(value, arrays) for name, value in values.items()})


def _to_json(value: Any) -> Any:
    if isinstance(value, Format):
        return {"format": str(value)}
    if isinstance(value, Tensor):
        return {"tensor": value.name, "shape": list(value.shape), "format": str(value.format)}
    if isinstance(value, tuple):
        return [_to_json(element) for element in value]
    if isinstance(value, np.integer):
        return int(value)
    return value


def _from_json(value: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    if isinstance(value, list):
        return tuple(_from_json(element, arrays) for element in value)
    if not isinstance(value, dict):
        return value
    if "array" in value:
        return arrays[value["array"]].astype(np.int64)
    if "tensor" in value:
        return Tensor(value["tensor"], shape_from_json(value["shape"]), Format.parse(value["format"]))
    return Format.parse(value["format"])
