"""A card's directory: card.json for people, golden vectors, and the program with hls4ml's C++ as the reference.

Or, for an emulator that came compiled, the library and its manifest instead of program and C++.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import os
import re
import shutil
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray

from emulator import program_bytes
from emulator.abi.manifest import BadManifest, Manifest
from emulator.card import BrokenCard, Card, digest_of, from_json, listed_files, to_json
from emulator.card_lock import locked
from emulator.graph import Program
from emulator.pack import Unreadable, pack, unpack

LABEL = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}")
CARD, PROGRAM, GOLDEN, SOURCES = "card.json", "program", "golden", "csim.tar.xz"
LIBRARY, MANIFEST = "emulator.so", "manifest.json"
_WRITING = ".writing-"
_LARGEST = 256 * 2**20
_AGAIN = "restore the directory from a copy, or import the model again"


@dataclass(frozen=True, slots=True, eq=False)
class Golden:
    """Raw inputs int64 (n, inputs), and the reference's raw scores int64 (n, outputs) for them."""

    inputs: NDArray[np.int64]
    scores: NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Compiled:
    """An emulator that came as a library: its bytes, its manifest, and what the manifest wants preloaded."""

    library: bytes
    manifest: Manifest
    preload: Mapping[str, bytes]

    def identity(self) -> dict[str, bytes]:
        """Return what the digest is taken over: name -> content."""
        return {**self.preload, LIBRARY: self.library, MANIFEST: self.manifest.identity()}

    def files(self) -> dict[str, bytes]:
        """Return the files of a card's directory: name -> content."""
        return {**self.preload, LIBRARY: self.library, MANIFEST: self.manifest.to_bytes()}

    def unpack(self, directory: Path) -> None:
        """Write the files into `directory`."""
        for name, content in self.files().items():
            (directory / name).write_bytes(content)


@dataclass(frozen=True, slots=True, eq=False)
class Contents:
    """Everything in a card's directory.

    Where `program` is None, csim answers from `sources`, or the library of `compiled` if there is one.
    """

    card: Card
    program: Program | None
    golden: Golden
    sources: Mapping[str, bytes]
    compiled: Compiled | None = None


def write(contents: Contents) -> None:
    """Write the directory `contents.card.path` in one move.

    A card of the same digest is replaced. Raises FileExistsError where another digest, or something that is not a
    card, is in the way; ValueError for a label that is not a name.
    """
    path = contents.card.path
    _check_label(contents.card.label)
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.parent):
        if path.exists():
            refuse_other(path, contents.card.digest)
        _clear(path.parent)
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=_WRITING) as directory:
            new = Path(directory) / path.name
            new.mkdir()
            _fill(new, contents)
            new.chmod(0o755)
            put_in_place(new, path)


def _clear(folder: Path) -> None:
    """Remove what killed processes left half written: under the lock nobody else is writing."""
    for left in folder.glob(f"{_WRITING}*"):
        shutil.rmtree(left, ignore_errors=True)


def read_card(path: Path) -> Card:
    """Return the card of a directory from card.json alone; raises `BrokenCard`."""
    return _read_json(path)[0]


def read(path: Path) -> Contents:
    """Return everything, checked against the digest; raises `BrokenCard` that names the file."""
    card, files = _read_json(path)
    golden = _read_golden(card, _verified(path, GOLDEN, files))
    if card.certificate.engine == "abi":
        compiled = _read_compiled(path, files)
        _check_identity(card, compiled.identity())
        manifest = compiled.manifest
        described = manifest.input.tensors, manifest.output.tensors
        contents = Contents(card=card, program=None, golden=golden, sources={}, compiled=compiled)
    else:
        sources = _read_sources(path, _verified(path, SOURCES, files))
        program = None if card.falls_to else _read_program(path, _verified(path, PROGRAM, files))
        _check_identity(card, sources if program is None else program)
        described = (program.inputs, program.output_tensors) if program else (card.inputs, card.outputs)
        contents = Contents(card=card, program=program, golden=golden, sources=sources)
    if described != (card.inputs, card.outputs):
        _broken(path / CARD, "describes other input or output tensors than its program has", _AGAIN)
    return contents


def _fill(directory: Path, contents: Contents) -> None:
    files = {
        GOLDEN: pack(
            {},
            {
                "inputs": program_bytes.narrowed(contents.golden.inputs),
                "scores": program_bytes.narrowed(contents.golden.scores),
            },
        ),
    }
    if contents.compiled is not None:
        files |= contents.compiled.files()
    else:
        files[SOURCES] = _archive(contents.sources)
    if contents.program is not None:
        files[PROGRAM] = program_bytes.to_bytes(contents.program)
    document = to_json(contents.card, files={name: _sha256(content) for name, content in files.items()})
    files[CARD] = (json.dumps(document, indent=1, ensure_ascii=False) + "\n").encode()
    for name, content in files.items():
        with (directory / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())


def put_in_place(new: Path, path: Path) -> None:
    """Move the directory `new` to `path`, whose folder is locked; what is there is replaced, or stays if that fails."""
    if not path.exists():
        new.replace(path)
        return
    # Never cleared away: whoever is killed between the two moves leaves the only copy there.
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-replaced-") as directory:
        old = path.replace(Path(directory) / path.name)
        try:
            new.replace(path)
        except OSError:
            old.replace(path)
            raise


def refuse_other(path: Path, digest: str) -> None:
    """Raise FileExistsError unless `path` holds a card of this digest."""
    try:
        there = read_card(path).digest
    except BrokenCard as error:
        raise FileExistsError(f"{path} is in the way and is not a readable card ({error}): move it away") from error
    if there != digest:
        raise FileExistsError(
            f"{path} holds another model, {there[:19]}…, not {digest[:19]}…, and stays as it is: choose another label "
            "or directory, or move the old card away"
        )


def _check_label(label: str) -> None:
    if not LABEL.fullmatch(label):
        raise ValueError(f"its label {label!r} is not a name: use up to 64 of A-Z a-z 0-9 _ . -")


def _read_json(path: Path) -> tuple[Card, dict[str, str]]:
    content = _bytes(path, CARD)
    try:
        value = json.loads(content)
        card, files = from_json(value, path=path), listed_files(value)
        _check_label(card.label)
    except (ValueError, RecursionError) as error:
        _broken(path / CARD, f"cannot be read: {error}", _AGAIN)
    return card, files


def _verified(path: Path, name: str, files: Mapping[str, str]) -> bytes:
    content = _bytes(path, name)
    if name not in files:
        _broken(path / CARD, f"does not list the file {name!r}", _AGAIN)
    if _sha256(content) != files[name]:
        _broken(path / name, f"has {len(content)} bytes of other content than card.json recorded", _AGAIN)
    return content


def _bytes(path: Path, name: str) -> bytes:
    file = path / name
    try:
        if file.stat().st_size > _LARGEST:
            _broken(file, f"is larger than {_LARGEST >> 20} MiB, which no card is", _AGAIN)
        return file.read_bytes()
    except FileNotFoundError:
        _broken(file, "is missing", f"name the directory of a card, or {_AGAIN}")
    except OSError as error:
        _broken(file, f"cannot be read: {error.strerror}", "check the path and its permissions")


def _read_compiled(path: Path, files: Mapping[str, str]) -> Compiled:
    try:
        manifest = Manifest.from_json(json.loads(_verified(path, MANIFEST, files)))
    except (BadManifest, ValueError, RecursionError) as error:
        _broken(path / MANIFEST, f"cannot be read: {error}", _AGAIN)
    preload = {name: _verified(path, name, files) for name in manifest.preload}
    return Compiled(library=_verified(path, LIBRARY, files), manifest=manifest, preload=preload)


def _check_identity(card: Card, content: Program | Mapping[str, bytes]) -> None:
    found = digest_of(content, layout=card.layout, threshold=card.threshold)
    if found != card.digest:
        _broken(
            card.path / CARD,
            f"says digest {card.digest[:19]}…, but program, input mapping and threshold give {found[:19]}…",
            f"one of them was edited; {_AGAIN}",
        )


def _read_program(path: Path, content: bytes) -> Program:
    try:
        return program_bytes.from_bytes(content)
    except Unreadable as error:
        _broken(path / PROGRAM, str(error), _AGAIN)


def _read_golden(card: Card, content: bytes) -> Golden:
    file = card.path / GOLDEN
    try:
        _, arrays = unpack(content)
        golden = Golden(arrays["inputs"].astype(np.int64), arrays["scores"].astype(np.int64))
    except (Unreadable, KeyError) as error:
        _broken(file, f"holds no golden vectors: {error}", _AGAIN)
    shapes = golden.inputs.shape, golden.scores.shape
    events = len(golden.inputs) if golden.inputs.ndim else 0
    if not events or shapes != ((events, card.n_inputs), (events, card.n_outputs)):
        _broken(file, f"has vectors of shape {shapes[0]} and {shapes[1]}, which do not fit the card", _AGAIN)
    return golden


def _archive(sources: Mapping[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name in sorted(sources):
            entry = tarfile.TarInfo(name)
            entry.size = len(sources[name])
            archive.addfile(entry, io.BytesIO(sources[name]))
    return lzma.compress(buffer.getvalue(), preset=6)


def _read_sources(path: Path, content: bytes) -> dict[str, bytes]:
    try:
        unpacked = lzma.LZMADecompressor(memlimit=_LARGEST).decompress(content, max_length=_LARGEST)
        with tarfile.open(fileobj=io.BytesIO(unpacked), mode="r:") as archive:
            entries = [entry for entry in archive if entry.isfile()]
            return {entry.name: file.read() for entry in entries if (file := archive.extractfile(entry))}
    except (lzma.LZMAError, tarfile.TarError, EOFError, OSError, ValueError) as error:
        _broken(path / SOURCES, f"is not an archive of C++ sources: {error}", _AGAIN)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _broken(file: Path, what: str, remedy: str) -> NoReturn:
    raise BrokenCard(f"{file} {what}: {remedy}")
