"""A trigger menu's models: which condition runs which card, and whether the registry holds just that.

name = "L1Menu_Collisions2026_v1_2_0"

[[condition]]
name = "L1_AXO_Nominal"
label = "axol1tl_v5"
digest = "sha256:6f4055872f19"   # or its beginning, eight digits or more
threshold = 1280                 # raw; left out: the card's
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emulator.card import FEWEST_DIGITS, BrokenCard, Card, full_digest
from emulator.card_files import read
from emulator.validity import Validity

_KEYS = {"name": str, "label": str, "digest": str, "threshold": int}
_NEEDED = ("name", "label", "digest")


class BadMenu(ValueError):
    """The file cannot be followed; the message names the entry, what is wrong, and the remedy."""


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition of a menu: the model that it runs, by label and (the beginning of) its digest.

    `threshold` is raw; None where the menu leaves it to the card.
    """

    name: str
    label: str
    digest: str
    threshold: int | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What the registry says about a condition: its card, or None, and what is wrong, "" if nothing is."""

    condition: Condition
    card: Card | None
    wrong: str


@dataclass(frozen=True, slots=True)
class Menu:
    """The conditions of one menu."""

    name: str
    conditions: tuple[Condition, ...]

    @classmethod
    def read(cls, path: Path) -> Menu:
        """Read a menu file; raises `BadMenu`."""
        try:
            document = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise BadMenu(f"{path} cannot be read: {error.strerror}") from error
        except ValueError as error:
            raise BadMenu(f"{path} cannot be read: {error}") from error
        name, entries = document.get("name"), document.get("condition")
        if not isinstance(name, str) or not name:
            raise BadMenu(f"{path} has the name {name!r}: write the menu's, as batches announce it")
        if not isinstance(entries, list) or not entries or document.keys() - {"name", "condition"}:
            raise BadMenu(f"{path} holds {sorted(document)}: write a name and one [[condition]] for every model")
        conditions = tuple(_condition(entry, f"{path}, condition {i + 1}") for i, entry in enumerate(entries))
        twice = sorted({each.name for each in conditions if [c.name for c in conditions].count(each.name) > 1})
        if twice:
            raise BadMenu(f"{path} names {twice[0]!r} more than once: a condition runs one model")
        return cls(name, conditions)

    def compared(self, cards: Iterable[Card], validity: Validity) -> Iterator[Finding]:
        """Yield what the registry's cards and intervals say about each condition."""
        known = tuple(cards)
        for condition in self.conditions:
            yield _finding(condition, known, validity, self.name)


def _condition(entry: Any, where: str) -> Condition:
    if not isinstance(entry, dict):
        raise BadMenu(f"{where} is {entry!r:.60}: write [[condition]] with {', '.join(_KEYS)}")
    missing, unknown = [key for key in _NEEDED if key not in entry], [key for key in entry if key not in _KEYS]
    if missing or unknown:
        raise BadMenu(f"{where}: missing {missing}, unknown {unknown}: it takes {', '.join(_KEYS)}")
    for key, value in entry.items():
        if not isinstance(value, _KEYS[key]) or isinstance(value, bool) or value == "":
            raise BadMenu(f"{where}: {key} is {value!r:.60}, not a {_KEYS[key].__name__} with something in it")
    digest = full_digest(entry["digest"])
    if digest is None:
        raise BadMenu(f"{where}: digest is {entry['digest']!r:.80}: write {FEWEST_DIGITS} or more of its digits")
    return Condition(entry["name"], entry["label"], digest, entry.get("threshold"))


def _finding(condition: Condition, cards: tuple[Card, ...], validity: Validity, menu: str) -> Finding:
    fits = [card for card in cards if card.digest.startswith(condition.digest)]
    if len({card.digest for card in fits}) > 1:
        return Finding(condition, None, f"{len(fits)} cards begin with this digest: write more of it")
    if not fits:
        other = ", ".join(card.digest[7:19] for card in cards if card.label == condition.label)
        return Finding(condition, None, f"not registered; {condition.label} is here as {other or 'nothing'}")
    card = next((card for card in fits if card.label == condition.label), fits[0])
    return Finding(condition, card, _wrong(condition, card, validity, menu))


def _wrong(condition: Condition, card: Card, validity: Validity, menu: str) -> str:
    """Say what is wrong with the card of a condition, "" if nothing is."""
    if card.label != condition.label:
        return f"this content is called {card.label} here"
    try:
        read(card.path)  # what card.json says of itself is no proof of what lies beside it
    except BrokenCard as error:
        return str(error)
    intervals = validity.of(card.digest)
    if intervals and not any(not each.menus or menu in each.menus for each in intervals):
        return f"not valid under {menu}: {'; '.join(str(each) for each in intervals)}"
    if condition.threshold is not None and condition.threshold != card.threshold:
        return f"the card's threshold is {card.threshold}, the menu's {condition.threshold}"
    return ""
