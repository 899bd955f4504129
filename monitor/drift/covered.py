"""Which quantities and windows are silent because of what is known to be going on."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from monitor.observe.grid import Grid
from monitor.observe.quantities import catalogue
from monitor.observe.shape import Shape
from monitor.observe.windows import windows
from monitor.trigger.known import Known


@dataclass(frozen=True, slots=True, eq=False)
class Covered:
    """True where nothing is gathered: `quantities` (q,) of the catalogue, and `windows` (w,).

    `cells` (cells,) are those of a summary's `towers` that lie in a known place: the rest of a row is judged without.
    """

    quantities: NDArray[np.bool_]
    windows: NDArray[np.bool_]
    cells: NDArray[np.bool_]


@lru_cache(maxsize=64)
def covered_by(known: tuple[Known, ...], shape: Shape) -> Covered:
    """Return what known conditions cover; remembered, because they last for many lumisections.

    A place or an object covers what is mixed too: there are the inputs in it that are known to differ.
    """
    quantities, panes = catalogue(shape), windows(shape)
    silent, dark = np.zeros(len(quantities), np.bool_), np.zeros(len(panes), np.bool_)
    cells = np.zeros(shape.arrays()["towers"], np.bool_)
    for each in known:
        pairs = zip(quantities.names, quantities.regions, strict=True)
        silent |= np.asarray([each.names(name) or each.meets(r.object, r.eta, r.phi) for name, r in pairs], np.bool_)
        if each.quantities:
            dark |= np.asarray([each.names(panes.name(window)) for window in range(len(panes))], np.bool_)
        if each.somewhere:
            silent |= quantities.mixed
            dark |= panes.where(each.meets)
            for grid in shape.grids:
                grid.of(cells)[:] |= _cells(grid, each)
    return Covered(silent, dark, cells)


def _cells(grid: Grid, known: Known) -> NDArray[np.bool_]:
    """Return which cells (rows, columns) of a grid share something with a known place."""
    rows, columns = range(grid.rows), range(grid.columns)
    etas = [None if grid.flat else (grid.eta_edge(row), grid.eta_edge(row + 1)) for row in rows]
    phis = [(grid.phi_edge(column), grid.phi_edge(column + 1)) for column in columns]
    return np.asarray([[known.meets(grid.name, eta, phi) for phi in phis] for eta in etas], np.bool_)
