"""From whatever a person has of a network to an hls4ml ModelGraph. Needs the `models` extra."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import hls4ml

from emulator.hls_config import Watched, checked
from emulator.importers.files import IO_TYPE, keras_graph, read_keras, read_keras3, read_onnx, refuse_nonfinite
from emulator.importers.shapes import refuse_misfits
from emulator.importers.words import refuse_code
from emulator.model_file import AGAIN, PROJECT, UnreadableModel, refuse_empty, refuse_unreadable, weights_beside

VERSION: str = hls4ml.__version__
"""Of hls4ml: it is part of the result, since equal graphs have given other scores in other versions."""

_LOG = logging.getLogger(__name__)
_SAVE = "save the ModelGraph with `graph.save('model.fml')` and import that file"


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
        It is none of these, not whole, has a weight that is no number or a name that is more than one, or hls4ml cannot
        convert it.
    BadConfiguration
        `hls_config` has a part that hls4ml does not know, or settings for a layer that the model has not got.
    """
    if isinstance(source, hls4ml.model.ModelGraph):
        refuse_code(source, Path("the model"))
        refuse_nonfinite(_weights(source), Path("the model"))
        return source
    if not isinstance(source, str | Path):
        raise UnreadableModel(f"{type(source).__name__} is neither an hls4ml ModelGraph nor a path")
    path = Path(source)
    refuse_unreadable(path, weights=weights)
    config = checked(hls_config) if hls_config else {}
    layers = Watched(config.get("LayerName", {}))
    if layers:
        config["LayerName"] = layers
    try:
        # hls4ml tells its progress on stdout, and its readers warn of old spellings in files that they understand.
        with contextlib.redirect_stdout(io.StringIO()), warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            graph = _converted(path, weights=weights, hls_config=config, backend=backend, io_type=io_type)
    except UnreadableModel:
        raise
    except Exception as error:  # hls4ml raises bare Exception and AssertionError for a layer that it does not know
        raise UnreadableModel(f"hls4ml cannot convert {path}: {_said(error)}") from error
    for warning in told:
        _LOG.info("%s: %s", path, warning.message)
    refuse_code(graph, path)
    refuse_nonfinite(_weights(graph), path)
    refuse_misfits(graph, path)
    layers.refuse_unknown(path)
    return graph


def _said(error: Exception) -> str:
    """Return an error in words: of a key that was not found, or of a condition, Python says little or nothing."""
    said = " ".join(str(error).split())
    if said and not isinstance(error, ArithmeticError | AssertionError | AttributeError | LookupError | TypeError):
        return said
    return (
        f"it stumbles over {said or type(error).__name__}, since a part of the model is missing or unknown to hls4ml: "
        f"{AGAIN}, or convert it in Python, {_SAVE}"
    )


def _weights(graph: Any) -> Iterator[tuple[str, Any]]:
    for node in graph.get_layers():
        for name, weight in node.weights.items():
            yield f"{name!r} of layer {node.name!r}", weight.data


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
    beside = weights or weights_beside(path)
    return read_keras(path, beside, hls_config=hls_config, backend=backend, io_type=io_type)


def _project(path: Path) -> Any:
    file = path / PROJECT
    config = _configuration(file)
    for key in ("KerasJson", "KerasH5", "OnnxModel"):
        if isinstance(config.get(key), str):
            config[key] = str(path / config[key])
    if "KerasJson" in config:
        return keras_graph({"KerasH5": str(path), **config})
    if isinstance(config.get("OnnxModel"), str):
        refuse_unreadable(Path(config["OnnxModel"]))
        return hls4ml.converters.onnx_to_hls(config)
    raise UnreadableModel(f"{file} does not name the file of its model: {_SAVE}")


def _configuration(file: Path) -> dict[str, Any]:
    refuse_empty(file)
    try:
        config = hls4ml.converters.parse_yaml_config(str(file))
    except ImportError as error:
        raise UnreadableModel(f"{file} refers to a Keras model, and Keras is not installed: {_SAVE}") from error
    except Exception as error:  # of the reader of YAML, which hls4ml brings
        said = " ".join(str(error).split())
        raise UnreadableModel(f"{file} is not YAML, or was cut off: {said}: write the project again") from error
    if not isinstance(config, dict):
        raise UnreadableModel(f"{file} is no configuration of hls4ml, it holds {config!r:.60}: {_SAVE}")
    return config
