"""From a trained network to a certified card: the integer program is compared with hls4ml's own C++, bit for bit."""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emulator.card import Card, Certificate, digest_of, raw_bounds
from emulator.card_files import LABEL, Contents, Golden, read, write
from emulator.directed import corners, directed_inputs, random_inputs
from emulator.engines.compiler import NotCompiled
from emulator.engines.csim import CsimEngine, csim_compiler, needed_sources
from emulator.engines.csim_sources import write_sources
from emulator.engines.gemm import GemmEngine
from emulator.engines.native.engine import NativeEngine
from emulator.formats import Raw
from emulator.graph import NotExact, Program
from emulator.layout import Layout
from emulator.model import Engine

EVENTS = 20_000
SEED = 1
_GOLDEN = 256  # of random inputs, and again of directed ones
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


def import_hls4ml(
    source: Any,
    *,
    label: str,
    out: str | Path,
    threshold: int | None = None,
    layout: Layout | None = None,
    events: int = EVENTS,
    exact: bool = False,
    conversion: Mapping[str, Any] | None = None,
) -> Card:
    """Make a card of a network that hls4ml can convert, prove it against hls4ml's C++, and write it to `out/label`.

    Parameters
    ----------
    source
        An hls4ml ModelGraph, or a path: `.fml`, `.onnx`, Keras `.json`, or an hls4ml project directory.
    label
        What people call the model; the name of the card's directory.
    threshold
        Raw: accept = score[:, 0] >= threshold.
    layout
        Which input is which physics object; its width must be the model's.
    events
        Random inputs to compare; directed inputs come on top.
    exact
        True: raise `NotCertified` rather than write a card that csim answers for.
    conversion
        For Keras and ONNX files: `weights`, `hls_config`, `backend` of `emulator.graph_source.read_graph`.

    Raises
    ------
    UnreadableModel, Unwritable
        hls4ml cannot convert the model, or not write C++ that takes raw integers.
    NotCertified
        `exact`, and the integer program is not.
    NotCompiled
        No C++ compiler, or it refuses the model.
    FileExistsError
        Another model is in the way.
    """
    if not LABEL.fullmatch(label):
        raise ValueError(f"label {label!r} is not a name: use up to 64 of A-Z a-z 0-9 _ . -")
    # hls4ml is an extra: whoever only runs cards need not have it.
    importer = importlib.import_module("emulator.importers.hls4ml")
    reader = importlib.import_module("emulator.graph_source")
    graph = reader.read_graph(source, **(conversion or {}))
    sources = needed_sources(write_sources(graph))
    program, reason = _program(importer, graph)
    with contextlib.closing(CsimEngine(sources)) as csim:
        _check_layout(layout, csim)
        comparison = Comparison(random=0, directed=0, mismatches=0)
        if program is not None:
            comparison = compare(program, csim, events=events)
            if comparison.mismatches:
                exact_names = " or ".join(comparison.engines)
                reason = f"{exact_names} differs from csim on {comparison.mismatches} inputs; {comparison.first}"
                program, comparison = None, Comparison(random=0, directed=0, mismatches=0)
        if program is None:
            if exact:
                raise NotCertified(f"{label!r} has no exact integer program: {reason}")
            _LOG.warning("%s falls to csim: %s", label, reason)
        card = Card(
            label=label,
            digest=digest_of(sources if program is None else program, layout=layout, threshold=threshold),
            layout=layout,
            inputs=csim.inputs if program is None else program.inputs,
            outputs=csim.outputs if program is None else program.output_tensors,
            threshold=threshold,
            certificate=_certificate(graph, comparison, exact=program is not None, version=reader.VERSION),
            falls_to=reason,
            provenance=_provenance(graph, source, version=reader.VERSION),
            path=Path(out) / label,
        )
        golden = _golden(program, csim)
    write(Contents(card=card, program=program, golden=golden, sources=sources))
    return card


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
        return compare(contents.program, csim, events=events, seed=seed)


def compare(program: Program, reference: Engine, *, events: int = EVENTS, seed: int = SEED) -> Comparison:
    """Run the integer program by every exact engine, and the reference, on `events` random inputs and directed ones."""
    low, high = raw_bounds(program.inputs)
    engines = exact_engines(program)
    rng = np.random.default_rng(seed)
    directed = directed_inputs(program, engines[0], low=low, high=high, rng=rng)
    mismatches, first = _differences(engines, reference, directed)
    done = 0
    while done < events:
        block = random_inputs(low, high, events=min(_BLOCK, events - done), rng=rng)
        wrong, example = _differences(engines, reference, block)
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


def _golden(program: Program | None, csim: CsimEngine) -> Golden:
    low, high = raw_bounds(csim.inputs)
    rng = np.random.default_rng([SEED, 2])
    if program is None:
        directed = corners(low, high)
    else:
        directed = directed_inputs(program, GemmEngine(program), low=low, high=high, rng=rng)
    chosen = directed[np.sort(rng.permutation(len(directed))[:_GOLDEN])]
    inputs = np.vstack([random_inputs(low, high, events=_GOLDEN, rng=rng), chosen])
    return Golden(inputs=inputs, scores=csim.score(inputs))


def _program(importer: Any, graph: Any) -> tuple[Program | None, str | None]:
    try:
        program = importer.import_graph(graph)
        GemmEngine(program)
    except NotExact as error:
        return None, str(error)
    return program, None


def _check_layout(layout: Layout | None, csim: CsimEngine) -> None:
    inputs = sum(tensor.size for tensor in csim.inputs)
    if layout is not None and layout.width != inputs:
        raise ValueError(f"the layout has {layout.width} inputs, the model {inputs}: they must be the same")


def _certificate(graph: Any, comparison: Comparison, *, exact: bool, version: str) -> Certificate:
    config, tool = graph.config, csim_compiler()
    return Certificate(
        reference=f"hls4ml {version} csim",
        backend=str(config.config.get("Backend", "Vivado")),
        configuration=_plain({"IOType": config.config.get("IOType"), **config.config.get("HLSConfig", {})}),
        compiler=" ".join([tool.version, *tool.flags]),
        engine=", ".join(comparison.engines) if exact else "csim",
        random=comparison.random,
        directed=comparison.directed,
        mismatches=comparison.mismatches,
        seed=SEED,
    )


def _provenance(graph: Any, source: Any, *, version: str) -> dict[str, Any]:
    """Return where the model came from; file names only, since a card is read on other machines."""
    named = Path(source).name if isinstance(source, str | Path) else type(source).__name__
    wanted = ("ProjectName", "Part", "ClockPeriod", "IOType")
    return {
        "source": named,
        "hls4ml": version,
        "backend": str(graph.config.config.get("Backend", "Vivado")),
        **_plain({key: graph.config.config.get(key) for key in wanted}),
    }


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(value, default=str))
    return plain
