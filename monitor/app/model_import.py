"""`trigwatch model import`: make a card of a model, of trees or of a compiled library."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import emulator
from emulator.card_files import read_card
from emulator.certify import EVENTS
from emulator.hls_config import read_hls_config
from emulator.importers.ensemble import is_ensemble
from emulator.importers.hls4ml import BACKENDS
from emulator.model_file import UnreadableModel, read_json
from emulator.validity import FILE
from monitor.app.card_words import engine_of, say_card
from monitor.app.console import (
    GOOD,
    NO,
    Commands,
    Unusable,
    command,
    refuse_unwritable,
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


def add(parts: Commands) -> None:
    """Add the command."""
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
    say_card(card)
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
        remedy = "give it one in the manifest" if engine_of(card) == "abi" else "give it one with --threshold RAW"
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
