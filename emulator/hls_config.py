"""hls4ml's configuration of a conversion, from a file: what every layer computes with."""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from emulator.formats import Overflow, Rounding

_BY_LAYER = ("LayerName", "LayerType")
_PARTS = ("Model", *_BY_LAYER, "Flows", "Optimizers", "SkipOptimizers", "InputShape")
_PROJECT = "HLSConfig"
_TYPE = re.compile(
    r"(ap_)?u?(int<\d+>|fixed<\d+,-?\d+(,(AP_)?(?P<rounding>\w+)(,(AP_)?(?P<overflow>\w+)(,\d+)?)?)?>)|\w+"
)
"""A precision in hls4ml's words, its spaces left out: a fixed-point type, or `auto` and the like."""
_MODES = {"rounding": (*map(str, Rounding),), "overflow": (*map(str, Overflow), "WRAP_SM")}


class BadConfiguration(ValueError):
    """A configuration that says nothing, or something that the model has not got; the message says what, and why."""


def read_hls_config(path: Path) -> dict[str, Any]:
    """Return what a JSON or YAML file holds: `{"Model": {…}, "LayerName": {…}, "LayerType": {…}}`, checked.

    Raises
    ------
    BadConfiguration
        It cannot be read, or hls4ml would pass over a part of it in silence.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        said = getattr(error, "strerror", None) or error
        raise BadConfiguration(f"{path} cannot be read: {said}: name a JSON or YAML file") from error
    value = _json(path, text) if path.suffix == ".json" else _yaml(path, text)
    try:
        return checked(value)
    except BadConfiguration as error:
        raise BadConfiguration(f"{path}: {error}") from error


def checked(value: Any) -> dict[str, Any]:
    """Return a configuration whose parts are ones that hls4ml reads; raises `BadConfiguration`."""
    parts = f'it takes {{"Model": {{…}}, "LayerName": {{"a layer": {{…}}}}}}, of {", ".join(_PARTS)}'
    if not isinstance(value, Mapping) or not value:
        raise BadConfiguration(f"it holds {value!r:.60}, which sets nothing: {parts}")
    if _PROJECT in value:
        raise BadConfiguration(
            f"it is the configuration of a whole project: import the project's folder, or give what is under {_PROJECT}"
        )
    unknown = [name for name in value if name not in _PARTS]
    if unknown:
        raise BadConfiguration(f"{unknown[0]!r} is no part of it, and hls4ml would pass over it: {parts}")
    sections = {"Model": value.get("Model", {})}
    for part in _BY_LAYER:
        layers = value.get(part, {})
        sections |= {part: layers}
        if isinstance(layers, Mapping):
            sections |= {f"{part} {name}": settings for name, settings in layers.items()}
    for name, settings in sections.items():
        if not isinstance(settings, Mapping):
            raise BadConfiguration(f"{name} is {settings!r:.60}, not settings by name: {parts}")
        for text in _precisions(settings.get("Precision")):
            _check_precision(name, text)
    return dict(value)


def _precisions(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _precisions(each)


def _check_precision(where: str, text: str) -> None:
    """Refuse what hls4ml would stumble over, or read the first half of."""
    found = _TYPE.fullmatch(text.replace(" ", ""))
    if found is None:
        raise BadConfiguration(
            f"{where} has the precision {text!r:.60}: write [u]fixed<W,I[,Q[,O]]>, [u]int<W> or auto"
        )
    for kind, names in _MODES.items():
        if found[kind] is not None and found[kind] not in names:
            raise BadConfiguration(
                f"{where} has the precision {text!r:.60}, whose {kind} {found[kind]!r} is none of {', '.join(names)}"
            )


class Watched(dict[str, Any]):
    """The settings of single layers (`LayerName`), which know for which ones hls4ml has asked."""

    def __init__(self, settings: Mapping[str, Any]) -> None:
        super().__init__(settings)
        self.asked: set[str] = set()

    def get(self, name: str, default: Any = None) -> Any:
        """Return the settings of a layer, as `dict.get`."""
        self.asked.add(name)
        return super().get(name, default)

    def refuse_unknown(self, path: Path) -> None:
        """Raise `BadConfiguration` for settings that no layer of the model in `path` asked for."""
        unknown = [name for name in self if name not in self.asked]
        if unknown:
            raise BadConfiguration(
                f"LayerName of the hls4ml configuration has settings for {unknown[0]!r}, a layer that {path} has not "
                f"got, and hls4ml would pass over them: correct the name, of {', '.join(sorted(self.asked))}"
            )


def _json(path: Path, text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadConfiguration(f"{path} is not JSON, or was cut off: {error}: write it again") from error


def _yaml(path: Path, text: str) -> Any:
    yaml = importlib.import_module("yaml")  # comes with hls4ml, which an import needs anyway
    try:
        return yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError) as error:
        said = " ".join(str(error).split())
        raise BadConfiguration(f"{path} is not YAML, or was cut off: {said}: write it again") from error
