"""From a model file to an hls4ml ModelGraph: Keras JSON with HDF5 weights, Keras 3, HGQ2, ONNX and QONNX."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import warnings
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import onnx
from hls4ml.converters import convert_from_keras_model, convert_from_onnx_model
from hls4ml.converters.keras_v2_to_hls import get_model_arch, parse_keras_model
from hls4ml.model import ModelGraph
from hls4ml.utils.config import create_config
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model

from emulator.importers.keras_weights import refuse_other_weights, refuse_uneven_normalisations
from emulator.model_file import AGAIN, UnreadableModel, refuse_unreadable

PRECISION = "fixed<16,6>"
"""hls4ml's own default precision."""
IO_TYPE = "io_parallel"
"""How layers hand over values, in hls4ml's words: all at once, or (`io_stream`) one after the other."""


def read_keras(
    architecture: Path,
    weights: Path,
    *,
    hls_config: Mapping[str, Any] | None = None,
    backend: str = "Vivado",
    io_type: str = IO_TYPE,
) -> Any:
    """Return the ModelGraph of `model.to_json()` and `model.save_weights(….h5)`.

    `hls_config` is hls4ml's own ("Model", "LayerName", "LayerType"); default precision fixed<16,6>, reuse factor 1.
    Raises `UnreadableModel` where a file is not there, not whole, holds a weight that is no number, or the weights are
    not those of the layers.
    """
    config = create_config(output_dir="model", backend=backend, io_type=io_type)
    config["KerasJson"], config["KerasH5"] = str(architecture), str(weights)
    config["HLSConfig"] = _with_defaults(hls_config)
    with contextlib.redirect_stdout(io.StringIO()):
        return keras_graph(config)


def keras_graph(config: dict[str, Any]) -> Any:
    """Return the ModelGraph of hls4ml's own configuration that names "KerasJson" and "KerasH5".

    hls4ml's `keras_v2_to_hls` in its two steps, with a look at the weights before each; raises as `read_keras`.
    """
    architecture, weights = Path(config["KerasJson"]), Path(config["KerasH5"])
    refuse_unreadable(architecture, weights=weights)
    refuse_nonfinite(_datasets(weights), weights)
    refuse_other_weights(architecture, weights)
    layers, inputs, outputs, _ = parse_keras_model(*get_model_arch(config))
    refuse_uneven_normalisations(layers, weights)
    return ModelGraph.from_layer_list(config, layers, inputs, outputs)


def read_keras3(
    path: Path, *, hls_config: Mapping[str, Any] | None = None, backend: str = "Vitis", io_type: str = IO_TYPE
) -> Any:
    """Return the ModelGraph of a model that Keras 3 saved as `.keras`, with layers of HGQ2 where that is installed.

    Keras computes with what `KERAS_BACKEND` names, or else with the first of JAX, TensorFlow and PyTorch that is there.
    Raises `UnreadableModel` where the file is not whole; ValueError where Keras is not installed, or nothing that it
    could compute with.
    """
    refuse_unreadable(path)
    there = [name for name in ("jax", "tensorflow", "torch") if importlib.util.find_spec(name)]
    if importlib.util.find_spec("keras") is None or not there:
        raise ValueError(f"{path} is read by Keras 3: pip install keras jax, and HGQ2 where the model uses its layers")
    os.environ.setdefault("KERAS_BACKEND", there[0])
    keras = importlib.import_module("keras")
    with contextlib.suppress(ModuleNotFoundError):
        importlib.import_module("hgq.layers")  # tells Keras its layers
    model = keras.saving.load_model(path, compile=False)
    with contextlib.redirect_stdout(io.StringIO()):
        return convert_from_keras_model(
            model, output_dir="model", backend=backend, io_type=io_type, hls_config=_with_defaults(hls_config)
        )


def read_onnx(
    path: Path, *, hls_config: Mapping[str, Any] | None = None, backend: str = "Vivado", io_type: str = IO_TYPE
) -> Any:
    """Return the ModelGraph of an ONNX or QONNX file, cleaned up as hls4ml wants it.

    Raises `UnreadableModel` where the file is not whole, or holds a weight that is no number.
    """
    refuse_unreadable(path)
    loaded = _loaded(path)
    refuse_nonfinite(_initializers(loaded, path), path)
    with warnings.catch_warnings():
        # QONNX files of older tools name their domains differently; the reader mends that itself and says so.
        warnings.filterwarnings("ignore", message="Some old-style domain attributes", category=UserWarning)
        model = cleanup_model(ModelWrapper(loaded))
    with contextlib.redirect_stdout(io.StringIO()):
        return convert_from_onnx_model(
            model, output_dir="model", backend=backend, io_type=io_type, hls_config=_with_defaults(hls_config)
        )


def _with_defaults(hls_config: Mapping[str, Any] | None) -> dict[str, Any]:
    config = dict(hls_config or {})
    config["Model"] = {"Precision": PRECISION, "ReuseFactor": 1} | dict(config.get("Model", {}))
    return config


def refuse_nonfinite(tensors: Iterable[tuple[str, Any]], path: Path) -> None:
    """Raise `UnreadableModel` that names the first of these named tensors that holds what no format can."""
    for name, values in tensors:
        numbers = np.asarray(values)
        if numbers.dtype.kind in "cOSU":
            raise UnreadableModel(
                f"{path}: tensor {name} holds {numbers.dtype}, and the weights of a network are real numbers: {AGAIN}"
            )
        wrong = np.argwhere(~np.isfinite(numbers)).tolist() if numbers.dtype.kind == "f" else []
        if wrong:
            first = tuple(wrong[0])
            raise UnreadableModel(
                f"{path}: tensor {name} has {numbers[first]} at {list(first)}, and {len(wrong)} of its {numbers.size} "
                "numbers are so, which no fixed-point format can hold: mend or train the weights, and export them again"
            )


def _loaded(path: Path) -> Any:
    """Return the ONNX model of a file. Whatever a protocol buffer's beginning holds may be a good one: look inside."""
    try:
        model = onnx.load(str(path))
    except Exception as error:  # of the reader of protocol buffers, which onnx brings
        raise UnreadableModel(f"{path} is not ONNX, or was cut off: {error}: {AGAIN}") from error
    parts = {"node": model.graph.node, "input": model.graph.input, "output": model.graph.output}
    missing = [name for name, found in parts.items() if not found]
    if missing or not model.opset_import:
        lacks = f"its graph has no {missing[0]}" if missing else "it does not say which operators it means"
        raise UnreadableModel(f"{path} is not ONNX, or was cut off: {lacks}: {AGAIN}")
    return model


def _initializers(model: Any, path: Path) -> Iterator[tuple[str, Any]]:
    for tensor in model.graph.initializer:
        try:
            yield repr(tensor.name), onnx.numpy_helper.to_array(tensor)
        except (TypeError, ValueError) as error:
            raise UnreadableModel(f"{path}: tensor {tensor.name!r} cannot be read: {error}: {AGAIN}") from error


def _datasets(path: Path) -> list[tuple[str, Any]]:
    """Return the weights of a Keras HDF5 file; what an optimiser kept beside them is none."""
    found: list[tuple[str, Any]] = []

    def look(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and not name.startswith("optimizer_weights/"):
            found.append((repr(name), item[()]))

    try:
        with h5py.File(path, "r") as file:
            file.visititems(look)
    except (OSError, RuntimeError, ValueError) as error:
        raise UnreadableModel(f"{path} is not HDF5, or was cut off: {error}: {AGAIN}") from error
    return found
