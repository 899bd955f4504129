"""The cards of a site: a directory of card directories, looked up by what a model is, or by what it is called."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType

from emulator.card import BrokenCard, Card
from emulator.card_files import read_card
from emulator.model import EngineName, Model, load
from emulator.validity import FILE, Validity


class UnknownModel(LookupError):
    """No card, or more than one, fits what was asked for."""


class Registry:
    """All cards in the sub-directories of `path`, read once; `reload` returns a fresh one.

    Attributes
    ----------
    broken
        Directory -> what is wrong with it. One bad card does not take the others away.
    validity
        When each card was meant by its label, from `validity.toml`; empty where there is none.

    Raises
    ------
    NotADirectoryError
        `path` is not a directory.
    BadValidity
        `validity.toml` cannot be followed.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            raise NotADirectoryError(f"{self.path} is not a directory: name the directory that holds the cards")
        cards: list[Card] = []
        broken: dict[Path, str] = {}
        for entry in sorted(self.path.iterdir()):
            if not entry.is_dir() or entry.name.startswith("."):
                continue
            try:
                cards.append(read_card(entry))
            except BrokenCard as error:
                broken[entry] = str(error)
        self._cards = tuple(cards)
        self.broken: Mapping[Path, str] = MappingProxyType(broken)
        self.validity = Validity.read(self.path, cards)

    def __iter__(self) -> Iterator[Card]:
        return iter(self._cards)

    def __len__(self) -> int:
        return len(self._cards)

    def reload(self) -> Registry:
        """Return a registry of what is in the directory now."""
        return Registry(self.path)

    def by_digest(self, digest: str) -> Card:
        """Return the card of a digest, or of the beginning of one; raises `UnknownModel` unless exactly one fits."""
        wanted = digest if digest.startswith("sha256:") else f"sha256:{digest}"
        found = {card.digest: card for card in self._cards if card.digest.startswith(wanted)}
        if len(found) == 1:
            return next(iter(found.values()))
        if not found:
            raise UnknownModel(
                f"no card in {self.path} has digest {digest!r}; known are {self._listed()}: import the model"
            )
        raise UnknownModel(f"{len(found)} cards in {self.path} begin with {digest!r}: give more digits")

    def by_label(self, label: str) -> tuple[Card, ...]:
        """Return all cards with this label: none, one, or several with different digests."""
        return tuple(card for card in self._cards if card.label == label)

    def valid(self, label: str, *, run: int, menu: str) -> Card:
        """Return the card that a label meant in a run under a menu; raises `UnknownModel` unless exactly one is known.

        Where `validity.toml` says nothing about a label, the only card that has it is meant.
        """
        named = self.by_label(label)
        if any(interval.label == label for interval in self.validity.intervals):
            digests = self.validity.digests(label, runs=(run, run), menu=menu)
            named = tuple(card for card in named if card.digest in digests)
        if len({card.digest for card in named}) == 1:
            return named[0]
        raise UnknownModel(
            f"{len(named)} cards in {self.path} are meant by {label!r} in run {run} under menu {menu!r}: "
            f"give each its runs in {FILE}"
        )

    def shared_labels(self) -> dict[str, tuple[str, ...]]:
        """Return the labels that name more than one model, with their digests: to be told to people."""
        digests: dict[str, set[str]] = {}
        for card in self._cards:
            digests.setdefault(card.label, set()).add(card.digest)
        return {label: tuple(sorted(several)) for label, several in digests.items() if len(several) > 1}

    def load(self, digest: str, engine: EngineName = "auto") -> Model:
        """Load the card of a digest, checked; raises `UnknownModel` and whatever `emulator.load` raises."""
        return load(self.by_digest(digest).path, engine)

    def _listed(self) -> str:
        return ", ".join(f"{card.label} {card.digest[:19]}…" for card in self._cards) or "none"
