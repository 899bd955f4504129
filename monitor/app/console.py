"""How a command speaks and ends."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Protocol

GOOD = 0
NO = 1  # the answer to the question is no


class Unusable(Exception):
    """The call was wrong: the message names the value, the reason and the remedy. Exit status 2."""


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
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.set_defaults(command=run)
    return parser


def say(line: str = "") -> None:
    """Print a line for people or pipes."""
    print(line, flush=True)  # noqa: T201 -- the command line speaks


def warn(line: str) -> None:
    """Print a line beside the answer."""
    print(f"trigwatch: {line}", file=sys.stderr, flush=True)  # noqa: T201 -- the command line speaks


def warn_each(lines: Iterable[str]) -> None:
    """Print lines beside the answer."""
    for line in lines:
        warn(line)


def say_json(value: Mapping[str, Any] | Sequence[Any]) -> None:
    """Print one JSON line. NaN has no JSON: it becomes null."""
    say(json.dumps(_plain(value), ensure_ascii=False, sort_keys=False, allow_nan=False))


def say_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print aligned columns under their titles."""
    cells = [[str(cell) for cell in row] for row in (titles, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(titles))]
    for row in cells:
        say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return None if isinstance(value, float) and (value != value or abs(value) == float("inf")) else value  # noqa: PLR0124
