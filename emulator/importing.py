"""From a trained model to a certified card: its integer program is compared with its own tool's C++, bit for bit."""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emulator.card import BrokenCard, Card, Certificate, digest_of, raw_bounds, refuse_unreachable
from emulator.card_files import LABEL, Contents, Golden, read_card, refuse_other, write
from emulator.certify import EVENTS, SEED, Comparison, NotCertified, compare_builds, compare_with_csim
from emulator.directed import corners, directed_inputs, random_inputs
from emulator.engines.conifer_sources import write_ensemble
from emulator.engines.csim import CsimEngine, csim_compiler, needed_sources
from emulator.engines.csim_sources import write_sources
from emulator.engines.gemm import GemmEngine
from emulator.graph import NotExact, Program
from emulator.importers.conifer import import_ensemble
from emulator.importers.ensemble import BadEnsemble, is_ensemble
from emulator.layout import Layout
from emulator.model_file import UnreadableModel, read_json, refuse_unreadable
from emulator.worker import WorkerFailed

_BUG = "a bug to be reported with the model"
_GOLDEN = 256  # of random inputs, and again of directed ones
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the caller wants of a card: its name and place, what it decides, how well it is proven."""

    label: str
    out: Path
    threshold: int | None
    layout: Layout | None
    events: int
    exact: bool

    def __post_init__(self) -> None:
        if not LABEL.fullmatch(self.label):
            raise ValueError(f"label {self.label!r} is not a name: use up to 64 of A-Z a-z 0-9 _ . -")


@dataclass(frozen=True, slots=True)
class Draft:
    """What was read: the C++ as the reference, the integer program or why there is none, and where it came from."""

    sources: Mapping[str, bytes]
    program: Program | None
    reason: str | None
    reference: str
    backend: str
    configuration: Mapping[str, Any]
    provenance: Mapping[str, Any]


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
        An hls4ml ModelGraph, or a path: `.fml`, `.onnx`, `.keras`, Keras `.json`, or an hls4ml project directory.
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
        For Keras and ONNX files: `weights`, `hls_config`, `backend`, `io_type` of `emulator.graph_source.read_graph`.

    Raises
    ------
    UnreadableModel, Unwritable
        hls4ml cannot convert the model, or not write C++ that takes raw integers.
    BadConfiguration
        `hls_config` names a part or a layer that there is not.
    NotCertified
        `exact`, and the integer program is not; or csim would have to answer, and does not repeat itself.
    NotCompiled
        No C++ compiler, or it refuses the model.
    FileExistsError
        Another model is in the way.
    """
    wanted = Wanted(label, Path(out), threshold, layout, events, exact)
    if isinstance(source, str | Path):
        refuse_unreadable(Path(source), weights=(conversion or {}).get("weights"))
    # hls4ml is an extra: whoever only runs cards need not have it.
    importer = importlib.import_module("emulator.importers.hls4ml")
    reader = importlib.import_module("emulator.graph_source")
    graph = reader.read_graph(source, **(conversion or {}))
    config, backend = graph.config, str(graph.config.config.get("Backend", "Vivado"))
    program, reason = _program(lambda: importer.import_graph(graph))
    named = Path(source).name if isinstance(source, str | Path) else type(source).__name__
    kept = ("ProjectName", "Part", "ClockPeriod", "IOType")
    draft = Draft(
        sources=needed_sources(write_sources(graph)),
        program=program,
        reason=reason,
        reference=f"hls4ml {reader.VERSION} csim",
        backend=backend,
        configuration=_plain({"IOType": config.config.get("IOType"), **config.config.get("HLSConfig", {})}),
        # File names only, since a card is read on other machines.
        provenance={
            "source": named,
            "hls4ml": reader.VERSION,
            "backend": backend,
            **_plain({key: config.config.get(key) for key in kept}),
        },
    )
    return _made(draft, wanted)


def import_conifer(
    source: str | Path,
    *,
    label: str,
    out: str | Path,
    threshold: int | None = None,
    layout: Layout | None = None,
    events: int = EVENTS,
    exact: bool = False,
) -> Card:
    """Make a card of boosted trees that conifer saved as JSON, proven against the C++ of conifer's HLS backend.

    Parameters are those of `import_hls4ml`, and so is what is raised, with conifer in hls4ml's place.
    """
    wanted, path = Wanted(label, Path(out), threshold, layout, events, exact), Path(source)
    document = read_json(path)
    if not is_ensemble(document):
        raise UnreadableModel(
            f"{path} is not what conifer's `model.save` writes: save the converted model and import that file"
        )
    try:
        program, reason = _program(lambda: import_ensemble(document))
    except BadEnsemble as error:
        raise UnreadableModel(f"{path}: {error}") from error
    except (AttributeError, LookupError, TypeError, ValueError, RecursionError) as error:
        raise UnreadableModel(
            f"{path} is not a whole ensemble of conifer's: {error!r}: save the converted model again"
        ) from error
    version = importlib.metadata.version("conifer")
    settings = {key: value for key, value in document["config"].items() if key.endswith("_precision")}
    draft = Draft(
        sources=needed_sources(write_ensemble(path, document)),
        program=program,
        reason=reason,
        reference=f"conifer {version} C++",
        backend="xilinxhls",
        configuration=_plain(settings),
        provenance={"source": path.name, "conifer": version, "library": str(document.get("library", ""))},
    )
    return _made(draft, wanted)


def _program(translate: Any) -> tuple[Program | None, str | None]:
    try:
        program = translate()
        GemmEngine(program)
    except NotExact as error:
        return None, str(error)
    return program, None


def _made(draft: Draft, wanted: Wanted) -> Card:
    """Prove the program, let csim answer where there is none or it is wrong, and write the card."""
    _refuse_conflict(draft, wanted)
    if draft.program is not None:
        refuse_unreachable(wanted.threshold, draft.program.output_tensors)
    with contextlib.closing(CsimEngine(draft.sources)) as csim:
        refuse_unreachable(wanted.threshold, csim.outputs)
        _check_layout(wanted.layout, csim)
        program, reason, comparison = _proven(draft, csim, events=wanted.events)
        golden = _golden(program, csim)
        if program is None:
            if wanted.exact:
                raise NotCertified(f"{wanted.label!r} has no exact integer program: {reason}")
            _refuse_unsteady(draft, csim, wanted)
            _LOG.warning("%s falls to csim: %s", wanted.label, reason)
        content = draft.sources if program is None else program
        card = Card(
            label=wanted.label,
            digest=digest_of(content, layout=wanted.layout, threshold=wanted.threshold),
            layout=wanted.layout,
            inputs=csim.inputs if program is None else program.inputs,
            outputs=csim.outputs if program is None else program.output_tensors,
            threshold=wanted.threshold,
            certificate=_certificate(draft, comparison, exact=program is not None),
            falls_to=reason,
            provenance=draft.provenance,
            path=wanted.out / wanted.label,
        )
    write(Contents(card=card, program=program, golden=golden, sources=draft.sources))
    return card


def _proven(draft: Draft, csim: CsimEngine, *, events: int) -> tuple[Program | None, str | None, Comparison]:
    """Return the program if it is exact, or why it is not, and what was compared."""
    nothing = Comparison(random=0, directed=0, mismatches=0)
    if draft.program is None:
        return None, draft.reason, nothing
    try:
        comparison = compare_with_csim(draft.program, csim, draft.sources, events=events)
    except WorkerFailed as error:
        raise NotCertified(
            f"the C++ that hls4ml wrote gives no answer, and nothing can be compared with it: {error}. If it speaks of "
            "an assertion, hls4ml itself cannot simulate a format of this model: give the layer another one"
        ) from error
    if not comparison.mismatches:
        return draft.program, None, comparison
    names = " or ".join(comparison.engines)
    differs = f"{names} differs from csim on {comparison.mismatches} inputs; {comparison.first}"
    return None, f"{_BUG}: {differs}", nothing


def _refuse_unsteady(draft: Draft, csim: CsimEngine, wanted: Wanted) -> None:
    """Raise `NotCertified` unless the quick build, which will answer for the card, gives the same scores elsewhere."""
    with contextlib.closing(CsimEngine(draft.sources, quick=True)) as quick:
        found = compare_builds(quick, csim, events=wanted.events)
    if found.mismatches:
        raise NotCertified(
            f"{wanted.label!r} cannot be a card: its C++ does not repeat itself, {found.mismatches} of "
            f"{found.random + found.directed} inputs had another score in another process, where {found.first}: it "
            "reads memory that nothing has set: mend the model or what wrote it"
        )


def _refuse_conflict(draft: Draft, wanted: Wanted) -> None:
    """Raise FileExistsError where another model has the label, before anything is proven.

    Whether the program or csim will answer is not known yet: a card of either is the same model.
    """
    path = wanted.out / wanted.label
    if not path.exists():
        return
    contents = (draft.sources,) if draft.program is None else (draft.program, draft.sources)
    digests = [digest_of(content, layout=wanted.layout, threshold=wanted.threshold) for content in contents]
    try:
        known = read_card(path).digest in digests
    except BrokenCard:
        known = False
    if not known:
        refuse_other(path, digests[0])


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


def _check_layout(layout: Layout | None, csim: CsimEngine) -> None:
    inputs = sum(tensor.size for tensor in csim.inputs)
    if layout is not None and layout.width != inputs:
        raise ValueError(f"the layout has {layout.width} inputs, the model {inputs}: they must be the same")


def _certificate(draft: Draft, comparison: Comparison, *, exact: bool) -> Certificate:
    tool = csim_compiler()
    quick = f", quick build beyond {EVENTS} random inputs" if comparison.random > EVENTS else ""
    return Certificate(
        reference=draft.reference + quick,
        backend=draft.backend,
        configuration=draft.configuration,
        compiler=" ".join([tool.version, *tool.flags]),
        engine=", ".join(comparison.engines) if exact else "csim",
        random=comparison.random,
        directed=comparison.directed,
        mismatches=comparison.mismatches,
        seed=SEED,
    )


def _plain(value: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = json.loads(json.dumps(value, default=str))
    return plain
