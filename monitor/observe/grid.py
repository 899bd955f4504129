"""The fine eta-phi grid of an object group: cells about as large as a trigger tower, 0.087 x 0.087."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.layout import Axis, ObjectGroup
from monitor.observe.binning import cells

TOWER = 0.087
MOST_ROWS, MOST_COLUMNS = 128, 72


@dataclass(frozen=True, slots=True)
class Grid:
    """Rows in eta, columns in phi; cells of one grid lie together in a summary's `towers`, row by row.

    Attributes
    ----------
    name
        The object group's.
    eta, phi
        The group's axes.
    first
        Index of its first cell in `towers`.
    rows, columns
        Of the grid; a group without a spread in eta has one row.
    height
        Raw eta units in a row.
    plane
        Grids of one plane have rows and columns of equal size: their objects can be counted together.
    above
        Row of the plane that the grid's row 0 is.
    """

    name: str
    eta: Axis
    phi: Axis
    first: int
    rows: int
    columns: int
    height: int
    plane: int
    above: int

    @property
    def size(self) -> int:
        """Number of cells."""
        return self.rows * self.columns

    @property
    def flat(self) -> bool:
        """True where eta says nothing, as for missing momentum."""
        return self.rows == 1

    def row(self, raw: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row of raw eta, in [0, rows)."""
        return np.clip((raw - self.eta.low) // self.height, 0, self.rows - 1)

    def column(self, raw: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the column of raw phi, in [0, columns)."""
        return cells(self.phi, self.columns, raw)

    def eta_edge(self, row: int) -> float:
        """Return the lower physical edge of a row; that of row `rows` is the end."""
        return self.eta.lsb * min(self.eta.low + row * self.height, self.eta.high)

    def phi_edge(self, column: int) -> float:
        """Return the lower physical edge of a column, which may lie beyond the period."""
        return self.phi.lsb * (self.phi.low + (self.phi.high - self.phi.low) * column / self.columns)

    def of(self, towers: NDArray[Any]) -> NDArray[Any]:
        """Return this grid's part (…, rows, columns) of a summary's `towers`, or of anything like it (…, cells)."""
        return towers[..., self.first : self.first + self.size].reshape(*towers.shape[:-1], self.rows, self.columns)


def grids_of(groups: tuple[ObjectGroup, ...]) -> tuple[Grid, ...]:
    """Return the grids of groups that have an eta and a phi, in their order."""
    found: list[Grid] = []
    planes: list[tuple[float, float, int, bool]] = []
    axes = [(group, _axis(group, "eta"), _axis(group, "phi")) for group in groups]
    for group, eta, phi in axes:
        height, columns = _height(eta), _columns(phi)
        flat = eta.high - eta.low <= height
        # Rows must begin at the same eta for all grids of a plane: at the end of the widest.
        lowest = eta.low if flat else min(e.low for _, e, _ in axes if (e.lsb, _height(e)) == (eta.lsb, height))
        above, odd = divmod(eta.low - lowest, height)
        kind = (eta.lsb, phi.lsb * (phi.high - phi.low), columns, flat)
        if kind not in planes:
            planes.append(kind)
        aligned = Axis(eta.name, eta.lsb, eta.unit, eta.low - odd, eta.high, eta.periodic)
        rows = -(-(aligned.high - aligned.low) // height)
        first = found[-1].first + found[-1].size if found else 0
        found.append(Grid(group.name, aligned, phi, first, rows, columns, height, planes.index(kind), above))
    return tuple(found)


def _axis(group: ObjectGroup, name: str) -> Axis:
    return next(axis for axis in group.axes if axis.name == name)


def _height(eta: Axis) -> int:
    span = eta.high - eta.low
    return max(1, round(TOWER / eta.lsb), -(-span // MOST_ROWS)) if eta.lsb > 0 else max(1, -(-span // MOST_ROWS))


def _columns(phi: Axis) -> int:
    span = phi.high - phi.low
    return max(1, min(span, round(span * phi.lsb / TOWER), MOST_COLUMNS))
