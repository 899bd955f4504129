"""What re-emulates: the registry, as this room needs to see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.graph import Program
from emulator.layout import Layout

UNKNOWN_MODEL = "unknown-model"  # no card has the announced label
AMBIGUOUS_LABEL = "ambiguous-label"  # several cards have it, and the producer announces no digest
UNKNOWN_DIGEST = "unknown-digest"  # the producer announces a digest that no card has
EMULATOR_FAILED = "emulator-failed"  # the card is known, its engine did not answer, or not for this event
OUTSIDE_FORMAT = "outside-format"  # the event holds integers that the model's input bits cannot hold

REASONS = (UNKNOWN_MODEL, AMBIGUOUS_LABEL, UNKNOWN_DIGEST, EMULATOR_FAILED, OUTSIDE_FORMAT)


class Rescorer(Protocol):
    """One registered model, loaded: the answer to "what should the hardware have said?"."""

    @property
    def digest(self) -> str:
        """Content digest, `sha256:…`."""
        ...

    @property
    def label(self) -> str:
        """The name that the menu announces for it."""
        ...

    @property
    def layout(self) -> Layout | None:
        """Which input is which physics object, if the card says so."""
        ...

    @property
    def inputs(self) -> int:
        """Number of raw inputs."""
        ...

    @property
    def outputs(self) -> int:
        """Number of raw outputs."""
        ...

    @property
    def threshold(self) -> int | None:
        """Raw threshold: accepted where output 0 is at or over it; None if the card names none."""
        ...

    @property
    def program(self) -> Program | None:
        """The exact integer program, in which single bits can be flipped; None if there is none."""
        ...

    def score(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Return the raw scores, int64 (n, outputs), of raw inputs (n, inputs).

        May raise: after `emulator.poison.Poison` the events that have scores are compared, after anything else none.
        """
        ...

    def fits(self, raw: NDArray[Any]) -> NDArray[np.bool_]:
        """Return bool (n,): which events hold only integers that the model's input bits can hold."""
        ...


@dataclass(frozen=True, slots=True)
class NotComparable:
    """Why a batch cannot be re-emulated; `reason` is one of `REASONS`, `detail` a sentence for people.

    `layout` and `threshold` are given where they are known without knowing the model exactly (all candidates of an
    ambiguous label agree on them), so that conditions are still judged by name and place.
    """

    reason: str
    detail: str = ""
    layout: Layout | None = None
    threshold: int | None = None


class Shelf(Protocol):
    """The registry of models, loaded as needed."""

    def find(self, label: str, digest: str | None, *, runs: tuple[int, int], menu: str) -> Rescorer | NotComparable:
        """Return the model that the producer names: by digest if one is announced, else by its label.

        `runs` are the first and the last run of the events, `menu` their menu: a label may mean another model later.
        """
        ...

    def all(self) -> Sequence[Rescorer]:
        """Return every registered model, in an order that never changes."""
        ...
