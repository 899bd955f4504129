"""The registry of cards as the watching room wants it: loaded once, found by digest or by an unambiguous label."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from emulator import BrokenCard, Card, EngineUnavailable, Model, NotCompiled, Registry, Validity
from emulator.graph import Program
from emulator.layout import Layout
from emulator.model import EngineName
from monitor.watch import shelf
from monitor.watch.shelf import NotComparable

# What a folder of cards may bring: a changed card, an engine that is not there, C++ without a compiler.
UNUSABLE = (BrokenCard, EngineUnavailable, NotCompiled, OSError)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model on the shelf."""

    model: Model

    @property
    def digest(self) -> str:
        """Content digest."""
        return self.model.card.digest

    @property
    def label(self) -> str:
        """The name that the menu announces."""
        return self.model.card.label

    @property
    def layout(self) -> Layout | None:
        """Which input is which object."""
        return self.model.card.layout

    @property
    def inputs(self) -> int:
        """Number of raw inputs."""
        return self.model.card.n_inputs

    @property
    def outputs(self) -> int:
        """Number of raw outputs."""
        return self.model.card.n_outputs

    @property
    def threshold(self) -> int | None:
        """Raw threshold on output 0."""
        return self.model.card.threshold

    @property
    def program(self) -> Program | None:
        """The exact integer program, if the card has one."""
        return self.model.program

    def score(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return raw scores, int64 (n, outputs)."""
        return self.model.score(raw)

    def fits(self, raw: NDArray[Any]) -> NDArray[np.bool_]:
        """Return which events hold only integers that the model's input bits can hold."""
        return self.model.fits(raw)


class CardShelf:
    """Every card of a registry, loaded and checked at the start: a broken one is known before it is needed.

    One bad card does not take the others away: it is left out, and `problems` says so until it is mended.
    """

    def __init__(self, models: Iterable[Model] = ()) -> None:
        self._by_digest: Mapping[str, Loaded] = {}
        self._problems: tuple[str, ...] = ()
        self._validity = Validity()
        self._add(models)

    @classmethod
    def open(cls, registry: Registry, *, engine: EngineName = "auto") -> CardShelf:
        """Load every card of `registry` that can be used."""
        shelf = cls()
        shelf.renew(registry, engine=engine)
        return shelf

    @property
    def problems(self) -> tuple[str, ...]:
        """Which cards were left out when the folder was read last, and why; one sentence each."""
        return self._problems

    def renew(self, registry: Registry, *, engine: EngineName = "auto") -> tuple[str, ...]:
        """Add the cards that are new in `registry`; return what was added. Those that are loaded stay."""
        new: list[Model] = []
        problems = [f"card {path.name} is left out: {why}" for path, why in registry.broken.items()]
        for card in registry:
            if card.digest in self._by_digest:
                continue
            try:
                new.append(registry.load(card.digest, engine=engine))
            except UNUSABLE as error:
                problems.append(f"card {card.path.name} is left out: {error}")
        self._problems, self._validity = tuple(problems), registry.validity
        self._add(new)
        return tuple(f"model {model.card.label} {model.card.digest} added" for model in new)

    def _add(self, models: Iterable[Model]) -> None:
        every = [*self._by_digest.values(), *(Loaded(model) for model in models)]
        # One assignment: the loop, in another thread, sees all of the old or all of the new.
        self._by_digest = {each.digest: each for each in sorted(every, key=lambda each: (each.label, each.digest))}

    def find(self, label: str, digest: str | None, *, runs: tuple[int, int], menu: str) -> Loaded | NotComparable:
        """Return the model that a batch names, or why there is none."""
        if digest is not None:
            known = self._by_digest.get(digest)
            return known or NotComparable(shelf.UNKNOWN_DIGEST, f"no card has digest {digest} (announced as {label!r})")
        named = [each for each in self._by_digest.values() if each.label == label]
        if not named:
            return NotComparable(shelf.UNKNOWN_MODEL, f"no card is called {label!r}")
        if any(interval.label == label for interval in self._validity.intervals):
            digests = self._validity.digests(label, runs=runs, menu=menu)
            valid = [each for each in named if each.digest in digests]
            if not valid:
                when = f"runs {runs[0]} to {runs[1]}" if runs[0] != runs[1] else f"run {runs[0]}"
                return _ambiguous(named, f"no card called {label!r} is valid in {when} under menu {menu!r}")
            named = valid
        if len(named) > 1:
            said = f"{len(named)} cards are called {label!r} and the producer announces no digest"
            return _ambiguous(named, said)
        return named[0]

    def all(self) -> Sequence[Loaded]:
        """Return every model, by label and digest."""
        return tuple(self._by_digest.values())

    def cards(self) -> tuple[Card, ...]:
        """Return the card of every model on the shelf."""
        return tuple(each.model.card for each in self._by_digest.values())

    def engine(self, digest: str) -> str:
        """Return the name of the engine that answers for `digest`, "" if no card has it."""
        known = self._by_digest.get(digest)
        return known.model.engine if known else ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what the engines started."""
        for each in self._by_digest.values():
            each.model.close()


def _ambiguous(named: Sequence[Loaded], said: str) -> NotComparable:
    layouts, thresholds = {each.layout for each in named}, {each.threshold for each in named}
    return NotComparable(
        shelf.AMBIGUOUS_LABEL,
        said,
        layout=named[0].layout if len(layouts) == 1 else None,
        threshold=named[0].threshold if len(thresholds) == 1 else None,
    )
