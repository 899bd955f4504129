"""The board that scores events: the announced model, the version before it, and the announced one with a flipped bit.

Which bit flips is part of the run's seed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import emulator
from emulator import card_files
from emulator.detector.chance import Purpose, generator
from emulator.engines.gemm import GemmEngine
from emulator.formats import Raw
from emulator.graph import Dense, Program

MODELS = Path(__file__).with_name("models")
ANNOUNCED = "l1anomaly_v2"
STALE = "l1anomaly_v1"
# An upset that shows in fewer events than this is real, but would make a dull scenario.
_SHOWS_IN = 0.01


class Board:
    """Integer programs of the committed cards; each is loaded when it first scores."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._upset: GemmEngine | None = None

    def announced(self, inputs: NDArray[np.integer]) -> Raw:
        """Return raw scores (n, 1) of the model that the menu names."""
        return self.model.score(inputs)

    def stale(self, inputs: NDArray[np.integer]) -> Raw:
        """Return raw scores (n, 1) of the version before it."""
        return self._stale.score(inputs)

    def upset(self, inputs: NDArray[np.integer]) -> Raw:
        """Return raw scores (n, 1) of the announced model with one weight bit flipped.

        The first inputs decide which bit: the first one drawn that shows in at least 1 % of them.
        """
        events = inputs.astype(np.int64)
        if self._upset is None:
            self._upset = self._choose_upset(events)
        return self._upset.score(events)

    @cached_property
    def model(self) -> emulator.Model:
        """The announced model."""
        return emulator.load(_card(ANNOUNCED), engine="gemm")

    @cached_property
    def threshold(self) -> int:
        """The raw score from which the announced model accepts."""
        threshold = self.model.card.threshold
        if threshold is None:
            raise ValueError(f"card {ANNOUNCED} has no threshold, so the board cannot decide: import it with one")
        return threshold

    @cached_property
    def _stale(self) -> emulator.Model:
        return emulator.load(_card(STALE), engine="gemm")

    def _choose_upset(self, events: Raw) -> GemmEngine:
        program = card_files.read(_card(ANNOUNCED)).program
        if program is None:
            raise ValueError(f"card {ANNOUNCED} has no integer program, so no weight can be flipped: import it again")
        healthy = self.announced(events)
        for flipped in _upsets(program, generator(self._seed, Purpose.UPSET)):
            engine = GemmEngine(flipped)
            if (engine.score(events) != healthy).mean() >= _SHOWS_IN:
                return engine
        raise ValueError(f"no weight bit of {ANNOUNCED} shows in these {len(events)} events: give more of them")


def _upsets(program: Program, chance: np.random.Generator) -> Iterator[Program]:
    """Yield the program with one bit of one weight flipped, again and again at another place."""
    dense = [layer for layer in program.layers if isinstance(layer, Dense)]
    for _ in range(1000):
        layer = dense[chance.integers(len(dense))]
        weights, width = layer.weights.copy(), layer.weight_format.width
        place = chance.integers(weights.size)
        weights.flat[place] = flip(int(weights.flat[place]), bit=int(chance.integers(width)), width=width)
        upset = replace(layer, weights=weights)
        yield replace(program, layers=tuple(upset if other is layer else other for other in program.layers))


def flip(value: int, *, bit: int, width: int) -> int:
    """Return a signed `width`-bit integer with one bit of its two's complement flipped."""
    pattern = (value ^ (1 << bit)) & ((1 << width) - 1)
    return pattern - (1 << width) if pattern >> (width - 1) else pattern


def _card(label: str) -> Path:
    card = MODELS / label
    if not (card / "card.json").is_file():
        raise FileNotFoundError(
            f"the simulated detector's model {label} is not installed ({card} has no card.json): "
            "reinstall trigwatch, or train it with `python -m emulator.detector.train`"
        )
    return card
