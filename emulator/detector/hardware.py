"""The board that scores events: the announced model, the version before it, and the announced one with a flip."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import emulator

MODELS = Path(__file__).with_name("models")
ANNOUNCED = "l1anomaly_v2"
STALE = "l1anomaly_v1"


class Board:
    """Integer programs of the committed cards; a version is loaded when it first scores."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def announced(self, inputs: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return raw scores (n, 1) of the model that the menu names."""
        return self.model.score(inputs)

    def stale(self, inputs: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return raw scores (n, 1) of the version before it."""
        return self._stale.score(inputs)

    def upset(self, inputs: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return raw scores (n, 1) of the announced model with one weight bit flipped."""
        raise NotImplementedError

    @cached_property
    def model(self) -> emulator.Model:
        """The announced model."""
        return _load(ANNOUNCED)

    @cached_property
    def threshold(self) -> int:
        """The raw score from which the announced model accepts."""
        threshold = self.model.card.threshold
        if threshold is None:
            raise ValueError(f"card {ANNOUNCED} has no threshold, so the board cannot decide: import it with one")
        return threshold

    @cached_property
    def _stale(self) -> emulator.Model:
        return _load(STALE)


def _load(label: str) -> emulator.Model:
    card = MODELS / label
    if not (card / "card.json").is_file():
        raise FileNotFoundError(
            f"the simulated detector's model {label} is not installed ({card} has no card.json): "
            "reinstall trigwatch, or train it with `python -m emulator.detector.train`"
        )
    return emulator.load(card, engine="gemm")
