"""A compiled emulator in a worker process of its own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.abi.accepted import accepted_types, symbol_of
from emulator.abi.elf import NotALibrary, read_elf
from emulator.abi.manifest import BadManifest, Manifest
from emulator.engines.bounds import Bounds
from emulator.engines.compiler import library_of
from emulator.formats import Raw
from emulator.poison import Poison
from emulator.worker import Worker, WorkerFailed

MOST_POISON = 8
_START_SECONDS = 60.0
_SHIM = ("shim.cpp", "hls4ml_emulator.h")
Stored = NDArray[np.uint8]


class AbiEngine:
    """Scores by a compiled emulator, event by event.

    Whatever the emulator does to its process, the caller gets the scores of all other events: the event at which it
    stopped is asked once more, alone, in a fresh process, and named in a `Poison` if it fails there as well.

    Parameters
    ----------
    library
        The emulator. What the manifest wants preloaded lies beside it.
    cache
        Where the compiled driver is kept; by default `trigwatch/abi` in the user's cache directory.

    Attributes
    ----------
    setup
        What the driver is told: paths, sizes and symbols.

    Raises
    ------
    NotALibrary, BadManifest
        The library has not got the interface, or not the declared types.
    NotCompiled
        There is no compiler for the driver.
    """

    name = "abi"

    def __init__(self, library: Path, manifest: Manifest, *, cache: Path | None = None) -> None:
        self.library = library
        self.manifest = manifest
        self.setup = _setup(library, manifest)
        self._bounds = Bounds.of(manifest.input.tensors)
        self._worker = Worker(
            driver(cache),
            setup=self.setup,
            # What is preloaded has often no name of its own, by which a library could ask for it: it must be found.
            search=library.resolve().parent if manifest.preload else None,
            name=str(library),
            deadline=manifest.deadline,
            start_deadline=_START_SECONDS,
        )

    @property
    def restarts(self) -> int:
        """How often a dead worker was replaced."""
        return self._worker.restarts

    def score(self, raw: NDArray[np.integer]) -> Raw:
        """Return raw scores int64 (n, outputs) of raw inputs (n, inputs).

        Raises
        ------
        ValueError
            The inputs are not this model's.
        Poison
            Some events have no score; it holds those of all others.
        WorkerDied, WorkerHung
            No process could be started.
        """
        output = self.manifest.output
        rows = self.manifest.input.store(self._checked(raw))
        stored, why = _answers(self._run, rows, width=output.bytes)
        scores = output.raw(stored)
        if why:
            raise Poison(self.library.name, why=why, scores=scores)
        return scores

    def trace(self, raw: NDArray[np.integer]) -> list[tuple[str, Raw]]:
        """Raise ValueError: a compiled emulator does not show its layers."""
        raise ValueError(
            f"{self.library.name} is a compiled emulator and shows no layers, only scores of the {len(raw)} events: to "
            "see layers, import the hls4ml project that it was built from"
        )

    def written(self, raw: NDArray[np.integer], *, reach: int) -> NDArray[np.bool_]:
        """Return bool (n, output bytes + reach): which bytes of a result the emulator writes, also beyond its end."""
        rows = self.manifest.input.store(self._checked(raw))
        width = self.manifest.output.bytes + reach
        return np.asarray(self._worker.run(rows, width=width, dtype=np.uint8, operation="measure") != 0)

    def close(self) -> None:
        """End the worker process; idempotent."""
        self._worker.close()

    def _run(self, rows: Stored) -> Stored:
        return self._worker.run(rows, width=self.manifest.output.bytes, dtype=np.uint8)

    def _checked(self, raw: NDArray[np.integer]) -> NDArray[np.int64]:
        self._bounds.check_shape(raw)
        self._bounds.check(raw)
        return raw.astype(np.int64, copy=False)


def driver(cache: Path | None = None) -> Path:
    """Return the compiled driver of emulators, building it where the cache has none. Raises `NotCompiled`."""
    sources = {name: Path(__file__).with_name(name).read_bytes() for name in _SHIM}
    return library_of(sources, unit=_SHIM[0], kind="abi", cache=cache)


def _setup(library: Path, manifest: Manifest) -> str:
    try:
        content = library.read_bytes()
        accepted = accepted_types(read_elf(content), manifest.structures)
    except NotALibrary as error:
        raise NotALibrary(f"{library}: {error}") from error
    except OSError as error:
        raise NotALibrary(f"{library} cannot be read: {error.strerror}") from error
    lines = [f"preload {library.resolve().with_name(name)}" for name in manifest.preload]
    lines.append(f"library {library.resolve()}")
    buffers = (manifest.input, manifest.output)
    lines += [f"{buffer.name} {buffer.bytes} {symbol_of(buffer, accepted)}" for buffer in buffers]
    if any("\n" in line for line in lines):
        raise BadManifest(f"the path {str(library)!r} has a line break: move the library")
    return "\n".join(lines)


def _answers(run: Callable[[Stored], Stored], rows: Stored, *, width: int) -> tuple[Stored, dict[int, str]]:
    """Return bytes (n, width) for every row that the emulator answers, and why the others have none."""
    answers, why, at = np.zeros((len(rows), width), np.uint8), dict[int, str](), 0
    while at < len(rows) and len(why) < MOST_POISON:
        some, failed = _tried(run, rows[at:])
        answers[at : at + len(some)] = some
        at += len(some)
        if failed is not None:
            # Alone in a fresh process: if somebody killed the worker, it was not the event's fault.
            alone, again = _tried(run, rows[at : at + 1])
            answers[at : at + len(alone)] = alone
            if again is not None:
                why[at] = str(again)
            at += 1
    for left in range(at, len(rows)):
        why[left] = f"not asked, because the emulator had failed on {MOST_POISON} events before it"
    return answers, why


def _tried(run: Callable[[Stored], Stored], rows: Stored) -> tuple[Stored, WorkerFailed | None]:
    """Return the rows that were answered, and what stopped the emulator; raises if none could be started."""
    try:
        return run(rows), None
    except WorkerFailed as failed:
        if failed.answers is None:
            raise
        return failed.answers, failed
