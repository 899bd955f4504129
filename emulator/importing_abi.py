"""From a compiled emulator and its manifest to a card."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import shutil
import tempfile
from pathlib import Path

import numpy as np

from emulator.abi.accepted import accepted_types
from emulator.abi.elf import NotALibrary, read_elf
from emulator.abi.engine import MOST_POISON, AbiEngine
from emulator.abi.manifest import BadManifest, Manifest
from emulator.abi.measure import check_lengths
from emulator.card import Card, Certificate, digest_of, raw_bounds, refuse_unreachable
from emulator.card_files import LABEL, LIBRARY, Compiled, Contents, Golden, write
from emulator.directed import corners, random_inputs
from emulator.formats import Raw
from emulator.layout import Layout
from emulator.poison import Poison
from emulator.worker import WorkerFailed

REFERENCE = "none: the compiled library is its own reference"
FALLS_TO = "the model is a compiled library, which has no integer program"
_SEED = 1
_GOLDEN = 256  # of random inputs, and again of corners
_LOG = logging.getLogger(__name__)


class UnfitEmulator(RuntimeError):
    """A library that cannot be a card: it fails too often, or its answers are no function of the event alone."""


def import_abi(
    library: str | Path,
    manifest: str | Path,
    *,
    out: str | Path,
    label: str | None = None,
    layout: Layout | None = None,
) -> Card:
    """Make a card of a library with the `hls4mlEmulator` interface, and write it to `out/label`.

    The library is run here. It is its own reference: golden vectors record what it says now.

    Parameters
    ----------
    library
        The shared library.
    manifest
        The JSON file that gives what the binary interface does not say: `docs/how-to/compiled-emulators.md`.
    label
        What people call the model; by default the manifest's.
    layout
        Which input is which physics object; its width must be the model's.

    Raises
    ------
    BadManifest
        The manifest is not one, or says something else than the library; the message names both.
    NotALibrary
        The library has not got the interface, or is not for this machine.
    UnfitEmulator
        It fails on too many inputs, or its answers depend on the events before.
    NotCompiled
        There is no C++ compiler for the driver.
    FileExistsError
        Another model is in the way.
    """
    source, said = Path(library), Manifest.read(Path(manifest))
    label = label or said.label
    if not LABEL.fullmatch(label):
        raise ValueError(f"label {label!r} is not a name: use up to 64 of A-Z a-z 0-9 _ . -")
    compiled = _compiled(source, said)
    inputs, outputs = said.input.tensors, said.output.tensors
    _check_layout(layout, sum(tensor.size for tensor in inputs))
    try:
        refuse_unreachable(said.threshold, outputs)
    except ValueError as error:
        raise BadManifest(f"{manifest}: {error}") from error
    golden, failed = _observed(compiled, source.name)
    card = Card(
        label=label,
        digest=digest_of(compiled.identity(), layout=layout, threshold=said.threshold),
        layout=layout,
        inputs=inputs,
        outputs=outputs,
        threshold=said.threshold,
        certificate=_certificate(compiled, failed=failed),
        falls_to=FALLS_TO,
        provenance={"source": source.name, "sha256": said.sha256, "manifest": Path(manifest).name},
        path=Path(out) / label,
    )
    write(Contents(card=card, program=None, golden=golden, sources={}, compiled=compiled))
    return card


def _compiled(library: Path, manifest: Manifest) -> Compiled:
    try:
        content = library.read_bytes()
    except OSError as error:
        raise NotALibrary(f"{library} cannot be read: {error.strerror}: name the emulator's .so file") from error
    found = hashlib.sha256(content).hexdigest()
    if found != manifest.sha256:
        raise BadManifest(
            f"the manifest is for the library with sha256 {manifest.sha256}, {library} has {found}: it is another "
            "build; write a manifest for this one"
        )
    beside = {name: library.with_name(name) for name in manifest.preload}
    missing = [str(path) for path in beside.values() if not path.is_file()]
    if missing:
        raise BadManifest(f"`preload` names {', '.join(missing)}, which is not there: put it beside the library")
    return Compiled(
        library=content, manifest=manifest, preload={name: path.read_bytes() for name, path in beside.items()}
    )


def _observed(compiled: Compiled, name: str) -> tuple[Golden, int]:
    """Run the library as the card will: return golden vectors and how many inputs it failed on."""
    with tempfile.TemporaryDirectory(prefix="trigwatch-abi-") as directory:
        compiled.unpack(Path(directory))
        # Under its own name, since messages say it.
        library = shutil.move(Path(directory) / LIBRARY, Path(directory) / name)
        with contextlib.closing(AbiEngine(Path(library), compiled.manifest)) as engine:
            try:
                raw = _inputs(compiled.manifest)
                check_lengths(engine, raw[:1])
                scores, answered = _scored(engine, raw)
                _check_order(engine, raw[answered], scores[answered])
            except (WorkerFailed, Poison) as error:
                raise UnfitEmulator(str(error)) from error
    failed = int((~answered).sum())
    if failed:
        _LOG.warning("%s fails on %d of %d inputs", name, failed, len(raw))
    return Golden(inputs=raw[answered], scores=scores[answered]), failed


def _inputs(manifest: Manifest) -> Raw:
    low, high = raw_bounds(manifest.input.tensors)
    rng = np.random.default_rng([_SEED, 3])
    directed = corners(low, high)
    chosen = directed[np.sort(rng.permutation(len(directed))[:_GOLDEN])]
    return np.vstack([np.zeros((1, len(low)), np.int64), random_inputs(low, high, events=_GOLDEN, rng=rng), chosen])


def _scored(engine: AbiEngine, raw: Raw) -> tuple[Raw, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    try:
        return engine.score(raw), np.ones(len(raw), np.bool_)
    except Poison as poison:
        if len(poison.why) >= MOST_POISON:
            raise UnfitEmulator(f"{poison}. An emulator that fails this often cannot be a reference") from poison
        return poison.scores, poison.answered


def _check_order(engine: AbiEngine, raw: Raw, scores: Raw) -> None:
    """Refuse an emulator that remembers: hardware would have seen other events before."""
    engine.close()  # another process begins with the last event
    backwards = engine.score(raw[::-1])[::-1]
    wrong = np.flatnonzero((backwards != scores).any(axis=1))
    if len(wrong):
        event = int(wrong[0])
        raise UnfitEmulator(
            f"{engine.library.name} gives {len(wrong)} of {len(raw)} inputs another score when they come in reversed "
            f"order; input {event}: {scores[event].tolist()} and {backwards[event].tolist()}: its answers depend on "
            "the events before, so it cannot be compared with hardware event by event"
        )


def _check_layout(layout: Layout | None, inputs: int) -> None:
    if layout is not None and layout.width != inputs:
        raise ValueError(f"the layout has {layout.width} inputs, the model {inputs}: they must be the same")


def _certificate(compiled: Compiled, *, failed: int) -> Certificate:
    elf = read_elf(compiled.library)
    return Certificate(
        reference=REFERENCE,
        backend="hls4mlEmulator",
        configuration={
            "accepted_types": sorted(accepted_types(elf, compiled.manifest.structures)),
            "failed_inputs": failed,
        },
        compiler=elf.compiler or "not recorded in the library",
        engine=AbiEngine.name,
        random=0,
        directed=0,
        mismatches=0,
        seed=_SEED,
    )
