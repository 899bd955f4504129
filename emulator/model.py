"""A loaded card: raw integers in, raw scores out, by the engine that answers for it."""

from __future__ import annotations

import functools
import logging
from pathlib import Path
from types import TracebackType
from typing import Literal, Protocol, Self, get_args

import numpy as np
from numpy.typing import NDArray

from emulator.abi.elf import NotALibrary
from emulator.abi.engine import AbiEngine
from emulator.abi.manifest import BadManifest
from emulator.card import BrokenCard, Card, raw_bounds
from emulator.card_files import LIBRARY, Compiled, Contents, read
from emulator.engines.compiler import NotCompiled
from emulator.engines.csim import CsimEngine
from emulator.engines.gemm import GemmEngine
from emulator.engines.native.engine import NativeEngine
from emulator.graph import NotExact, Program
from emulator.poison import Poison
from emulator.worker import WorkerFailed

EngineName = Literal["auto", "native", "gemm", "csim", "abi"]
_LOG = logging.getLogger(__name__)
# What an engine may say about a program that was written by somebody who wanted to break it.
_NONSENSE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


class EngineUnavailable(ValueError):
    """The engine that was asked for cannot answer for this card; the message says which one can."""


class Engine(Protocol):
    """What computes scores, and refuses inputs that are not this model's."""

    @property
    def name(self) -> str:
        """`native`, `gemm`, `csim` or `abi`."""
        ...

    def score(self, raw: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return raw scores int64 (n, outputs)."""
        ...

    def trace(self, raw: NDArray[np.integer]) -> list[tuple[str, NDArray[np.int64]]]:
        """Return every layer's raw output in order."""
        ...

    def close(self) -> None:
        """Let go of everything; idempotent."""
        ...


class Model:
    """A card and the engine that answers for it. Use it as a context manager, or call `close`.

    `program` is the exact integer program, None where csim alone answers for the card.
    """

    def __init__(self, card: Card, engine: Engine, program: Program | None = None) -> None:
        self.card = card
        self.program = program
        self._engine = engine
        self._low, self._high = raw_bounds(card.inputs)

    @property
    def engine(self) -> str:
        """The name of the engine that answers."""
        return self._engine.name

    def score(self, raw: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return raw scores int64 (n, outputs) of raw inputs (n, inputs), bit for bit what the hardware computes.

        Raises
        ------
        ValueError
            The shape is not (n, inputs), the numbers are not integers, or one does not fit its input's bits.
        Poison
            A compiled emulator failed on some events; it holds the scores of all others.
        WorkerDied, WorkerHung
            The process of csim failed, or none could be started; the next call starts another one.
        """
        return self._engine.score(raw)

    def trace(self, raw: NDArray[np.integer]) -> list[tuple[str, NDArray[np.int64]]]:
        """Return (layer name, raw output int64 (n, …)) of every layer, in order; raises as `score` does."""
        return self._engine.trace(raw)

    def fits(self, raw: NDArray[np.integer]) -> NDArray[np.bool_]:
        """Return bool (n,): which events hold only integers that the input bits can hold."""
        return np.asarray(((raw >= self._low) & (raw <= self._high)).all(axis=1))

    def close(self) -> None:
        """End the engine's process, if it has one; idempotent."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def load(path: str | Path, engine: EngineName = "auto", *, threads: int = 1) -> Model:
    """Load the card in a directory, check its digest and its golden vectors, and return the model.

    Parameters
    ----------
    path
        A directory that `import_hls4ml` or `import_abi` wrote. A card that csim or a compiled library answers for holds
        code that is run here: load only cards that you would run as a program.
    engine
        "auto" takes native where the card has an exact integer program, gemm where no C++ compiler is there to make it,
        abi where the card holds a compiled library, else csim; it says so in the log.
    threads
        How many threads of the native engine share the events of one call; the other engines use one.

    Raises
    ------
    BrokenCard
        The directory is incomplete, was changed, or a golden vector comes out differently.
    EngineUnavailable
        The named engine cannot answer for this card.
    NotCompiled
        native was asked for, or csim or the driver of compiled libraries is needed, and cannot be compiled here.
    """
    contents = read(Path(path))
    model = Model(contents.card, _engine(contents, engine, threads), contents.program)
    try:
        _check_golden(model, contents)
    except BaseException:
        model.close()
        raise
    return model


def _engine(contents: Contents, name: EngineName, threads: int) -> Engine:
    card = contents.card
    if name not in get_args(EngineName):
        raise EngineUnavailable(f"there is no engine {name!r}: use 'native', 'gemm', 'csim', 'abi' or 'auto'")
    if contents.compiled is not None:
        return _compiled_engine(card, contents.compiled, name)
    if name == "abi":
        raise EngineUnavailable(f"{card.label!r} has no compiled library: use 'native', 'gemm', 'csim' or 'auto'")
    if name == "csim":
        return CsimEngine(contents.sources, quick=True)
    if contents.program is None:
        if name != "auto":
            raise EngineUnavailable(f"{card.label!r} has no exact integer program ({card.falls_to}): use 'csim'")
        _LOG.warning("%s falls to csim: %s", card.label, card.falls_to)
        return CsimEngine(contents.sources, quick=True)
    try:
        return _exact(card.label, contents.program, name, threads)
    except (NotExact, *_NONSENSE) as error:
        raise BrokenCard(f"{card.path / 'program'} cannot be run: {error}: import the model again") from error


def _exact(label: str, program: Program, name: EngineName, threads: int) -> Engine:
    if name == "gemm":
        return GemmEngine(program)
    try:
        return NativeEngine(program, threads=threads)
    except NotCompiled as error:
        if name == "native":
            raise
        _say_slower(label, str(error))
        return GemmEngine(program)


@functools.cache
def _say_slower(label: str, why: str) -> None:
    """Say it once a process: a command may load its cards several times, and nothing new is learnt from that."""
    _LOG.warning("%s runs on gemm, some ten times slower than native: %s", label, why)


def _compiled_engine(card: Card, compiled: Compiled, name: EngineName) -> Engine:
    if name not in {"auto", "abi"}:
        raise EngineUnavailable(f"{card.label!r} has no exact integer program ({card.falls_to}): use 'abi'")
    try:
        return AbiEngine(card.path / LIBRARY, compiled.manifest)
    except (NotALibrary, BadManifest) as error:
        raise BrokenCard(f"{error}: import the library again") from error


def _check_golden(model: Model, contents: Contents) -> None:
    golden, card = contents.golden, contents.card
    try:
        scores = model.score(golden.inputs)
    except (WorkerFailed, Poison, *_NONSENSE) as error:
        raise BrokenCard(f"{card.path / 'golden'} cannot be run: {error}: import the model again") from error
    if scores.shape != golden.scores.shape:
        raise BrokenCard(
            f"{card.path / 'program'} gives scores of shape {scores.shape}, golden vectors have "
            f"{golden.scores.shape}: import the model again"
        )
    wrong = np.flatnonzero((scores != golden.scores).any(axis=1))
    if len(wrong):
        event = int(wrong[0])
        output = int(np.argmax(scores[event] != golden.scores[event]))
        raise BrokenCard(
            f"{card.path / 'golden'}: {len(wrong)} of {len(scores)} golden vectors come out differently with engine "
            f"{model.engine}; vector {event}, output {output} is {scores[event, output]}, the card says "
            f"{golden.scores[event, output]}: do not use this card here; import the model again, and report it if it "
            "stays so"
        )
