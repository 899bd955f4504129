"""Cards as a shelf, for tests that need no registry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator import Model
from emulator.layout import Layout
from monitor.watch.shelf import UNKNOWN_MODEL, NotComparable


@dataclass(frozen=True)
class OnShelf:
    model: Model

    @property
    def digest(self) -> str:
        return self.model.card.digest

    @property
    def label(self) -> str:
        return self.model.card.label

    @property
    def layout(self) -> Layout | None:
        return self.model.card.layout

    @property
    def inputs(self) -> int:
        return self.model.card.n_inputs

    @property
    def outputs(self) -> int:
        return self.model.card.n_outputs

    @property
    def threshold(self) -> int | None:
        return self.model.card.threshold

    def score(self, raw: NDArray[Any]) -> NDArray[Any]:
        return self.model.score(raw)

    def fits(self, raw: NDArray[Any]) -> NDArray[np.bool_]:
        return self.model.fits(raw)


@dataclass(frozen=True)
class Cards:
    models: Sequence[Model]

    def find(self, label: str, digest: str | None) -> OnShelf | NotComparable:
        found = [each for each in self.all() if each.digest == digest or (digest is None and each.label == label)]
        return found[0] if found else NotComparable(UNKNOWN_MODEL)

    def all(self) -> Sequence[OnShelf]:
        return [OnShelf(model) for model in self.models]
