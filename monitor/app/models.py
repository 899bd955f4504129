"""`trigwatch model`: make cards of models, prove them, look at them."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import emulator
from emulator.card import raw_bounds
from emulator.card_files import CARD, GOLDEN, PROGRAM, read
from emulator.certify import EVENTS
from emulator.conversion import conversion_of
from emulator.difference import changes
from monitor.app import model_import
from monitor.app.card_words import described, engine_of, say_card
from monitor.app.console import (
    GOOD,
    NO,
    Commands,
    Unusable,
    command,
    group,
    say,
    say_json,
    say_table,
    warn,
    warn_each,
    whole,
    why,
)


def add(commands: Commands) -> None:
    """Add the command."""
    parts = group(
        commands, "model", text="make cards of models, prove them, look at them", example="trigwatch model list models/"
    )
    model_import.add(parts)
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
    except (emulator.WorkerDied, emulator.WorkerHung) as error:
        raise Unusable(f"csim gave no answer: {error}") from error
    say(
        f"{comparison.random} random and {comparison.directed} directed inputs{_against(comparison)}: "
        f"{comparison.mismatches} mismatches{f'; {comparison.first}' if comparison.first else ''}"
    )
    return NO if comparison.mismatches else GOOD


def _against(comparison: emulator.Comparison) -> str:
    """Say which C++ the engines were compared with."""
    if not {"gemm", "native"} & set(comparison.engines):
        return " of csim's quick build, which answers for the card, against the unchanged one"
    quick = f" (its quick build beyond {EVENTS} random ones)" if comparison.random > EVENTS else ""
    return f" against csim{quick}"


def list_cards(given: argparse.Namespace) -> int:
    """List cards; exit 1 if one is broken."""
    registry = _registry(given.folder)
    if given.json:
        for card in registry:
            say_json({"label": card.label, "digest": card.digest, "engine": engine_of(card), "path": str(card.path)})
    else:
        rows = [
            (c.label, c.digest[:19], c.n_inputs, c.n_outputs, c.threshold, engine_of(c), _valid(registry, c))
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
        say_card(model.card)
    return GOOD


def diff_cards(given: argparse.Namespace) -> int:
    """Compare two cards, part by part and on inputs that both can take."""
    with _load(given.left) as left, _load(given.right) as right:
        ours, theirs = described(left.card), described(right.card)
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
