"""`trigwatch replay`: recorded files through the whole walk; verdicts as JSON lines. Needs no Kafka."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import emulator
from emulator.detector import MODELS
from monitor.app.compose import aggregator_of, known_of, read_book
from monitor.app.console import GOOD, NO, Commands, Unusable, command, say, say_json, warn_each, why
from monitor.app.counting import counting
from monitor.app.recording import PARTITION, Content, Refusals, from_files, streams_of, walk
from monitor.app.settings import Settings, WrongSettings
from monitor.app.settings import build as build_settings
from monitor.app.shelf import CardShelf
from monitor.decide.verdict import Blame, Level
from monitor.reference.book import Book
from monitor.serve import words
from monitor.stream.columns import Limits
from monitor.trigger.site import DEFAULT_PROFILE, PROFILES
from monitor.watch.judged import Judged
from monitor.watch.worker import Worker

Said = tuple[str, Level, Blame, str | None]


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands,
        "replay",
        run,
        text="judge recorded files (Parquet or Arrow, in any order); exit 1 if any verdict says act",
        example="trigwatch replay run401000.parquet --models models/ --reference normal.book --json",
    )
    parser.add_argument("files", type=Path, nargs="+")
    parser.add_argument("--reference", type=Path, help="a Book; without one the first lumisections are learned")
    parser.add_argument("--known", type=Path, help="a file of known conditions, which silence what they cover")
    parser.add_argument("--models", type=Path, default=MODELS, help="the folder of cards")
    parser.add_argument("--site", choices=sorted(PROFILES), default=DEFAULT_PROFILE, help="whose words and clock")
    parser.add_argument("--json", action="store_true", help="one JSON line a verdict")


def run(given: argparse.Namespace) -> int:
    """Judge the files."""
    limits = Limits(crossings=PROFILES[given.site].crossings)
    acts, refused = 0, Refusals()
    said: dict[str, Said] = {}
    try:
        book = Book({}) if given.reference is None else read_book(given.reference)
        streams = streams_of(given.files, limits=limits)
        settings = build_settings(
            {
                "tape": {"path": "-"},
                "known": {"path": given.known},
                "site": {"profile": given.site},
                "models": {"path": given.models},
                "streams": [{"name": name, "topic": topic} for name, topic in streams.items()],
            }
        )
        with CardShelf.open(emulator.Registry(given.models)) as shelf:
            warn_each(shelf.problems)
            contents = from_files(given.files, limits=limits)
            found = judge(contents, settings=settings, shelf=shelf, book=book, streams=streams, refused=refused)
            for judged in found:
                acts += judged.verdict.level is Level.ACT
                if given.json:
                    say_json(judged.verdict.to_json())
                else:
                    _say(judged, said=said)
    except (WrongSettings, OSError, ValueError) as error:
        raise Unusable(why(error)) from error
    warn_each(refused.words())
    return NO if acts else GOOD


def judge(
    contents: Iterable[Content],
    *,
    settings: Settings,
    shelf: CardShelf,
    book: Book,
    streams: Mapping[str, str],
    refused: Refusals,
) -> Iterator[Judged]:
    """Yield every judged lumisection of `contents`, which are in time order and on one partition."""
    aggregator = aggregator_of(
        settings, partitions=dict.fromkeys(streams, frozenset({PARTITION})), shelf=shelf, book=book
    )
    known = known_of(settings)
    if known is not None:
        aggregator.know(known.conditions)
    worker = Worker(streams=streams, shelf=shelf, library=counting(), crossings=settings.site.site().crossings)
    for closed, now in walk(contents, worker, site=settings.site.site(), refused=refused):
        yield from aggregator.step((closed,), now=now).judged


def _say(judged: Judged, *, said: dict[str, Said]) -> None:
    """Say a lumisection in a line, and where an alarm is new or another: since when, where and what to do.

    `said` is what every stream was said to be last.
    """
    verdict = judged.verdict
    why = judged.evidence.unjudged if verdict.level is Level.UNKNOWN else None
    what = f"  {why or ', '.join(verdict.what[:3])}" if why or verdict.what else ""
    say(f"{verdict.stream} {verdict.lumisection}  {verdict.level.value:<8}{verdict.blame.value:<11}{what}".rstrip())
    new = verdict.id, verdict.level, verdict.blame, verdict.where.object
    if verdict.level is not Level.OK and said.get(verdict.stream) != new:
        place = words.where(verdict.where)
        say(f"    since {verdict.since}" + (f", where: {place}" if place else ""))
        say(f"    do: {verdict.action}")
    said[verdict.stream] = new
