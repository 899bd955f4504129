"""How a command speaks and ends."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

N = TypeVar("N", int, float)
GOOD = 0
NO = 1  # the answer to the question is no


class Unusable(Exception):
    """The call was wrong: the message names the value, the reason and the remedy. Exit status 2."""


def group(commands: Commands, name: str, *, text: str, example: str) -> Commands:
    """Add a group of commands and return what they are added to; its help ends with an example."""
    parser = commands.add_parser(name, help=text, description=text, epilog=f"example: {example}", formatter_class=Help)
    return parser.add_subparsers(title="commands", metavar="COMMAND", required=True)


class Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults are shown where they say something, and the example stays on its line."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        return action.help if action.default is None or action.default is False else super()._get_help_string(action)


class Parser(argparse.ArgumentParser):
    """A parser that says what was wrong in one line."""

    def error(self, message: str) -> NoReturn:
        """End with status 2."""
        warn(f"{message}; see: {self.prog} --help")
        raise SystemExit(2)


class Commands(Protocol):
    """Where a command line takes its commands from; what `add_subparsers` returns."""

    def add_parser(self, name: str, **options: Any) -> argparse.ArgumentParser:
        """Add a command."""
        ...


def command(
    commands: Commands,
    name: str,
    run: Callable[[argparse.Namespace], int],
    *,
    text: str,
    example: str,
) -> argparse.ArgumentParser:
    """Add the command `name`, which calls `run`; its help ends with an example."""
    parser = commands.add_parser(
        name,
        help=text,
        description=text,
        epilog=f"example: {example}",
        formatter_class=Help,
    )
    parser.set_defaults(command=run)
    return parser


def whole(low: int, high: int | None = None) -> Callable[[str], int]:
    """Return what reads a whole number from `low` to `high` from the command line."""
    return _between(int, low, high, kind="a whole number")


def seconds(low: float) -> Callable[[str], float]:
    """Return what reads a time of at least `low` seconds from the command line."""
    return _between(float, low, None, kind="a number of seconds")


def _between(read: Callable[[str], N], low: N, high: N | None, *, kind: str) -> Callable[[str], N]:
    wanted = f"{kind}, at least {low:g}" if high is None else f"{kind} from {low:g} to {high:g}"

    def check(text: str) -> N:
        try:
            value = read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}") from error
        if not low <= value < float("inf") or (high is not None and value > high):
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return value

    return check


def why(error: Exception) -> str:
    """Return what an error says to people: the file and the reason, without its number."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename is not None else error.strerror
    return str(error)


def refuse_nowhere(path: Path) -> None:
    """Refuse a file that cannot be written before hours of data are read for it. Raises `Unusable`."""
    if not path.parent.is_dir():
        raise Unusable(f"{path}: {path.parent} is not a folder: make it first")
    if path.is_dir():
        raise Unusable(f"{path} is a folder: name a file")


def refuse_unwritable(folder: Path) -> None:
    """Refuse a folder that cannot be written, or made, before minutes are spent on its content. Raises `Unusable`."""
    there = next(each for each in (folder, *folder.absolute().parents) if os.access(each, os.F_OK))
    if not there.is_dir():
        raise Unusable(f"{there} is not a folder: name another one")
    if not os.access(there, os.W_OK | os.X_OK):
        raise Unusable(f"{there} cannot be written by this user: name another folder, or change its permissions")


def say(line: str = "") -> None:
    """Print a line for people or pipes."""
    print(_visible(line), flush=True)  # noqa: T201 -- the command line speaks


def warn(line: str) -> None:
    """Print a line beside the answer."""
    print(f"trigwatch: {_visible(line)}", file=sys.stderr, flush=True)  # noqa: T201 -- the command line speaks


def _visible(line: str) -> str:
    """Return a line with what would move a terminal's cursor written out: names in files are other people's."""
    return "".join(ch if ch.isprintable() else ch.encode("unicode_escape").decode() for ch in line)


def warn_each(lines: Iterable[str]) -> None:
    """Print lines beside the answer."""
    for line in lines:
        warn(line)


def say_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON line. NaN has no JSON: it becomes null."""
    line = json.dumps(_plain(value), ensure_ascii=False, sort_keys=False, allow_nan=False)
    print(line, flush=True)  # noqa: T201 -- the command line speaks


def say_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns under their titles."""
    cells = [[_visible(str(cell)) for cell in row] for row in (titles, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value  # noqa: PLR0124
