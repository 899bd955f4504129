"""Quantities of whole eta-phi maps: rings in eta, sectors in phi, and harmonics in phi.

Harmonics find a beam that moved. What is smaller than a ring or a sector is searched for window by window (`windows`).
"""

from __future__ import annotations

from itertools import pairwise
from math import pi
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.observe.events import counted
from monitor.observe.grid import Grid
from monitor.observe.section import Measured, Region, Section, alone
from monitor.observe.shape import Shape
from monitor.observe.summary import Summary

RINGS, SECTORS = 16, 18
HARMONICS = (1, 2, 3)
ANGLES = 4
"""Directions, over half a period, in which every harmonic is measured: whichever way a beam moves, one of them sees at
least 92 % of it."""


def map_sections(shape: Shape) -> tuple[Section, ...]:
    """Return the rings, sectors and harmonics of every object group that has an eta and a phi."""
    found: list[Section] = []
    for grid in shape.grids:
        found += ([] if grid.flat else [_rings(grid)]) + [_sectors(grid), _harmonics((grid,))]
    deep = tuple(grid for grid in shape.grids if not grid.flat)
    if len(deep) > 1 and len({grid.columns for grid in deep}) == 1:
        found.append(_harmonics(deep))
    return tuple(found)


def coarse(grid: Grid, towers: NDArray[Any]) -> NDArray[Any]:
    """Return the grid's counts in at most RINGS x SECTORS cells, for people to look at."""
    return np.asarray(
        np.add.reduceat(np.add.reduceat(grid.of(towers), ring_rows(grid)[:-1]), sector_columns(grid)[:-1], axis=1)
    )


def ring_rows(grid: Grid) -> NDArray[np.int64]:
    """Return the rows at which rings begin, and the end."""
    rings = min(RINGS, grid.rows)
    return np.arange(rings + 1) * grid.rows // rings


def sector_columns(grid: Grid) -> NDArray[np.int64]:
    """Return the columns at which sectors begin, and the end."""
    sectors = min(SECTORS, grid.columns)
    return np.arange(sectors + 1) * grid.columns // sectors


def _rings(grid: Grid) -> Section:
    edges = ring_rows(grid)

    def measure(summary: Summary) -> Measured:
        rows = grid.of(summary.counts["towers"]).sum(axis=1)
        return counted(np.add.reduceat(rows, edges[:-1]), summary.events)

    physical = [grid.eta_edge(int(row)) for row in edges]
    regions = tuple(Region(grid.name, eta=(a, b)) for a, b in pairwise(physical))
    names = tuple(f"{grid.name} ring {place(region)}" for region in regions)
    return Section("ring", counted=True, names=names, regions=regions, measure=alone(measure))


def _sectors(grid: Grid) -> Section:
    edges = sector_columns(grid)

    def measure(summary: Summary) -> Measured:
        columns = grid.of(summary.counts["towers"]).sum(axis=0)
        return counted(np.add.reduceat(columns, edges[:-1]), summary.events)

    physical = [grid.phi_edge(int(column)) for column in edges]
    regions = tuple(Region(grid.name, phi=(a, b)) for a, b in pairwise(physical))
    names = tuple(f"{grid.name} sector {place(region)}" for region in regions)
    return Section("sector", counted=True, names=names, regions=regions, measure=alone(measure))


def place(region: Region) -> str:
    """Return the intervals of a region in words: `eta [-1.20, 0.30) phi [0.00, 0.70)`."""
    eta = "" if region.eta is None else f"eta [{region.eta[0]:.2f}, {region.eta[1]:.2f})"
    phi = "" if region.phi is None else f"phi [{region.phi[0]:.2f}, {region.phi[1]:.2f})"
    return f"{eta} {phi}".strip()


def _harmonics(grids: tuple[Grid, ...]) -> Section:
    """Return the mean of cos(m phi - a) for the objects of grids of equally many columns, one by one or together."""
    middle = 2 * pi * (np.arange(grids[0].columns) + 0.5) / grids[0].columns
    waves = np.stack([np.cos(m * middle - pi * k / ANGLES) for m in HARMONICS for k in range(ANGLES)])
    squares = waves**2

    def measure(summary: Summary) -> Measured:
        around = np.sum([grid.of(summary.counts["towers"]).sum(axis=0) for grid in grids], axis=0, dtype=np.float64)
        entries = around.sum()
        mean = waves @ around / max(entries, 1.0)
        spread = np.maximum(squares @ around / max(entries, 1.0) - mean**2, 0.0)
        return mean, entries, spread

    name = grids[0].name if len(grids) == 1 else "objects"
    names = tuple(
        f"{name} phi harmonic {m} at {180 * k / (ANGLES * m):.0f} degrees" for m in HARMONICS for k in range(ANGLES)
    )
    regions = (Region(name if len(grids) == 1 else None),) * len(names)
    return Section("harmonic", counted=False, names=names, regions=regions, measure=alone(measure), alike=ANGLES)
