"""`trigwatch model`: make cards of models, prove them, look at them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import emulator
from emulator.card import raw_bounds
from emulator.card_files import CARD, GOLDEN, PROGRAM, read, read_card
from emulator.certify import EVENTS
from emulator.conversion import conversion_of
from emulator.difference import changes
from emulator.hls_config import read_hls_config
from emulator.importers.ensemble import is_ensemble
from emulator.importers.hls4ml import BACKENDS
from emulator.model_file import UnreadableModel, read_json
from emulator.validity import FILE
from monitor.app.console import (
    GOOD,
    NO,
    Commands,
    Unusable,
    command,
    group,
    refuse_unwritable,
    say,
    say_json,
    say_table,
    warn,
    warn_each,
    whole,
    why,
)

IO_TYPES = ("io_parallel", "io_stream")
WRONG_CALL = (OSError, ValueError)
NO_CARD = (
    emulator.NotCertified,
    emulator.NotCompiled,
    emulator.UnfitEmulator,
    emulator.WorkerDied,
    emulator.WorkerHung,
)


def add(commands: Commands) -> None:
    """Add the command."""
    parts = group(
        commands, "model", text="make cards of models, prove them, look at them", example="trigwatch model list models/"
    )
    _add_import(parts)
    _add_verify(parts)
    _add_archive(parts)
    listing = command(parts, "list", list_cards, text="the cards of a folder", example="trigwatch model list models/")
    listing.add_argument("folder", type=Path)
    listing.add_argument("--json", action="store_true", help="one JSON line a card")
    show = command(parts, "show", show_card, text="what a card says", example="trigwatch model show models/axol1tl_v5")
    show.add_argument("card", type=Path)
    menu = command(
        parts,
        "menu",
        check_menu,
        text="whether the cards are what a menu says they are; exit 1 if not",
        example="trigwatch model menu L1Menu_2026.toml --models models/",
    )
    menu.add_argument("menu", type=Path, help="a menu file (docs/reference/models.md)")
    menu.add_argument("--models", type=Path, default=Path("models"), help="the folder of cards")
    diff = command(
        parts,
        "diff",
        diff_cards,
        text="what differs between two cards; exit 1 if anything",
        example="trigwatch model diff A B",
    )
    diff.add_argument("left", type=Path)
    diff.add_argument("right", type=Path)


def _add_import(parts: Commands) -> None:
    parser = command(
        parts,
        "import",
        import_model,
        text="make a card of a model that hls4ml can convert (Keras json+h5, .keras of Keras 3 or HGQ2, ONNX, QONNX, "
        "hls4ml project) or of trees that conifer saved (JSON), certified, or of a compiled emulator library with its "
        "manifest",
        example="trigwatch model import tagger.onnx --label tagger_v1 --out models/",
    )
    parser.add_argument(
        "source", type=Path, help="the model file, hls4ml project folder, conifer's JSON or emulator library"
    )
    parser.add_argument("--label", required=True, help="the name that the menu announces")
    parser.add_argument("--out", type=Path, required=True, help="the folder of cards")
    parser.add_argument("--manifest", type=Path, help="JSON file: types and lengths of a compiled emulator library")
    parser.add_argument("--threshold", type=int, help="raw: accepted where the first output is at or over it")
    parser.add_argument(
        "--layout", type=Path, help="JSON file: which input is which physics object (docs/reference/models.md)"
    )
    parser.add_argument(
        "--io-type",
        choices=IO_TYPES,
        help="how hls4ml's layers hand values on in an .onnx, .keras or Keras .json model: all at once, or one after "
        f"the other (default: {IO_TYPES[0]}); .fml files and projects bring their own",
    )
    parser.add_argument(
        "--hls-config",
        type=Path,
        help="JSON or YAML file: hls4ml's configuration of the firmware, for the same models; without it every number "
        "is fixed<16,6>, the reuse factor 1 (docs/reference/models.md)",
    )
    parser.add_argument(
        "--backend", choices=BACKENDS, help=f"which of hls4ml's backends converts them (default: {BACKENDS[0]})"
    )
    parser.add_argument(
        "--events", type=whole(1), default=EVENTS, help="random inputs to compare, directed ones come on top"
    )
    parser.add_argument("--exact", action="store_true", help="refuse a model that only csim could answer for")


def _add_verify(parts: Commands) -> None:
    parser = command(
        parts,
        "verify",
        verify,
        text="check digest and golden vectors; with --events also against csim anew; exit 1 if anything differs",
        example="trigwatch model verify models/axol1tl_v5 --events 1000000",
    )
    parser.add_argument("card", type=Path)
    parser.add_argument("--events", type=whole(0), default=0, help="random inputs to compare with csim (needs g++)")
    parser.add_argument("--seed", type=whole(0), default=2)


def _add_archive(parts: Commands) -> None:
    out = command(
        parts,
        "export",
        export_cards,
        text="write cards to one archive",
        example="trigwatch model export models/tagger_v1 models/tagger_v2 --out taggers.tar.xz",
    )
    out.add_argument("cards", type=Path, nargs="+")
    out.add_argument("--out", type=Path, required=True, help="the archive to write")
    back = command(
        parts,
        "unpack",
        unpack_cards,
        text="put the cards of an archive into a folder, each checked by digest and golden vectors; all or none",
        example="trigwatch model unpack taggers.tar.xz --out models/",
    )
    back.add_argument("archive", type=Path)
    back.add_argument("--out", type=Path, required=True, help="the folder of cards")


def export_cards(given: argparse.Namespace) -> int:
    """Write an archive."""
    for path in given.cards:
        _refuse_no_card(path)
    try:
        cards = emulator.export(given.cards, given.out)
    except (emulator.BrokenCard, ValueError, OSError) as error:
        raise Unusable(why(error)) from error
    for card in cards:
        say(f"{card.label:<24} {card.digest}")
    return GOOD


def unpack_cards(given: argparse.Namespace) -> int:
    """Unpack an archive; exit 1 if a card is not what it says."""
    try:
        cards = emulator.unpack(given.archive, given.out)
    except emulator.BrokenCard as error:
        warn(str(error))
        return NO
    except (emulator.BadArchive, emulator.NotCompiled, OSError) as error:
        raise Unusable(why(error)) from error
    for card in cards:
        say(f"{card.label:<24} {card.digest}")
    return GOOD


def import_model(given: argparse.Namespace) -> int:
    """Make a card."""
    refuse_unwritable(given.out)
    before = _card_at(given.out / given.label)
    try:
        layout = None if given.layout is None else emulator.Layout.read(given.layout)
        card = _import_library(given, layout) if _is_library(given) else _import_model(given, layout)
    except ModuleNotFoundError as error:
        raise Unusable(f"importing needs {error.name}: pip install 'trigwatch[models]'") from error
    except NO_CARD as error:
        warn(str(error))
        return NO
    except WRONG_CALL as error:
        raise Unusable(why(error)) from error
    _say_card(card)
    warn_each(_remarks(card, before))
    return GOOD


def _card_at(path: Path) -> emulator.Card | None:
    try:
        return read_card(path)
    except emulator.BrokenCard:
        return None


def _remarks(card: emulator.Card, before: emulator.Card | None) -> Iterator[str]:
    """Say what a new card means for the folder that it lies in, and for the events that it will judge."""
    if before is not None:
        # Another model in its place would have been refused.
        yield f"{card.path} held this model already: its card is replaced by the one just made{_weaker(card, before)}"
    folder = card.path.parent
    try:
        namesakes = [each for each in emulator.Registry(folder).by_label(card.label) if each.digest != card.digest]
    except (OSError, emulator.BadValidity) as error:
        yield why(error)
        namesakes = []
    for each in namesakes:
        yield (
            f"label {card.label!r} also names {each.digest[:19]}… in {each.path}, which is kept: say in "
            f"{folder / FILE} in which runs each was meant"
        )
    if card.threshold is None:
        remedy = "give it one in the manifest" if _engine(card) == "abi" else "give it one with --threshold RAW"
        yield (
            f"{card.label} has no threshold: nothing counts as accepted unless the stream carries the decision "
            f"(`accept`); if it does not, {remedy}"
        )


def _weaker(card: emulator.Card, before: emulator.Card) -> str:
    now, then = card.certificate.random, before.certificate.random
    if now >= then:
        return ""
    return (
        f", whose certificate is weaker: {now} random inputs where there were {then}; import it again with "
        f"--events {then}, unless less is meant"
    )


def _is_library(given: argparse.Namespace) -> bool:
    if given.manifest is None and given.source.suffix == ".so":
        raise Unusable(f"{given.source} is a compiled library: give what it takes and returns with --manifest FILE")
    return given.manifest is not None


def _import_model(given: argparse.Namespace, layout: emulator.Layout | None) -> emulator.Card:
    wanted: dict[str, Any] = {
        "label": given.label,
        "out": given.out,
        "threshold": given.threshold,
        "layout": layout,
        "events": given.events,
        "exact": given.exact,
    }
    if _is_ensemble(given.source):
        _refuse_conversion(given, f"{given.source} holds trees, which conifer has converted already")
        return emulator.import_conifer(given.source, **wanted)
    if given.source.is_dir() or given.source.suffix == ".fml":
        _refuse_conversion(given, f"{given.source} is converted already and brings its own")
    conversion = _conversion(given)
    if given.hls_config is not None:
        conversion["hls_config"] = read_hls_config(given.hls_config)
    return emulator.import_hls4ml(given.source, **wanted, conversion=conversion)


def _conversion(given: argparse.Namespace) -> dict[str, Any]:
    """Return what was said about how to convert, as it was said."""
    said = {"io_type": given.io_type, "hls_config": given.hls_config, "backend": given.backend}
    return {name: value for name, value in said.items() if value is not None}


def _refuse_conversion(given: argparse.Namespace, reason: str) -> None:
    for name, value in _conversion(given).items():
        raise Unusable(f"--{name.replace('_', '-')} {value}: {reason}: leave the option out")


def _is_ensemble(path: Path) -> bool:
    """Whether a file is conifer's: its JSON looks like Keras' only by its name."""
    if path.suffix != ".json" or not path.is_file():
        return False
    try:
        return is_ensemble(read_json(path))
    except UnreadableModel:
        return False  # whoever reads it says so


def _import_library(given: argparse.Namespace, layout: emulator.Layout | None) -> emulator.Card:
    if given.threshold is not None:
        raise Unusable(f"--threshold {given.threshold}: the threshold of a compiled library is in its manifest")
    _refuse_conversion(given, "a compiled library is what it is")
    if given.exact:
        raise Unusable("--exact: a compiled library has no integer program that could be proven")
    return emulator.import_abi(given.source, given.manifest, label=given.label, out=given.out, layout=layout)


def verify(given: argparse.Namespace) -> int:
    """Check a card."""
    _refuse_no_card(given.card)
    try:
        with emulator.load(given.card) as model:
            say(f"{model.card.label} {model.card.digest}: golden vectors agree, engine {model.engine}")
        if not given.events:
            return GOOD
        comparison = emulator.verify(given.card, events=given.events, seed=given.seed)
    except emulator.BrokenCard as error:
        warn(str(error))
        return NO
    except (emulator.NotCertified, emulator.NotCompiled, emulator.EngineUnavailable, FileNotFoundError) as error:
        raise Unusable(str(error)) from error
    say(
        f"{comparison.random} random and {comparison.directed} directed inputs against csim: "
        f"{comparison.mismatches} mismatches{f'; {comparison.first}' if comparison.first else ''}"
    )
    return NO if comparison.mismatches else GOOD


def list_cards(given: argparse.Namespace) -> int:
    """List cards; exit 1 if one is broken."""
    registry = _registry(given.folder)
    if given.json:
        for card in registry:
            say_json({"label": card.label, "digest": card.digest, "engine": _engine(card), "path": str(card.path)})
    else:
        rows = [
            (c.label, c.digest[:19], c.n_inputs, c.n_outputs, c.threshold, _engine(c), _valid(registry, c))
            for c in registry
        ]
        say_table(("LABEL", "DIGEST", "INPUTS", "OUTPUTS", "THRESHOLD", "ENGINE", "VALID"), rows)
    for label, digests in registry.shared_labels().items():
        warn(f"label {label!r} names {len(digests)} models: {', '.join(each[:19] for each in digests)}")
    broken = [*registry.broken.values(), *_damaged(registry)]
    warn_each(broken)
    return NO if broken else GOOD


def _damaged(cards: Iterable[emulator.Card]) -> Iterator[str]:
    """Say which cards are not what their card.json says."""
    for card in cards:
        try:
            read(card.path)
        except emulator.BrokenCard as error:
            yield str(error)


def check_menu(given: argparse.Namespace) -> int:
    """Say of every condition of a menu whether its model is the one that is registered."""
    registry = _registry(given.models)
    try:
        menu = emulator.Menu.read(given.menu)
    except emulator.BadMenu as error:
        raise Unusable(str(error)) from error
    found = list(menu.compared(registry, registry.validity))
    rows = [
        (each.condition.name, each.condition.label, each.condition.digest[7:19], each.wrong or "ok") for each in found
    ]
    say_table(("CONDITION", "LABEL", "DIGEST", menu.name), rows)
    warn_each(registry.broken.values())
    return NO if any(each.wrong for each in found) else GOOD


def _valid(registry: emulator.Registry, card: emulator.Card) -> str:
    return "; ".join(str(interval) for interval in registry.validity.of(card.digest)) or "always"


def show_card(given: argparse.Namespace) -> int:
    """Show a card."""
    with _load(given.card) as model:
        _say_card(model.card)
    return GOOD


def diff_cards(given: argparse.Namespace) -> int:
    """Compare two cards, part by part and on inputs that both can take."""
    with _load(given.left) as left, _load(given.right) as right:
        ours, theirs = _described(left.card), _described(right.card)
        differing = [key for key in ours if ours[key] != theirs[key]]
        for key in differing:
            say(f"{key}: {ours[key]} | {theirs[key]}")
        for line in _differing_conversions(left.card, right.card):
            say(line)
        if left.program is not None and right.program is not None:
            for change in changes(left.program, right.program):
                say(str(change))
        if left.card.n_inputs == right.card.n_inputs and left.card.n_outputs == right.card.n_outputs:
            for line in _differing_scores(left, right):
                say(line)
    return NO if "digest" in differing else GOOD


def _differing_conversions(left: emulator.Card, right: emulator.Card) -> Iterator[str]:
    ours, theirs = conversion_of(left), conversion_of(right)
    for name in ours | theirs:
        said, other = ours.get(name, "not said"), theirs.get(name, "not said")
        if said != other:
            yield f"converted with {name}: {said} | {other}"


def _differing_scores(left: emulator.Model, right: emulator.Model, *, events: int = 4096) -> Iterator[str]:
    """Say on how many events two models of the same shape differ: on the golden ones of both, and on random ones."""
    low, high = raw_bounds(left.card.inputs)
    golden = np.concatenate([read(model.card.path).golden.inputs for model in (left, right)])
    kinds = {"golden": golden, "random": np.random.default_rng(1).integers(low, high + 1, size=(events, len(low)))}
    for kind, raw in kinds.items():
        fitting = raw[left.fits(raw) & right.fits(raw)]
        (ours, answered), (theirs, also) = (_answered(model, fitting) for model in (left, right))
        both = answered & also
        differs = (ours != theirs).any(axis=1) & both
        decided = [
            np.zeros(len(scores), np.bool_) if model.card.threshold is None else scores[:, 0] >= model.card.threshold
            for model, scores in ((left, ours), (right, theirs))
        ]
        decisions = (decided[0] != decided[1]) & both
        yield (
            f"{kind} events: scores differ on {int(differs.sum())} of {int(both.sum())}, "
            f"decisions on {int(decisions.sum())}"
        )


def _answered(model: emulator.Model, raw: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return scores, and which events have some: a compiled emulator may not survive all of them."""
    try:
        return model.score(raw), np.ones(len(raw), np.bool_)
    except emulator.Poison as poison:
        return poison.scores, poison.answered


def _registry(folder: Path) -> emulator.Registry:
    try:
        return emulator.Registry(folder)
    except (OSError, emulator.BadValidity) as error:
        raise Unusable(str(error)) from error


def _refuse_no_card(path: Path) -> None:
    """Raise `Unusable` where nothing at `path` was ever a card: that is a slip of the pen, no broken card."""
    try:
        if any((path / name).is_file() for name in (CARD, GOLDEN, PROGRAM)):
            return
    except OSError as error:
        raise Unusable(f"{path} cannot be read: {error.strerror}: check its permissions") from error
    inside = sorted(str(each.parent) for each in path.glob(f"*/{CARD}"))
    if inside:
        raise Unusable(f"{path} is a folder of cards: name one of them, {', '.join(inside)}")
    found = f"it has no {CARD}" if path.is_dir() else "it is a file" if path.exists() else "nothing is called so"
    raise Unusable(
        f"{path} is not a card, {found}: name a folder that `trigwatch model import` made; `trigwatch model list "
        "FOLDER` shows them"
    )


def _load(path: Path) -> emulator.Model:
    _refuse_no_card(path)
    try:
        return emulator.load(path)
    except (emulator.BrokenCard, emulator.NotCompiled, OSError) as error:
        raise Unusable(str(error)) from error


def _engine(card: emulator.Card) -> str:
    return card.certificate.engine


def _described(card: emulator.Card) -> Mapping[str, Any]:
    return {
        "label": card.label,
        "digest": card.digest,
        "inputs": ", ".join(f"{t.name} {list(t.shape)} {t.format}" for t in card.inputs),
        "outputs": ", ".join(f"{t.name} {list(t.shape)} {t.format}" for t in card.outputs),
        "threshold": card.threshold,
        "engine": _engine(card),
    }


def _say_card(card: emulator.Card) -> None:
    for key, value in _described(card).items():
        say(f"{key:<12} {value}")
    if card.falls_to is not None:
        say(f"{'falls to':<12} {card.falls_to}")
    for number, (name, value) in enumerate(conversion_of(card).items()):
        say(f"{'' if number else 'converted':<12} {name}: {value}")
    proof = card.certificate
    say(f"{'certificate':<12} {_proven(proof)}")
    for key in ("compiler", "seed"):
        say(f"{'':<12} {key}: {getattr(proof, key)}")


def _proven(proof: emulator.Certificate) -> str:
    if proof.engine == "abi":
        return f"{proof.reference}; golden vectors record what it said when it was imported"
    if proof.engine == "csim":
        return f"none: csim itself answers, {proof.reference}; golden vectors record what it said when it was imported"
    compared = f"{proof.random} random and {proof.directed} directed inputs"
    return f"{proof.mismatches} mismatches in {compared} against {proof.reference}"
