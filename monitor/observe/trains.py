"""Bunch trains: which crossings of an orbit hold bunches, and where in its train each crossing lies.

Nobody has to say how the machine was filled: the crossings with bunches are those that hold events. A crossing lies
first, second, … in its train counted from the last empty one; pulses of the bunches before it have not yet piled up
there. The two empty crossings on either side of a train hold what is read out too early or too late.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

PLACES = (
    "two before a train",
    "one before a train",
    "first of a train",
    "second of a train",
    "third of a train",
    "fourth to eighth of a train",
    "further in a train",
    "last of a train",
    "one after a train",
    "two after a train",
    "far from any train",
)
BEFORE_2, BEFORE_1, FIRST, SECOND, THIRD, FOURTH, FURTHER, LAST, AFTER_1, AFTER_2, FAR = range(len(PLACES))
FILLED = slice(FIRST, AFTER_1)
"""The places of crossings that hold bunches."""

_EIGHTH = 8
ENOUGH = 20
"""Events that a filled crossing must hold on average before filled and empty are told apart."""
SHARE = 0.25
"""Share of that average from which on a crossing counts as filled: at 20, one in 14,000 filled ones is missed."""


@dataclass(frozen=True, slots=True, eq=False)
class Trains:
    """Where every crossing lies: `place` int64 (crossings,), into `PLACES`."""

    place: NDArray[np.int64]

    @classmethod
    def of(cls, events: NDArray[np.int64]) -> Trains | None:
        """Return the trains of a run that has had `events` (crossings,) so far; None while these are too few to tell.

        The average of the filled crossings is estimated as sum n (n - 1) / sum n, to which empty ones add nothing.
        """
        total = int(events.sum())
        if not total:
            return None
        usual = float((events * (events - 1)).sum()) / total
        return _trains((events > SHARE * usual).tobytes()) if usual >= ENOUGH else None

    def count(self, events: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return events (crossings,) added up by place (places,)."""
        counted = np.zeros(len(PLACES), np.int64)
        np.add.at(counted, self.place, events)
        return counted

    @property
    def crossings(self) -> NDArray[np.int64]:
        """How many crossings of an orbit lie at each place (places,)."""
        return np.bincount(self.place, minlength=len(PLACES))


@lru_cache(maxsize=16)
def _trains(filled: bytes) -> Trains:
    # Remembered, because every judged lumisection asks and a run is filled the same way from its first to its last.
    return Trains(_places(np.frombuffer(filled, np.bool_)))


def _places(filled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the place of every crossing; orbits follow each other, so the last crossing is the neighbour of the first.

    Between trains so close that a crossing is behind one and before the next, it is the one that is nearer.
    """
    place = np.full(len(filled), FAR, np.int64)
    if filled.all():
        return np.full(len(filled), FURTHER, np.int64)
    for distance, before, after in ((2, BEFORE_2, AFTER_2), (1, BEFORE_1, AFTER_1)):
        place[~filled & np.roll(filled, -distance)] = before
        place[~filled & np.roll(filled, distance)] = after
    position = _positions(filled)
    place[filled] = np.minimum(FIRST + position[filled] - 1, FOURTH)
    place[filled & (position > _EIGHTH)] = FURTHER
    place[filled & ~np.roll(filled, -1) & (position > 1)] = LAST
    return place


def _positions(filled: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return how many filled crossings in a row end with each one (crossings,); 0 where it is empty."""
    twice = np.concatenate([filled, filled])  # the second time around, trains over the end of the orbit are whole
    number = np.arange(len(twice))
    last_empty = np.maximum.accumulate(np.where(twice, -1, number))
    return (number - last_empty)[len(filled) :]
