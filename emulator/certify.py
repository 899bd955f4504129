"""The proof of a program: every exact engine against the C++ that is its reference, on random and directed inputs."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from emulator.card import raw_bounds
from emulator.card_files import read
from emulator.directed import directed_inputs, random_inputs
from emulator.engines.compiler import NotCompiled
from emulator.engines.csim import CsimEngine
from emulator.engines.gemm import GemmEngine
from emulator.engines.native.engine import NativeEngine
from emulator.formats import Raw
from emulator.graph import Program
from emulator.model import Engine

EVENTS = 20_000
SEED = 1
_BLOCK = 65_536
_LOG = logging.getLogger(__name__)


class NotCertified(RuntimeError):
    """The integer program is not exact and an exact one was asked for; the message says where."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Engines and their reference on the same inputs: how many events of each kind, how many differ, the first of them.

    `engines` names what was compared with the reference: gemm, and native where it could be built.
    """

    random: int
    directed: int
    mismatches: int
    first: str | None = None
    engines: tuple[str, ...] = ()


def verify(path: str | Path, *, events: int = EVENTS, seed: int = SEED) -> Comparison:
    """Prove a card again, with the C++ that it carries: needs a compiler, but no hls4ml.

    Raises `BrokenCard` or `NotCompiled`, and `NotCertified` for a card without an integer program, where csim or
    the compiled library could only be compared with itself.
    """
    contents = read(Path(path))
    if contents.program is None:
        engine = contents.card.certificate.engine
        raise NotCertified(
            f"{contents.card.label!r} runs on {engine} itself ({contents.card.falls_to}): nothing to compare"
        )
    with contextlib.closing(CsimEngine(contents.sources)) as csim:
        return compare_with_csim(contents.program, csim, contents.sources, events=events, seed=seed)


def compare_with_csim(
    program: Program, csim: CsimEngine, sources: Mapping[str, bytes], *, events: int = EVENTS, seed: int = SEED
) -> Comparison:
    """Compare with hls4ml's C++ as it is on the directed inputs and `EVENTS` random ones, then with its quick build.

    The quick build, for which `sources` are compiled once more, must have agreed on those first inputs.
    """
    if events <= EVENTS:
        return compare(program, csim, events=events, seed=seed)
    with contextlib.closing(CsimEngine(sources, quick=True)) as quick:
        return compare(program, csim, quick=quick, events=events, seed=seed)


def compare(
    program: Program, reference: Engine, *, quick: Engine | None = None, events: int = EVENTS, seed: int = SEED
) -> Comparison:
    """Run every exact engine of the program, and the reference, on `events` random inputs and directed ones.

    `quick`, where there is one, stands in for the reference beyond the first `EVENTS` random inputs; before that it is
    compared with the reference as the engines are.
    """
    low, high = raw_bounds(program.inputs)
    engines = exact_engines(program)
    rng = np.random.default_rng(seed)
    directed = directed_inputs(program, engines[0], low=low, high=high, rng=rng)
    compared = engines if quick is None else (*engines, quick)
    mismatches, first = _differences(compared, reference, directed)
    done = 0
    while done < events:
        if quick is not None and done >= EVENTS:
            compared, reference = engines, quick
        size = _BLOCK if done >= EVENTS else EVENTS
        block = random_inputs(low, high, events=min(size, events - done), rng=rng)
        wrong, example = _differences(compared, reference, block)
        mismatches, first, done = mismatches + wrong, first or example, done + len(block)
    names = tuple(engine.name for engine in engines)
    return Comparison(random=done, directed=len(directed), mismatches=mismatches, first=first, engines=names)


def exact_engines(program: Program) -> tuple[Engine, ...]:
    """Return gemm, and native where there is a compiler for it. Raises `NotExact`."""
    gemm = GemmEngine(program)
    try:
        return gemm, NativeEngine(program)
    except NotCompiled as error:
        _LOG.warning("only gemm is compared, native cannot be built here: %s", error)
        return (gemm,)


def _differences(engines: Sequence[Engine], reference: Engine, raw: Raw) -> tuple[int, str | None]:
    """Return on how many rows any engine differs from the reference, and the first such row in words."""
    theirs = reference.score(raw)
    scores = [engine.score(raw) for engine in engines]
    wrong = np.flatnonzero(np.any([(ours != theirs).any(axis=1) for ours in scores], axis=0))
    if not len(wrong):
        return 0, None
    row = int(wrong[0])
    said = [f"{engine.name} gives {ours[row].tolist()}" for engine, ours in zip(engines, scores, strict=True)]
    return len(wrong), (
        f"first for inputs {raw[row].tolist()}: {', '.join(said)}, {reference.name} gives {theirs[row].tolist()}"
    )
