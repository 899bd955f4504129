"""From a model file to an hls4ml ModelGraph: Keras JSON with HDF5 weights, Keras 3, HGQ2, ONNX and QONNX."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import os
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from hls4ml.converters import convert_from_keras_model, convert_from_onnx_model, keras_v2_to_hls
from hls4ml.utils.config import create_config
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.util.cleanup import cleanup_model

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
    """
    for path in (architecture, weights):
        _check_file(path)
    config = create_config(output_dir="model", backend=backend, io_type=io_type)
    config["KerasJson"], config["KerasH5"] = str(architecture), str(weights)
    config["HLSConfig"] = _with_defaults(hls_config)
    with contextlib.redirect_stdout(io.StringIO()):
        # convert_from_config answers None in silence for these two keys.
        return keras_v2_to_hls(config)


def read_keras3(
    path: Path, *, hls_config: Mapping[str, Any] | None = None, backend: str = "Vitis", io_type: str = IO_TYPE
) -> Any:
    """Return the ModelGraph of a model that Keras 3 saved as `.keras`, with layers of HGQ2 where that is installed.

    Keras computes with what `KERAS_BACKEND` names, or else with the first of JAX, TensorFlow and PyTorch that is there.
    Raises ValueError where Keras is not installed, or nothing that it could compute with.
    """
    _check_file(path)
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
    """Return the ModelGraph of an ONNX or QONNX file, cleaned up as hls4ml wants it."""
    _check_file(path)
    with warnings.catch_warnings():
        # QONNX files of older tools name their domains differently; the reader mends that itself and says so.
        warnings.filterwarnings("ignore", message="Some old-style domain attributes", category=UserWarning)
        model = cleanup_model(ModelWrapper(onnx.load(str(path))))
    with contextlib.redirect_stdout(io.StringIO()):
        return convert_from_onnx_model(
            model, output_dir="model", backend=backend, io_type=io_type, hls_config=_with_defaults(hls_config)
        )


def _with_defaults(hls_config: Mapping[str, Any] | None) -> dict[str, Any]:
    config = dict(hls_config or {})
    config["Model"] = {"Precision": PRECISION, "ReuseFactor": 1} | dict(config.get("Model", {}))
    return config


def _check_file(path: Path) -> None:
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not a file: give the model's file")
