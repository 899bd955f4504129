"""What is normal from place to place: how the objects of a row in eta share its cells in phi.

Given how many objects there are in a row, how they spread over phi is multinomial with shares that neither pile-up nor
the luminometer can change: a scan that compares each place with its own row needs no curve over pile-up, and counts of
different places need no common scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.observe.shape import Shape
from monitor.observe.summary import Summary
from monitor.observe.windows import Windows, windows

Floats = NDArray[np.float64]

PSEUDO = 1.0
"""Objects that are added to every row, evenly over its cells: a cell that was never hit is not impossible."""
UNSEEN_WOBBLE = 0.01
QUIETEST = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class Places:
    """Counts of the reference fills, and how much they vary.

    Attributes
    ----------
    towers : int64 (cells,)
        Objects in every cell of the summary's `towers`.
    noise : float64 (panes,)
        Variance of a window's count over Poisson, one number for all windows of a pane.
    wobble : float64 (panes,)
        Standard deviation between fills beyond noise, as a share of the count.
    lumisections, fills
        How many were added up.
    """

    towers: NDArray[np.int64]
    noise: Floats
    wobble: Floats
    lumisections: int
    fills: int

    def shared(self, shape: Shape, towers: NDArray[np.int64], *, dark: NDArray[np.bool_] | None = None) -> Floats:
        """Return the expected count of every cell, given how many objects the rows of `towers` hold; (cells,).

        What is known of the `dark` cells is left out of their rows: it says nothing of the others.
        """
        if dark is None or not dark.any():
            return _spread(_shares(self, shape), shape, towers)
        return _spread(_shares_of(np.where(dark, 0, self.towers), shape), shape, np.where(dark, 0, towers))


def learn_places(rows: Sequence[Summary]) -> Places:
    """Learn from summaries of one shape, at least one, in the order of time."""
    shape, panes = rows[0].shape, windows(rows[0].shape)
    towers = np.sum([row.counts["towers"] for row in rows], axis=0)
    runs = np.unique([row.key.lumisection.run for row in rows], return_inverse=True)[1]
    fills = int(runs.max()) + 1
    shares = _shares_of(towers, shape)
    squares, expected = np.zeros(len(panes)), np.zeros(len(panes))
    off, wanted = np.zeros((fills, len(panes))), np.zeros((fills, len(panes)))
    for fill, row in zip(runs.tolist(), rows, strict=True):
        seen = row.counts["towers"]
        hoped = counted_in(panes, _spread(shares, shape, seen))
        difference = counted_in(panes, seen) - hoped
        squares += difference**2
        expected += hoped
        off[fill] += difference
        wanted[fill] += hoped
    noise = _by_pane(panes, squares) / np.maximum(_by_pane(panes, expected), 1.0)
    noise = np.maximum(noise, QUIETEST)
    # The method of moments (DerSimonian and Laird 1986), over all windows of a pane at once.
    excess = _by_pane(panes, (off**2).sum(axis=0)) - noise * _by_pane(panes, wanted.sum(axis=0))
    size = np.maximum(_by_pane(panes, (wanted**2).sum(axis=0)), 1.0)
    correction = fills / max(fills - 1, 1)  # each fill has a share in what it is compared with
    wobble = np.sqrt(np.maximum(excess, 0.0) * correction / size) if fills > 1 else np.zeros(len(noise))
    return Places(towers, noise, np.maximum(wobble, UNSEEN_WOBBLE), len(rows), fills)


def counted_in(panes: Windows, cells: NDArray[Any]) -> NDArray[Any]:
    """Return the sum of `cells` (…, cells), like the summary's `towers`, over every window (…, w).

    Singles are added up as singles, all else as doubles.
    """
    return panes.sums([layer.of(cells) for layer in panes.layers])


def _by_pane(panes: Windows, values: Floats) -> Floats:
    return np.asarray([values[pane.first : pane.first + len(pane)].sum() for pane in panes.panes])


@lru_cache(maxsize=16)
def _shares(places: Places, shape: Shape) -> Floats:
    # Remembered, because every judged lumisection asks; places never change.
    return _shares_of(places.towers, shape)


def _shares_of(reference: NDArray[np.int64], shape: Shape) -> Floats:
    """Return the share that every cell has in its row (cells,)."""
    found = np.zeros(len(reference))
    for grid in shape.grids:
        learnt = grid.of(reference) + PSEUDO / grid.columns
        grid.of(found)[:] = learnt / learnt.sum(axis=1, keepdims=True)
    return found


def _spread(shares: Floats, shape: Shape, towers: NDArray[np.int64]) -> Floats:
    """Return the objects that each row of `towers` holds, shared out among its cells (cells,)."""
    expected = np.empty(len(towers))
    for grid in shape.grids:
        grid.of(expected)[:] = grid.of(shares) * grid.of(towers).sum(axis=1, keepdims=True)
    return expected
