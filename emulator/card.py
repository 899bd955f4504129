"""A card: the identity of a model, and a directory that holds everything needed to run it."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.formats import Format
from emulator.graph import Program, Tensor
from emulator.layout import Layout
from emulator.pack import canonical
from emulator.program_bytes import nameless, shape_from_json, to_bytes

SCHEMA = "trigwatch-card/1"
FEWEST_DIGITS = 8
"""Hexadecimal digits of a digest that people must write for one to be meant."""
_WRITTEN = re.compile(rf"(?:sha256:)?([0-9a-f]{{{FEWEST_DIGITS},64}})")


def full_digest(written: str) -> str | None:
    """Return (the beginning of) a digest as people write it with its `sha256:`, or None where it is not one."""
    found = _WRITTEN.fullmatch(written)
    return None if found is None else f"sha256:{found[1]}"


class BrokenCard(ValueError):
    """A card that cannot be trusted; the message names the file, what is wrong, and the remedy."""


@dataclass(frozen=True, slots=True)
class Certificate:
    """What was proven when the card was made.

    Attributes
    ----------
    reference
        The program whose answers count: "hls4ml 1.3.0 csim".
    backend, configuration
        The hls4ml backend, and the settings that the result depends on.
    compiler
        Version and flags of the compiler that built the reference.
    engine
        The engines that were compared with the reference ("gemm, native"); "csim" where the reference itself answers,
        "abi" where a compiled library does, which is its own reference.
    random, directed
        Numbers of inputs that were compared. Directed inputs drive accumulators, roundings and saturations to their
        edges; random ones alone do not prove exactness.
    mismatches
        Always 0 in a card that was written.
    seed
        Reproduces the inputs.
    """

    reference: str
    backend: str
    configuration: Mapping[str, Any]
    compiler: str
    engine: str
    random: int
    directed: int
    mismatches: int
    seed: int

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Certificate:
        """Read what `dataclasses.asdict` made; raises ValueError that names what is wrong."""
        missing = [entry.name for entry in fields(cls) if entry.name not in value]
        if missing:
            raise ValueError(f"the certificate lacks {', '.join(missing)}")
        numbers = ("random", "directed", "mismatches", "seed")
        wrong = [name for name in numbers if not isinstance(value[name], int)]
        if wrong:
            raise ValueError(f"{', '.join(wrong)} of the certificate is not an integer")
        return cls(**{entry.name: value[entry.name] for entry in fields(cls)})


@dataclass(frozen=True, slots=True)
class Card:
    """A model's identity; the program itself stays in the directory until `emulator.load`.

    Attributes
    ----------
    label
        What people and menus call it. Not part of the identity: one label has meant eleven different models.
    digest
        "sha256:…" over canonical weights, formats, graph, input mapping and threshold.
    inputs, outputs
        The tensors; a raw row is all of them flattened in C order and laid end to end.
    threshold
        Raw: accept = score[:, 0] >= threshold. None where the model does not decide.
    falls_to
        None, or why the card has no exact integer program and csim or a compiled library answers.
    provenance
        Where the model came from: what was imported, with which versions and settings. Not part of the identity.
    path
        The directory.
    """

    label: str
    digest: str
    layout: Layout | None
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    threshold: int | None
    certificate: Certificate
    falls_to: str | None
    provenance: Mapping[str, Any]
    path: Path = field(compare=False)

    @property
    def n_inputs(self) -> int:
        """Number of raw input columns."""
        return sum(tensor.size for tensor in self.inputs)

    @property
    def n_outputs(self) -> int:
        """Number of raw score columns."""
        return sum(tensor.size for tensor in self.outputs)

    @property
    def input_formats(self) -> tuple[Format, ...]:
        """The format of every raw input column."""
        return _by_column(self.inputs)

    @property
    def output_formats(self) -> tuple[Format, ...]:
        """The format of every raw score column."""
        return _by_column(self.outputs)


def raw_bounds(tensors: tuple[Tensor, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the smallest and the largest raw integer of every column's format, int64 (columns,) each."""
    columns = _by_column(tensors)
    low, high = [column.low for column in columns], [column.high for column in columns]
    return np.array(low, np.int64), np.array(high, np.int64)


def digest_of(content: Program | Mapping[str, bytes], *, layout: Layout | None, threshold: int | None) -> str:
    """Return the digest of an integer program, or of C++ sources or a compiled library where there is none."""
    mapping = {"schema": SCHEMA, "layout": None if layout is None else layout.to_json(), "threshold": threshold}
    body = to_bytes(nameless(content)) if isinstance(content, Program) else sources_digest(content).encode()
    return "sha256:" + hashlib.sha256(canonical(mapping) + b"\n" + body).hexdigest()


def refuse_unreachable(threshold: int | None, outputs: tuple[Tensor, ...]) -> None:
    """Raise ValueError for a threshold that the first output can never be at, and that so decides nothing."""
    first = _by_column(outputs)[0]
    if threshold is not None and not first.low <= threshold <= first.high:
        raise ValueError(
            f"threshold {threshold} is outside of the first output's format {first}, raw {first.low} to {first.high}, "
            f"so that {'no' if threshold > first.high else 'every'} event would be accepted: give a raw threshold in it"
        )


def sources_digest(sources: Mapping[str, bytes]) -> str:
    """Return the SHA-256 of C++ sources: paths and contents, in the order of paths."""
    listed = [[path, hashlib.sha256(sources[path]).hexdigest()] for path in sorted(sources)]
    return hashlib.sha256(canonical(listed)).hexdigest()


def to_json(card: Card, *, files: Mapping[str, str]) -> dict[str, Any]:
    """Return `card.json`; `files` gives the SHA-256 of every other file of the directory."""
    return {
        "schema": SCHEMA,
        "label": card.label,
        "digest": card.digest,
        "inputs": [_tensor_to_json(tensor) for tensor in card.inputs],
        "outputs": [_tensor_to_json(tensor) for tensor in card.outputs],
        "threshold": card.threshold,
        "falls_to": card.falls_to,
        "certificate": asdict(card.certificate),
        "provenance": dict(card.provenance),
        "layout": None if card.layout is None else card.layout.to_json(),
        "files": dict(sorted(files.items())),
    }


def from_json(value: Any, *, path: Path) -> Card:
    """Read what `to_json` returned; raises ValueError that names the field."""
    if not isinstance(value, dict) or value.get("schema") != SCHEMA:
        said = value.get("schema") if isinstance(value, dict) else type(value).__name__
        raise ValueError(f"its schema is {said!r}, this version reads {SCHEMA!r}")
    layout = _typed(value, "layout", list, optional=True)
    return Card(
        label=_typed(value, "label", str),
        digest=_typed(value, "digest", str),
        layout=None if layout is None else Layout.from_json(layout),
        inputs=tuple(_tensor_from_json(entry) for entry in _typed(value, "inputs", list)),
        outputs=tuple(_tensor_from_json(entry) for entry in _typed(value, "outputs", list)),
        threshold=_typed(value, "threshold", int, optional=True),
        certificate=Certificate.from_json(_typed(value, "certificate", dict)),
        falls_to=_typed(value, "falls_to", str, optional=True),
        provenance=_typed(value, "provenance", dict),
        path=path,
    )


def listed_files(value: Mapping[str, Any]) -> dict[str, str]:
    """Return the SHA-256 of every other file of the directory, as card.json lists them; raises ValueError."""
    files = _typed(value, "files", dict)
    if not all(isinstance(entry, str) for entry in files.values()):
        raise ValueError("field 'files' does not give a SHA-256 for every file")
    return dict(files)


def _typed(value: Mapping[str, Any], name: str, kind: type, *, optional: bool = False) -> Any:
    if name not in value:
        raise ValueError(f"field {name!r} is missing")
    found = value[name]
    if (found is None and optional) or (isinstance(found, kind) and not isinstance(found, bool)):
        return found
    raise ValueError(f"field {name!r} is {found!r:.60}, not a {kind.__name__}")


def _by_column(tensors: tuple[Tensor, ...]) -> tuple[Format, ...]:
    return tuple(tensor.format for tensor in tensors for _ in range(tensor.size))


def _tensor_to_json(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "format": str(tensor.format)}


def _tensor_from_json(value: Any) -> Tensor:
    try:
        return Tensor(str(value["name"]), shape_from_json(value["shape"]), Format.parse(value["format"]))
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{value!r:.80} does not describe a tensor: {error}") from error
