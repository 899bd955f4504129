"""`trigwatch reference`: learn what is normal, look at it, compare, promote."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

import emulator
from monitor.app.compose import read_book
from monitor.app.console import (
    GOOD,
    NO,
    Commands,
    Unusable,
    command,
    group,
    refuse_nowhere,
    say,
    say_table,
    warn,
    warn_each,
    why,
)
from monitor.app.counting import counting
from monitor.app.known import read as read_known
from monitor.app.recording import Content, Refusals, from_files, streams_of, walk
from monitor.app.settings import WrongSettings
from monitor.app.shelf import CardShelf
from monitor.observe.quantities import catalogue
from monitor.reference.book import Book
from monitor.reference.learn import Unlearnable, learn
from monitor.reference.page import Expectation, Page
from monitor.stream.columns import Limits
from monitor.trigger.known import KnownConditions
from monitor.trigger.site import DEFAULT_PROFILE, PROFILES, Site
from monitor.watch.worker import Worker

MOST_ROWS = 15


def add(commands: Commands) -> None:
    """Add the command."""
    parts = group(
        commands,
        "reference",
        text="learn what is normal, look at it, compare, promote",
        example="trigwatch reference build fill1.parquet fill2.parquet --models models/ --out normal.book",
    )
    making = command(
        parts,
        "build",
        build,
        text="learn a Book from recorded fills that people call good",
        example="trigwatch reference build fill*.parquet --models models/ --out normal.book",
    )
    making.add_argument("files", type=Path, nargs="+", help="Parquet or Arrow files, in any order")
    making.add_argument("--models", type=Path, required=True, help="the folder of cards")
    making.add_argument("--site", choices=sorted(PROFILES), default=DEFAULT_PROFILE, help="whose clock")
    making.add_argument("--known", type=Path, help="a file of known conditions: nothing is learnt while they last")
    making.add_argument("--out", type=Path, required=True)
    showing = command(parts, "show", show, text="the pages of a Book", example="trigwatch reference show normal.book")
    showing.add_argument("book", type=Path)
    comparing = command(
        parts,
        "diff",
        diff,
        text="what two Books expect differently; exit 1 if anything",
        example="trigwatch reference diff A B",
    )
    comparing.add_argument("left", type=Path)
    comparing.add_argument("right", type=Path)
    promoting = command(
        parts,
        "promote",
        promote,
        text="put a Book in the place that the settings name as its next version; the old one is kept beside it",
        example="trigwatch reference promote new.book --as normal.book",
    )
    promoting.add_argument("book", type=Path)
    promoting.add_argument("--as", dest="place", type=Path, required=True)


def build(given: argparse.Namespace) -> int:
    """Learn a Book from files."""
    refuse_nowhere(given.out)
    site = PROFILES[given.site]
    limits = Limits(crossings=site.crossings)
    try:
        with CardShelf.open(emulator.Registry(given.models)) as shelf:
            warn_each(shelf.problems)
            streams = streams_of(given.files, limits=limits)
            known = None if given.known is None else read_known(given.known)
            contents = from_files(given.files, limits=limits)
            book = learned(contents, shelf=shelf, site=site, streams=streams, known=known)
    except Unlearnable as error:
        warn(str(error))
        return NO
    except (OSError, ValueError) as error:
        raise Unusable(why(error)) from error
    given.out.write_bytes(book.to_bytes())
    say(f"{given.out}: Book {book.id[:12]}, {len(book)} pages")
    _say_pages(book)
    return GOOD


def show(given: argparse.Namespace) -> int:
    """Show the pages of a Book."""
    book = _read(given.book)
    say(f"Book {book.id}, version {book.version}")
    _say_pages(book)
    return GOOD


def diff(given: argparse.Namespace) -> int:
    """Compare two Books, page by page, at the middle of the common pile-up."""
    left, right = _read(given.left), _read(given.right)
    if left.id == right.id:
        say("the Books are equal")
        return GOOD
    say(f"left:  Book {left.id}, version {left.version}")
    say(f"right: Book {right.id}, version {right.version}")
    for key in sorted(set(left.pages) | set(right.pages)):
        ours, theirs = left.pages.get(key), right.pages.get(key)
        if ours is None or theirs is None:
            say(f"{' '.join(key)}: only in {given.right if ours is None else given.left}")
        elif ours.id != theirs.id:
            say(f"{' '.join(key)}:")
            _say_differences(ours, theirs)
    return NO


def promote(given: argparse.Namespace) -> int:
    """Put a Book into its place as the next version there, whole or not at all."""
    book = _read(given.book)
    refuse_nowhere(given.place)
    if given.place.exists():
        old = _read(given.place)
        if old.id == book.id:
            say(f"{given.place}: Book {old.id[:12]}, version {old.version}, is in place already")
            return GOOD
        kept = given.place.with_name(f"{given.place.name}.{old.version}.{old.id[:12]}")
        kept.write_bytes(given.place.read_bytes())
        say(f"the Book that was in place, version {old.version}, is kept as {kept}")
        book = replace(book, version=old.version + 1)
    new = given.place.with_name(given.place.name + ".new")
    new.write_bytes(book.to_bytes())
    os.replace(new, given.place)  # noqa: PTH105 -- atomic: a reader sees the old Book or the new one
    say(f"{given.place}: Book {book.id[:12]}, version {book.version}; restart the daemon to use it")
    return GOOD


def learned(
    contents: Iterable[Content],
    *,
    shelf: CardShelf,
    site: Site,
    streams: Mapping[str, str],
    known: KnownConditions | None = None,
) -> Book:
    """Re-emulate and sum up `contents`, in time order, and learn from every lumisection in which nothing is known.

    Raises `Unlearnable`.
    """
    worker, refused, known = (
        Worker(streams=streams, shelf=shelf, library=counting(), crossings=site.crossings),
        Refusals(),
        known or KnownConditions(),
    )
    walked = walk(contents, worker, site=site, refused=refused)
    book = learn(
        summary
        for closed, _ in walked
        for summary in closed.summaries
        if not known.of(summary.key.stream, summary.key.lumisection)
    )
    warn_each(refused.words())
    if not len(book):
        masked = "something is known in each of its lumisections; leave out of --known what lasts"
        reason = masked if known.all else "it holds no lumisection"
        raise Unlearnable(f"there is nothing to learn from: {reason}")
    return book


def _read(path: Path) -> Book:
    try:
        return read_book(path)
    except WrongSettings as error:
        raise Unusable(str(error)) from error


def _say_pages(book: Book) -> None:
    titles = ("STREAM", "MENU", "PRESCALE", "DIGEST", "PILE-UP", "FILLS", "LUMISECTIONS", "PAGE")
    rows = [
        (
            page.key.stream,
            page.key.menu,
            page.key.prescale_column,
            page.key.digest[:19],
            f"{page.low:.1f}-{page.high:.1f}",
            page.fills,
            page.lumisections,
            page.id[:12],
        )
        for page in book
    ]
    say_table(titles, rows)
    for page in book:
        spans = ", ".join(f"{span.run}:{span.first}-{span.last}" for span in page.spans)
        say(f"{page.id[:12]} comes from {spans}")


def _say_differences(left: Page, right: Page) -> None:
    """Say which quantities the pages expect most differently, in units of the tolerance of the one that judges them."""
    if left.shape != right.shape:
        say("  they measure different inputs")
        return
    pileup = (max(left.low, right.low) + min(left.high, right.high)) / 2
    ours, theirs = left.expect(pileup), right.expect(pileup)
    quantities = catalogue(left.shape)
    judge = np.where(left.live, ours.tolerance, theirs.tolerance)  # a tolerance of what is not judged means nothing
    benign = judge * np.where(quantities.counted, np.where(left.live, ours.centre, theirs.centre), 1.0)
    away = np.abs(right.told(theirs.centre) - left.told(ours.centre)) / np.maximum(benign, 1e-12)
    judged = np.flatnonzero(left.live | right.live)
    here, there = _words(left, ours), _words(right, theirs)
    rows = [
        (f"  {quantities.names[index]}", here(index), there(index))
        for index in judged[np.argsort(-away[judged])][:MOST_ROWS].tolist()
    ]
    say_table(("  QUANTITY", f"LEFT AT {pileup:.1f}", "RIGHT"), rows)


def _words(page: Page, expected: Expectation) -> Callable[[int], str]:
    """Return what says of a quantity what `page` expects; of one that it hardly saw, the most that is normal."""
    told = page.told(expected.centre)

    def words(index: int) -> str:
        if not page.live[index]:
            return "not judged"
        if page.scarce[index]:
            return f"under 1 in {1.0 / (2.0 * expected.centre[index]):,.0f} events"  # the curve is half of the limit
        return f"{told[index]:.6g}"

    return words
