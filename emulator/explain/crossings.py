"""Events that were given the inputs of another bunch crossing: the score of a neighbour in the place of their own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

OFFSETS = (-2, -1, 1, 2)


def crossings(orbit: NDArray[Any], bx: NDArray[Any]) -> Iterator[tuple[str, NDArray[np.int64]]]:
    """Yield (words, neighbour int64 (n,)) for the two crossings before each event's own and the two behind it.

    `neighbour` is the row of the first event of that crossing of the same orbit among the given ones, of `orbit` (n,)
    and `bx` (n,); -1 where none was recorded.
    """
    first = {place: row for row, place in reversed(list(enumerate(zip(orbit.tolist(), bx.tolist(), strict=True))))}
    for offset in OFFSETS:
        places = zip(orbit.tolist(), (bx.astype(np.int64) + offset).tolist(), strict=True)
        rows = np.asarray([first.get(place, -1) for place in places], np.int64)
        yield f"the inputs of BX{offset:+d}", rows
