"""The file of a trained model: what can be said of it before anything that reads it has to be installed."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

PROJECT = "hls4ml_config.yml"
AGAIN = "export the model again, or copy it again"
_LARGEST = 1 << 30
"""Bytes that an `.fml` file may unpack to: networks of triggers take thousandths of it."""
_SAVE = "save the ModelGraph with `graph.save('model.fml')` and import that file"


class UnreadableModel(ValueError):
    """What was given is not a model that can be read; the message names the file, what is wrong, and the remedy."""


def refuse_unreadable(path: Path, *, weights: Path | None = None) -> None:
    """Look at a model's file, or at an hls4ml project's folder; `weights` are those of a Keras `.json` file.

    Raises
    ------
    UnreadableModel
        It is not there, cannot be read, is empty, cut off, or nothing that can be imported. Only what a reader of its
        own must look into (`.onnx`, the weights of Keras) may still be so.
    """
    if path.is_dir():
        if not (path / PROJECT).is_file():
            raise UnreadableModel(f"{path} is not an hls4ml project, it has no {PROJECT}: {_SAVE}")
        return
    if not path.is_file():
        raise UnreadableModel(f"{path} is not a file: nothing is called so; check the path")
    check = _CHECKS.get(path.suffix)
    if check is None:
        raise UnreadableModel(f"{path} is not an .fml, .onnx, .keras or .json file, nor a project directory: {_SAVE}")
    refuse_empty(path)
    check(path)
    if path.suffix == ".json":
        _refuse_missing(path, weights or weights_beside(path))


def weights_beside(path: Path) -> Path:
    """Return where the weights of a Keras `.json` file lie."""
    return path.with_name(f"{path.stem}_weights.h5")


def refuse_empty(path: Path) -> None:
    """Raise `UnreadableModel` for a file without content, or one that this user may not read."""
    try:
        with path.open("rb") as file:
            empty = not file.read(1)
    except OSError as error:
        raise _closed(path, error) from error
    if empty:
        raise UnreadableModel(f"{path} is empty: {AGAIN}")


def read_json(path: Path) -> Any:
    """Return the content of a JSON file; raises `UnreadableModel`."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise _closed(path, error) from error
    except (ValueError, RecursionError) as error:
        raise UnreadableModel(f"{path} is not JSON, or was cut off: {error}: {AGAIN}") from error


def _closed(path: Path, error: OSError) -> UnreadableModel:
    return UnreadableModel(f"{path} cannot be read: {error.strerror}: check its permissions")


def _refuse_missing(path: Path, weights: Path) -> None:
    if not weights.is_file():
        raise UnreadableModel(
            f"{path} is a network and its weights are missing, {weights} is not a file: write them with "
            f"`model.save_weights('{weights.name}')`"
        )
    refuse_empty(weights)


def _check_json(path: Path) -> None:
    document = read_json(path)
    whole = isinstance(document, Mapping) and isinstance(document.get("class_name"), str)
    if not whole or not isinstance(document.get("config"), Mapping | list):
        raise UnreadableModel(
            f"{path} is neither a network of Keras 2 nor an ensemble of conifer: write `model.to_json()` into it, or "
            "save the converted ensemble with conifer's `model.save`"
        )


def _check_keras(path: Path) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            damaged = archive.testzip()
            missing = [name for name in ("config.json", "model.weights.h5") if name not in archive.namelist()]
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as error:
        raise UnreadableModel(f"{path} is not what Keras 3 saves, or was cut off: {error}: {AGAIN}") from error
    if damaged or missing:
        what = f"its {damaged} is damaged" if damaged else f"it has no {missing[0]}"
        raise UnreadableModel(f"{path} is not what Keras 3 saves, {what}: {AGAIN}")


def _check_fml(path: Path) -> None:
    try:
        # A reader of archives stops at their last file, and would not miss what should come behind it.
        with gzip.open(path) as file:
            content = io.BytesIO(file.read(_LARGEST + 1))
        if content.getbuffer().nbytes > _LARGEST:
            raise UnreadableModel(f"{path} unpacks to more than {_LARGEST >> 20} MiB, which no network does: {AGAIN}")
        with tarfile.open(fileobj=content, mode="r:") as archive:
            members = archive.getmembers()
    except (tarfile.TarError, zlib.error, EOFError, OSError) as error:
        said = f"is not what hls4ml's `graph.save` writes, or was cut off: {error}"
        raise UnreadableModel(f"{path} {said}: {AGAIN}") from error
    wrong = next(filter(None, map(_stray, members)), None)
    if wrong is None and "config.json" not in (member.name for member in members):
        wrong = "it has no config.json"
    if wrong:
        raise UnreadableModel(f"{path} is not what hls4ml's `graph.save` writes, {wrong}: {AGAIN}")


def _stray(member: tarfile.TarInfo) -> str | None:
    """Return what is wrong with a member, since hls4ml unpacks whatever there is, wherever it says."""
    inside = PurePosixPath(member.name)
    if inside.is_absolute() or ".." in inside.parts:
        return f"its {member.name!r} leaves its folder"
    if not (member.isreg() or member.isdir()):
        return f"its {member.name!r} is neither a plain file nor a folder"
    return None


_CHECKS: Mapping[str, Callable[[Path], None]] = MappingProxyType(
    # Of ONNX no more can be told than its own reader tells.
    {".fml": _check_fml, ".onnx": refuse_empty, ".keras": _check_keras, ".json": _check_json}
)
