"""The manifest of a compiled emulator: what its binary interface does not say."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

from emulator.abi.buffer import Buffer
from emulator.abi.cpptype import Structures, parse
from emulator.formats import Format
from emulator.pack import canonical

SCHEMA = "trigwatch-emulator/1"
DEADLINE = 0.4
RESERVED = frozenset(("card.json", "golden", "emulator.so", "manifest.json"))
_KNOWN = frozenset(("schema", "label", "sha256", "input", "output", "structures", "threshold", "preload", "deadline"))
_SIDE = frozenset(("type", "length", "columns", "recorded"))


class BadManifest(ValueError):
    """A manifest that cannot be used, or that says something else than the library; the message says what to mend."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a manifest says.

    Attributes
    ----------
    label
        What people and menus call the model.
    sha256
        Of the library, 64 hexadecimal digits.
    input, output
        The buffers.
    structures
        Fields of the structures that their types name.
    threshold
        Raw: accept = score[:, 0] >= threshold. None where the model does not decide.
    preload
        File names of libraries that the emulator needs to be loaded first; they lie beside it.
    deadline
        Seconds that one event may take before the emulator counts as hung.
    document
        The JSON that all of this was read from.
    """

    label: str
    sha256: str
    input: Buffer
    output: Buffer
    structures: Structures
    threshold: int | None
    preload: tuple[str, ...]
    deadline: float
    document: Mapping[str, Any]

    @classmethod
    def read(cls, path: Path) -> Manifest:
        """Read a file; raises `BadManifest`."""
        try:
            return cls.from_json(json.loads(path.read_bytes()))
        except (ValueError, RecursionError) as error:
            raise BadManifest(f"{path}: {error}") from error
        except OSError as error:
            raise BadManifest(f"{path} cannot be read: {error.strerror}: name the emulator's manifest") from error

    @classmethod
    def from_json(cls, value: Any) -> Manifest:
        """Read a JSON value; raises `BadManifest` that names the field."""
        if not isinstance(value, dict) or value.get("schema") != SCHEMA:
            said = value.get("schema") if isinstance(value, dict) else type(value).__name__
            raise BadManifest(f"its schema is {said!r}, this version reads {SCHEMA!r}")
        _only(value, _KNOWN, "the manifest")
        structures = _structures(value.get("structures", {}))
        manifest = cls(
            label=_typed(value, "label", str),
            sha256=_sha256(_typed(value, "sha256", str)),
            input=_buffer(value, "input", structures),
            output=_buffer(value, "output", structures),
            structures=structures,
            threshold=None if value.get("threshold") is None else _typed(value, "threshold", int),
            preload=_preload(value.get("preload", [])),
            deadline=_deadline(value.get("deadline", DEADLINE)),
            document=value,
        )
        _check_recorded(manifest)
        return manifest

    def identity(self) -> bytes:
        """Return what belongs to the model's identity: all but its label and how patient this site is."""
        return canonical({key: value for key, value in self.document.items() if key not in {"label", "deadline"}})

    def to_bytes(self) -> bytes:
        """Return the file that `read` reads back."""
        return (json.dumps(self.document, indent=1, ensure_ascii=False) + "\n").encode()


def _buffer(value: Mapping[str, Any], name: str, structures: Structures) -> Buffer:
    side = _typed(value, name, dict)
    _only(side, _SIDE, f"`{name}`")
    columns = side.get("columns", [])
    if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
        raise BadManifest(f"`columns` of `{name}` is {columns!r}: give a list of field names")
    recorded = side.get("recorded")
    try:
        return Buffer(
            name=name,
            kind=parse(_typed(side, "type", str), structures),
            length=_typed({"length": 1} | side, "length", int),
            columns=tuple(columns),
            recorded=None if recorded is None else Format.parse(str(recorded)),
        )
    except ValueError as error:
        raise BadManifest(f"`{name}`: {error}") from error


def _check_recorded(manifest: Manifest) -> None:
    """Refuse a change of format that could lose bits."""
    for buffer in (manifest.input, manifest.output):
        for stored, recorded in zip(buffer.stored_formats, buffer.tensors, strict=True):
            pair = (recorded.format, stored) if buffer.name == "input" else (stored, recorded.format)
            if not _holds(*pair):
                raise BadManifest(
                    f"`recorded` of `{buffer.name}` is {recorded.format}, the emulator's type is {stored}: "
                    f"{pair[1]} cannot hold every value of {pair[0]}"
                )
    if manifest.input.columns and len(manifest.input.columns) < len(manifest.input.fields):
        raise BadManifest("`columns` of `input` leaves fields out: every input needs a column")


def _holds(source: Format, target: Format) -> bool:
    shift = target.fraction - source.fraction
    return shift >= 0 and target.low <= source.low << shift and source.high << shift <= target.high


def _structures(value: Any) -> dict[str, list[tuple[str, str]]]:
    try:
        found = {str(name): [(str(field), str(kind)) for field, kind in fields] for name, fields in value.items()}
    except (AttributeError, TypeError, ValueError) as error:
        raise BadManifest(f'`structures` is not {{"name": [["field", "type"], …], …}}: {error}') from error
    for name, fields in found.items():
        names = [field for field, _ in fields]
        if not fields or len(set(names)) < len(names) or not all(map(str.isidentifier, names)):
            raise BadManifest(f"structure {name!r} has fields {names}: give each a name of its own")
    return found


def _preload(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name for name in value):
        raise BadManifest(f"`preload` is {value!r}: give a list of file names")
    for name in value:
        if name in RESERVED:
            raise BadManifest(f"`preload` names {name!r}, which is a file of the card: rename the library")
        if PurePath(name).name != name or "\n" in name:
            raise BadManifest(f"`preload` names {name!r}: give the name only, and put the file beside the library")
    return tuple(value)


def _sha256(value: str) -> str:
    digits = value.removeprefix("sha256:").lower()
    if len(digits) != 64 or not set(digits) <= set("0123456789abcdef"):
        raise BadManifest(f"`sha256` is {value!r}: give the 64 hexadecimal digits that `sha256sum` prints")
    return digits


def _deadline(value: Any) -> float:
    if not isinstance(value, int | float) or isinstance(value, bool) or not 0.01 <= value <= 600:
        raise BadManifest(f"`deadline` is {value!r}: give the seconds that one event may take, 0.01 to 600")
    return float(value)


def _only(value: Mapping[str, Any], known: frozenset[str], where: str) -> None:
    if unknown := sorted(set(value) - known):
        raise BadManifest(f"{where} has unknown fields {', '.join(unknown)}; known are {', '.join(sorted(known))}")


def _typed(value: Mapping[str, Any], name: str, kind: type) -> Any:
    if name not in value:
        raise BadManifest(f"field {name!r} is missing")
    if not isinstance(value[name], kind) or isinstance(value[name], bool):
        raise BadManifest(f"field {name!r} is {value[name]!r}, not {kind.__name__}")
    return value[name]
