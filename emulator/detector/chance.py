"""Where every random number comes from: one seed, one branch per purpose, so that any lumisection stands alone."""

from __future__ import annotations

from enum import IntEnum

import numpy as np


class Purpose(IntEnum):
    """What a branch of the seed is for; two purposes never share a random number."""

    FILL = 1
    CROSSINGS = 2
    RESPONSE = 3
    FAULT = 4
    DELIVERY = 5
    UPSET = 6


def generator(seed: int, purpose: Purpose, *path: int) -> np.random.Generator:
    """Return the generator of one branch: equal arguments give equal numbers, on every machine and in any order."""
    return np.random.Generator(np.random.SFC64(np.random.SeedSequence((seed, int(purpose), *path))))
