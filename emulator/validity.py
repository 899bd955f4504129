"""Which card a label meant when: intervals of runs, and menus, from `validity.toml` in the folder of the cards.

[[card]]
label = "axol1tl_v5"
digest = "sha256:6f4055872f19"   # or its beginning, eight digits or more
first_run = 380001
last_run = 385200                # left out: still valid
menus = ["L1Menu_2026_v1"]       # left out: every menu
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.card import FEWEST_DIGITS, Card, full_digest

FILE = "validity.toml"
_KEYS = {"label": str, "digest": str, "first_run": int, "last_run": int, "menus": list}
_NEEDED = ("label", "digest", "first_run")


class BadValidity(ValueError):
    """`validity.toml` cannot be followed; the message names the entry, what is wrong, and the remedy."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One card's time: runs from `first` to `last`, both included, None for ever; `menus` empty for every menu."""

    label: str
    digest: str
    first: int
    last: int | None
    menus: frozenset[str]

    def __str__(self) -> str:
        """Return it as people write it."""
        runs = f"runs {self.first} to {'now' if self.last is None else self.last}"
        return runs + (f", menus {', '.join(sorted(self.menus))}" if self.menus else "")

    def covers(self, runs: tuple[int, int], menu: str) -> bool:
        """Whether the card was valid in all of these runs, both ends included, under this menu."""
        return self.first <= runs[0] and (self.last is None or runs[1] <= self.last) and self._has(menu)

    def meets(self, other: Interval) -> bool:
        """Whether some run and menu lie in both."""
        apart = (self.last is not None and self.last < other.first) or (
            other.last is not None and other.last < self.first
        )
        return not apart and (not self.menus or not other.menus or bool(self.menus & other.menus))

    def _has(self, menu: str) -> bool:
        return not self.menus or menu in self.menus


@dataclass(frozen=True, slots=True)
class Validity:
    """The intervals of a folder of cards."""

    intervals: tuple[Interval, ...] = ()

    @classmethod
    def read(cls, folder: Path, cards: Iterable[Card]) -> Validity:
        """Read `validity.toml` of a folder, nothing if there is none; raises `BadValidity`."""
        file = folder / FILE
        if not file.is_file():
            return cls()
        try:
            document = tomllib.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise BadValidity(f"{file} cannot be read: {error}") from error
        unknown = [key for key in document if key != "card"]
        entries = document.get("card", [])
        if unknown or not isinstance(entries, list):
            raise BadValidity(f"{file} holds {unknown or 'no list'}: write one [[card]] for every interval")
        known = tuple(cards)
        intervals = tuple(_interval(entry, f"{file}, card {i + 1}", known) for i, entry in enumerate(entries))
        _refuse_overlaps(intervals, file)
        return cls(intervals)

    def of(self, digest: str) -> tuple[Interval, ...]:
        """Return the intervals of a card."""
        return tuple(interval for interval in self.intervals if interval.digest == digest)

    def digests(self, label: str, *, runs: tuple[int, int], menu: str) -> frozenset[str]:
        """Return the cards that a label meant in these runs under this menu: one, or none."""
        return frozenset(
            interval.digest for interval in self.intervals if interval.label == label and interval.covers(runs, menu)
        )


def _interval(entry: Any, where: str, cards: Sequence[Card]) -> Interval:
    if not isinstance(entry, dict):
        raise BadValidity(f"{where} is {entry!r:.60}: write [[card]] with {', '.join(_KEYS)}")
    missing, unknown = [key for key in _NEEDED if key not in entry], [key for key in entry if key not in _KEYS]
    if missing or unknown:
        raise BadValidity(f"{where}: missing {missing}, unknown {unknown}: it takes {', '.join(_KEYS)}")
    for key, value in entry.items():
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool):
            raise BadValidity(f"{where}: {key} is {value!r:.60}, not a {_KEYS[key].__name__}")
    first, last = entry["first_run"], entry.get("last_run")
    if first < 0 or (last is not None and last < first):
        raise BadValidity(f"{where}: runs {first} to {last} are no interval")
    menus = entry.get("menus", [])
    if not all(isinstance(menu, str) for menu in menus):
        raise BadValidity(f"{where}: menus are {menus!r:.60}, not names")
    return Interval(entry["label"], _digest(entry, where, cards), first, last, frozenset(menus))


def _digest(entry: dict[str, Any], where: str, cards: Sequence[Card]) -> str:
    wanted = full_digest(entry["digest"])
    if wanted is None:
        raise BadValidity(f"{where}: digest is {entry['digest']!r:.80}: write {FEWEST_DIGITS} or more of its digits")
    found = {card.digest for card in cards if card.label == entry["label"] and card.digest.startswith(wanted)}
    if len(found) != 1:
        known = ", ".join(f"{card.label} {card.digest[:19]}…" for card in cards) or "none"
        raise BadValidity(
            f"{where}: {len(found)} cards are called {entry['label']!r} and begin with {wanted!r}; there are {known}: "
            "import the card, or mend the entry"
        )
    return found.pop()


def _refuse_overlaps(intervals: Sequence[Interval], file: Path) -> None:
    for i, one in enumerate(intervals):
        for other in intervals[:i]:
            if one.label == other.label and one.digest != other.digest and one.meets(other):
                raise BadValidity(
                    f"{file}: {one.label!r} means two cards at a time, {other} ({other.digest[:19]}…) and {one} "
                    f"({one.digest[:19]}…): end one interval before the other begins"
                )
