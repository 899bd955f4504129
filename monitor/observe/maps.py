"""Quantities of the eta-phi maps: objects in every window of several sizes, and harmonics in phi.

A scan over windows with Poisson counts is what finds a tower that fires in two of a thousand events; harmonics in phi
find a beam that moved.
"""

from __future__ import annotations

from math import pi

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from emulator.layout import Axis, ObjectGroup
from monitor.observe.binning import ETA_CELLS, PHI_CELLS, cell_edges
from monitor.observe.events import averaged, counted
from monitor.observe.section import Measured, Region, Section
from monitor.observe.shape import Shape
from monitor.observe.summary import Summary

WINDOWS = (  # family, cells in eta, cells in phi, stride in eta
    ("tower", 1, 1, 1),
    ("block", 2, 2, 1),
    ("region", 4, 3, 2),
    ("ring", 1, PHI_CELLS, 1),
    ("sector", ETA_CELLS, 1, 1),
)
HARMONICS = (1, 2, 3)


def map_sections(shape: Shape) -> tuple[Section, ...]:
    """Return the window counts and harmonics of every object group that has an eta and a phi."""
    found = []
    for number, group in enumerate(shape.mapped):
        eta, phi = _axis(group, "eta"), _axis(group, "phi")
        flat = eta.high - eta.low < ETA_CELLS  # missing momentum has no eta: sectors are all there is
        for family, *window in WINDOWS:
            if not flat or family == "sector":
                found.append(_windows(group, family, number=number, window=window, axes=(eta, phi)))
        found.append(_harmonics(group, number))
    return tuple(found)


def _axis(group: ObjectGroup, name: str) -> Axis:
    return next(axis for axis in group.axes if axis.name == name)


def _windows(group: ObjectGroup, family: str, *, number: int, window: list[int], axes: tuple[Axis, Axis]) -> Section:
    tall, wide, stride = window
    rows = np.arange(0, ETA_CELLS - tall + 1, stride)
    columns = np.arange(PHI_CELLS if wide < PHI_CELLS else 1)
    eta, phi = cell_edges(axes[0], ETA_CELLS), cell_edges(axes[1], PHI_CELLS)
    flat = axes[0].high - axes[0].low < ETA_CELLS

    def measure(summary: Summary) -> Measured:
        cells = summary.counts["maps"][number].reshape(ETA_CELLS, PHI_CELLS)
        return counted(window_sums(cells, tall=tall, wide=wide)[rows][:, columns].ravel(), summary.events)

    regions = tuple(
        Region(
            object=group.name,
            eta=None if flat or tall == ETA_CELLS else (float(eta[row]), float(eta[row + tall])),
            phi=None if wide == PHI_CELLS else (float(phi[column]), float(phi[column] + wide * (phi[1] - phi[0]))),
        )
        for row in rows
        for column in columns
    )
    names = tuple(f"{group.name} {family} {_place(region)}" for region in regions)
    return Section(family, counted=True, names=names, regions=regions, measure=measure)


def window_sums(cells: NDArray[np.int64], *, tall: int, wide: int) -> NDArray[np.int64]:
    """Return (rows - tall + 1, columns): sums over windows of `tall` x `wide` cells; columns wrap around."""
    around = np.concatenate([cells, cells[:, : wide - 1]], axis=1)
    return np.asarray(sliding_window_view(around, (tall, wide)).sum(axis=(2, 3)))


def _place(region: Region) -> str:
    eta = "" if region.eta is None else f"eta [{region.eta[0]:.2f}, {region.eta[1]:.2f})"
    phi = "" if region.phi is None else f"phi [{region.phi[0]:.2f}, {region.phi[1]:.2f})"
    return f"{eta} {phi}".strip()


def _harmonics(group: ObjectGroup, number: int) -> Section:
    angle = 2 * pi * (np.arange(PHI_CELLS) + 0.5) / PHI_CELLS
    waves = [wave(m * angle) for m in HARMONICS for wave in (np.cos, np.sin)]

    def measure(summary: Summary) -> Measured:
        around = summary.counts["maps"][number].reshape(ETA_CELLS, PHI_CELLS).sum(axis=0)[None]
        parts = [averaged(around, wave) for wave in waves]
        return tuple(np.concatenate(column) for column in zip(*parts, strict=True))  # type: ignore[return-value]

    names = tuple(f"{group.name} phi harmonic {wave} {m}" for m in HARMONICS for wave in ("cos", "sin"))
    regions = (Region(object=group.name),) * len(names)
    return Section("harmonic", counted=False, names=names, regions=regions, measure=measure)
