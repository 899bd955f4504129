"""From whatever a person has of a network to an hls4ml ModelGraph. Needs the `models` extra."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import hls4ml

from emulator.importers.files import IO_TYPE, read_keras, read_keras3, read_onnx

VERSION: str = hls4ml.__version__
"""Of hls4ml: it is part of the result, since equal graphs have given other scores in other versions."""

_LOG = logging.getLogger(__name__)
_PROJECT = "hls4ml_config.yml"


class UnreadableModel(ValueError):
    """What was given is not a model that can be read; the message says what is."""


def read_graph(
    source: Any,
    *,
    weights: Path | None = None,
    hls_config: Mapping[str, Any] | None = None,
    backend: str = "Vivado",
    io_type: str = IO_TYPE,
) -> Any:
    """Return the ModelGraph of `source`.

    Parameters
    ----------
    source
        A ModelGraph; a `.fml` file that `ModelGraph.save` wrote; an hls4ml project directory whose configuration names
        its model file; an `.onnx` file; a `.keras` file of Keras 3 or HGQ2, for which these must be installed; a Keras
        `.json` file with its weights beside it (`NAME_weights.h5`) or in `weights`.
    hls_config, backend, io_type
        How hls4ml converts an `.onnx`, `.keras` or `.json` file. The other sources bring their own.

    Raises
    ------
    UnreadableModel
        It is none of these, or hls4ml cannot convert it.
    """
    if isinstance(source, hls4ml.model.ModelGraph):
        return source
    if not isinstance(source, str | Path):
        raise UnreadableModel(f"{type(source).__name__} is neither an hls4ml ModelGraph nor a path")
    path = Path(source)
    try:
        # hls4ml tells its progress on stdout, and its readers warn of old spellings in files that they understand.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            graph = _converted(path, weights=weights, hls_config=hls_config, backend=backend, io_type=io_type)
    except UnreadableModel:
        raise
    except Exception as error:  # hls4ml raises bare Exception and AssertionError for a layer that it does not know
        raise UnreadableModel(f"hls4ml cannot convert {path}: {str(error) or type(error).__name__}") from error
    for warning in told:
        _LOG.info("%s: %s", path, warning.message)
    return graph


def _converted(
    path: Path, *, weights: Path | None, hls_config: Mapping[str, Any] | None, backend: str, io_type: str
) -> Any:
    if path.is_dir():
        return _project(path)
    match path.suffix:
        case ".fml":
            return hls4ml.converters.deserialize_model(path)
        case ".onnx":
            return read_onnx(path, hls_config=hls_config, backend=backend, io_type=io_type)
        case ".keras":
            return read_keras3(path, hls_config=hls_config, backend=backend, io_type=io_type)
        case ".json":
            beside = weights or path.with_name(f"{path.stem}_weights.h5")
            return read_keras(path, beside, hls_config=hls_config, backend=backend, io_type=io_type)
    raise UnreadableModel(f"{path} is not an .fml, .onnx, .keras or .json file, nor a project directory")


def _project(path: Path) -> Any:
    file = path / _PROJECT
    remedy = "save the ModelGraph with `graph.save('model.fml')` and import that file"
    if not file.is_file():
        raise UnreadableModel(f"{path} is not an hls4ml project, it has no {_PROJECT}: {remedy}")
    try:
        config = hls4ml.converters.parse_yaml_config(str(file))
    except ImportError as error:
        raise UnreadableModel(f"{file} refers to a Keras model, and Keras is not installed: {remedy}") from error
    for key in ("KerasJson", "KerasH5", "OnnxModel"):
        if key in config:
            config[key] = str(path / config[key])
    if "KerasJson" in config:
        return hls4ml.converters.keras_v2_to_hls(config)
    if isinstance(config.get("OnnxModel"), str):
        return hls4ml.converters.onnx_to_hls(config)
    raise UnreadableModel(f"{file} does not name the file of its model: {remedy}")
