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
from emulator.directed import corners, directed_inputs, random_inputs
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

    `engines` names what was compared with the reference: gemm, and native where it could be built, or csim's quick
    build where csim answers.
    """

    random: int
    directed: int
    mismatches: int
    first: str | None = None
    engines: tuple[str, ...] = ()


def verify(path: str | Path, *, events: int = EVENTS, seed: int = SEED) -> Comparison:
    """Prove a card again, with the C++ that it carries: needs a compiler, but no hls4ml.

    Where csim answers for the card, its quick build is compared with the unchanged one.

    Raises `BrokenCard` or `NotCompiled`, and `NotCertified` for a compiled library, which could only be compared with
    itself.
    """
    contents = read(Path(path))
    if contents.compiled is not None:
        raise NotCertified(
            f"{contents.card.label!r} runs on {contents.card.certificate.engine} itself ({contents.card.falls_to}): "
            "nothing to compare"
        )
    with contextlib.closing(CsimEngine(contents.sources)) as csim:
        if contents.program is None:
            with contextlib.closing(CsimEngine(contents.sources, quick=True)) as quick:
                return compare_builds(quick, csim, events=events, seed=seed)
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

    `quick`, where there is one, stands in for the reference beyond the first `EVENTS` random inputs, if it gave the
    same scores on those and on the directed ones; where an engine differs from it, the reference is asked.

    Raises `NotCertified` where `quick` and the reference differ.
    """
    low, high = raw_bounds(program.inputs)
    engines = exact_engines(program)
    rng = np.random.default_rng(seed)
    directed = directed_inputs(program, engines[0], low=low, high=high, rng=rng)
    early = random_inputs(low, high, events=min(EVENTS, events), rng=rng)
    found = [_differences(engines, reference, block) for block in (directed, early)]
    if quick is not None:
        for block in (directed, early):
            _refuse_other(quick, reference, block)
    done = len(early)
    while done < events:
        block = random_inputs(low, high, events=min(_BLOCK, events - done), rng=rng)
        found.append(_differences(engines, quick or reference, block))
        if quick is not None and found[-1].count:
            _refuse_other(quick, reference, block)
        done += len(block)
    first = next((each.first for each in found if each.first), None)
    names, count = tuple(engine.name for engine in engines), sum(each.count for each in found)
    return Comparison(random=done, directed=len(directed), mismatches=count, first=first, engines=names)


def compare_builds(quick: CsimEngine, csim: CsimEngine, *, events: int = EVENTS, seed: int = SEED) -> Comparison:
    """Compare csim's quick build with the unchanged one on `events` random inputs and on the bounds'."""
    low, high = raw_bounds(csim.inputs)
    rng, extremes, done = np.random.default_rng(seed), corners(low, high), 0
    found = [_between_builds(quick, csim, extremes)]
    while done < events:
        block = random_inputs(low, high, events=min(_BLOCK, events - done), rng=rng)
        found.append(_between_builds(quick, csim, block))
        done += len(block)
    first = next((each.first for each in found if each.first), None)
    count = sum(each.count for each in found)
    return Comparison(
        random=done, directed=len(extremes), mismatches=count, first=first, engines=("csim, quick build",)
    )


def _refuse_other(quick: Engine, reference: Engine, raw: Raw) -> None:
    """Raise `NotCertified` where the quick build of csim is not csim."""
    found = _between_builds(quick, reference, raw)
    if found.count:
        raise NotCertified(
            f"the quick build of csim is not csim: {found.first}: report it with the compiler's version; up to "
            f"{EVENTS} events are compared without it"
        )


def _between_builds(quick: Engine, reference: Engine, raw: Raw) -> _Differences:
    """Compare the builds, the quick one from the last event to the first.

    C++ that reads memory which nothing has set, or that remembers events, is no function of its inputs.
    """
    theirs, ours = reference.score(raw), quick.score(raw[::-1])[::-1]
    wrong = np.flatnonzero((ours != theirs).any(axis=1))
    if not len(wrong):
        return _Differences(0)
    row = int(wrong[0])
    return _Differences(
        len(wrong),
        f"for inputs {raw[row].tolist()} it gives {ours[row].tolist()}, the unchanged C++ {theirs[row].tolist()}",
    )


def exact_engines(program: Program) -> tuple[Engine, ...]:
    """Return gemm, and native where there is a compiler for it. Raises `NotExact`."""
    gemm = GemmEngine(program)
    try:
        return gemm, NativeEngine(program)
    except NotCompiled as error:
        _LOG.warning("only gemm is compared, native cannot be built here: %s", error)
        return (gemm,)


@dataclass(frozen=True, slots=True)
class _Differences:
    """On how many rows any engine differs, and the first such row in words."""

    count: int
    first: str | None = None


def _differences(engines: Sequence[Engine], reference: Engine, raw: Raw) -> _Differences:
    theirs = reference.score(raw)
    scores = [engine.score(raw) for engine in engines]
    wrong = np.flatnonzero(np.any([(ours != theirs).any(axis=1) for ours in scores], axis=0))
    if not len(wrong):
        return _Differences(0)
    row = int(wrong[0])
    said = [f"{engine.name} gives {ours[row].tolist()}" for engine, ours in zip(engines, scores, strict=True)]
    return _Differences(
        len(wrong),
        f"first for inputs {raw[row].tolist()}: {', '.join(said)}, {reference.name} gives {theirs[row].tolist()}",
    )
