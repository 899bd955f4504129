"""Every place of a few sizes in the eta-phi grids: where a scan looks for what is dead or hot.

A window is a rectangle of cells; it wraps around in phi. Layers are the grids and, where several kinds of objects are
counted in towers of one size, all of these together: what is broken in a calorimeter is so for jets and e/gammas alike.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.observe.grid import Grid
from monitor.observe.maps import place
from monitor.observe.section import Region
from monitor.observe.shape import Shape

SIZES = (  # family, cells in eta, cells in phi, steps between windows
    ("tower", 1, 1, 1),
    ("tower", 2, 2, 1),
    ("block", 4, 4, 2),
    ("region", 8, 8, 4),
    ("region", 16, 8, 4),
)
Interval = tuple[float, float]
Floats = NDArray[np.floating]
_WIDEST = max(wide for _, _, wide, _ in SIZES)


@dataclass(frozen=True, slots=True)
class Layer:
    """One grid, or several of one plane on the rows that all of them have; the first gives the coordinates."""

    grids: tuple[Grid, ...]
    above: int
    rows: int

    @property
    def name(self) -> str:
        """The object group's name, or `egamma+jet`."""
        return "+".join(grid.name for grid in self.grids)

    @property
    def columns(self) -> int:
        """Cells in phi."""
        return self.grids[0].columns

    def of(self, towers: NDArray[Any]) -> Floats:
        """Return the layer's counts (…, rows, columns) from a summary's `towers` or anything like it (…, cells).

        Singles stay singles, all else becomes doubles.
        """
        single = towers.dtype == np.float32
        total = np.zeros((*towers.shape[:-1], self.rows, self.columns), np.float32 if single else np.float64)
        for grid in self.grids:
            start = self.above - grid.above
            total += grid.of(towers)[..., start : start + self.rows, :]
        return total


@dataclass(frozen=True, slots=True, eq=False)
class Pane:
    """All windows of one size in one layer.

    Attributes
    ----------
    first
        Index of its first window among all of a shape's.
    step
        Rows and columns from one window to the next; there is always one that ends with the last row.
    rows, columns : int64
        Upper rows and left columns; windows are in the order of (row, column).
    """

    layer: int
    family: str
    tall: int
    wide: int
    step: int
    first: int
    rows: NDArray[np.int64]
    columns: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.rows) * len(self.columns)


@dataclass(frozen=True, slots=True, eq=False)
class Windows:
    """All windows of a shape, pane by pane."""

    layers: tuple[Layer, ...]
    panes: tuple[Pane, ...]

    def __len__(self) -> int:
        return sum(len(pane) for pane in self.panes)

    def sums(self, fields: list[Floats]) -> Floats:
        """Return the sum over every window (…, w), given one array (…, rows, columns) per layer; in their type."""
        if not fields:
            return np.zeros(0)
        added = [_Sums(field) for field in fields]
        leading = fields[0].shape[:-2]
        found = np.empty((*leading, len(self)), fields[0].dtype)
        for pane in self.panes:
            every = added[pane.layer].of(pane.tall, pane.wide)[..., : int(pane.columns[-1]) + 1 : pane.step]
            into = found[..., pane.first : pane.first + len(pane)].reshape(*leading, len(pane.rows), -1)
            into[..., :-1, :] = every[..., : -1 : pane.step, :]
            into[..., -1, :] = every[..., -1, :]
        return found

    def where(self, holds: Callable[[str | None, Interval | None, Interval | None], bool]) -> NDArray[np.bool_]:
        """Return for which windows (w,) `holds` says yes, given object, eta and phi."""
        regions = (self.region(window) for window in range(len(self)))
        return np.fromiter((holds(each.object, each.eta, each.phi) for each in regions), np.bool_, len(self))

    def pane_of(self, window: int) -> Pane:
        """Return the pane that a window is in."""
        return next(pane for pane in self.panes if pane.first <= window < pane.first + len(pane))

    def region(self, window: int) -> Region:
        """Return where a window looks; `object` is None where several kinds are counted together."""
        pane = self.pane_of(window)
        layer, grid = self.layers[pane.layer], self.layers[pane.layer].grids[0]
        row, column = self._corner(pane, window)
        row += layer.above - grid.above
        return Region(
            object=grid.name if len(layer.grids) == 1 else None,
            eta=None if grid.flat else (grid.eta_edge(row), grid.eta_edge(row + pane.tall)),
            phi=(grid.phi_edge(column), grid.phi_edge(column + pane.wide)),
        )

    def name(self, window: int) -> str:
        """Return what a verdict calls a window: `jet region eta [-2.91, -1.52) phi [4.89, 5.59)`."""
        pane = self.pane_of(window)
        return f"{self.layers[pane.layer].name} {pane.family} {place(self.region(window))}"

    def overlap(self, one: int, other: int) -> bool:
        """Say whether two windows share a cell of the detector; those of different planes do not."""
        panes = self.pane_of(one), self.pane_of(other)
        layers = [self.layers[pane.layer] for pane in panes]
        if layers[0].grids[0].plane != layers[1].grids[0].plane:
            return False
        (top, left), (low, right) = (self._corner(pane, w) for pane, w in zip(panes, (one, other), strict=True))
        down = low + layers[1].above - top - layers[0].above
        across, around = right - left, layers[0].columns
        return -panes[1].tall < down < panes[0].tall and (
            across % around < panes[0].wide or -across % around < panes[1].wide
        )

    def _corner(self, pane: Pane, window: int) -> tuple[int, int]:
        row, column = divmod(window - pane.first, len(pane.columns))
        return int(pane.rows[row]), int(pane.columns[column])


@lru_cache(maxsize=64)
def windows(shape: Shape) -> Windows:
    """Return the windows of a shape; remembered, because every judged lumisection asks."""
    layers = (*(Layer((grid,), grid.above, grid.rows) for grid in shape.grids), *_together(shape.grids))
    panes: list[Pane] = []
    for number, layer in enumerate(layers):
        sizes = dict.fromkeys((f, min(tall, layer.rows), min(wide, layer.columns), s) for f, tall, wide, s in SIZES)
        for family, tall, wide, step in sizes:
            first = panes[-1].first + len(panes[-1]) if panes else 0
            rows = np.unique([*range(0, layer.rows - tall, step), layer.rows - tall])
            columns = np.arange(0, layer.columns if wide < layer.columns else 1, step)
            panes.append(Pane(number, family, tall, wide, step, first, rows, columns))
    return Windows(layers, tuple(panes))


def _together(grids: tuple[Grid, ...]) -> Iterator[Layer]:
    for plane in dict.fromkeys(grid.plane for grid in grids):
        same = tuple(grid for grid in grids if grid.plane == plane)
        above = max(grid.above for grid in same)
        rows = min(grid.above + grid.rows for grid in same) - above
        if len(same) > 1 and rows > 0:
            yield Layer(same, above, rows)


class _Sums:
    """Sums over rectangles of a field (…, rows, columns) that goes on around phi as far as windows reach.

    A rectangle is the sum of its two halves, and windows of one size are halves of those of the next.
    """

    def __init__(self, field: Floats) -> None:
        self._of = {(1, 1): np.concatenate([field, field[..., : _WIDEST - 1]], axis=-1)}

    def of(self, tall: int, wide: int) -> Floats:
        """Return the sum of every `tall` x `wide` rectangle, by its upper left corner."""
        found = self._of.get((tall, wide))
        if found is None:
            found = self._of[tall, wide] = self._halves(tall, wide)
        return found

    def _halves(self, tall: int, wide: int) -> Floats:
        if wide >= tall:
            half = wide // 2
            left, right = self.of(tall, half), self.of(tall, wide - half)
            return left[..., : right.shape[-1] - half] + right[..., half:]
        half = tall // 2
        upper, lower = self.of(half, wide), self.of(tall - half, wide)
        return upper[..., : lower.shape[-2] - half, :] + lower[..., half:, :]
