"""Summaries and what the Book expects, as the histograms and maps that the page draws."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.observe.binning import BINS, score_edges
from monitor.observe.maps import coarse, ring_rows, sector_columns
from monitor.observe.shape import Shape
from monitor.observe.summary import Summary
from monitor.serve.view import EtaPhiMap, Histogram

MOST_BINS = 48
Counts = NDArray[np.int64]
Expected = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Pooled:
    """The latest lumisections of one shape added up, beside what is expected of as many events (None: no reference).

    `counts` and `expected` hold the arrays `score` (outputs, bins), `inputs` (inputs, BINS + 1) and `towers`
    (cells,) of `Shape.arrays`.
    """

    shape: Shape
    counts: dict[str, Counts]
    expected: dict[str, Expected] | None


def pool(summaries: Sequence[Summary], expectations: Iterable[dict[str, Expected] | None]) -> Pooled:
    """Add up `summaries` (at least one, all of one shape) and what is expected of each."""
    names = ("score", "inputs", "towers")
    counts = {name: np.sum([each.counts[name] for each in summaries], axis=0) for name in names}
    known = list(expectations)
    if any(each is None for each in known):
        return Pooled(summaries[0].shape, counts, None)
    complete = [each for each in known if each is not None]
    return Pooled(summaries[0].shape, counts, {name: np.sum([e[name] for e in complete], axis=0) for name in names})


def score_histogram(pooled: Pooled) -> Histogram:
    """Return the histogram of the first output, raw units, with the trigger's threshold."""
    expected = None if pooled.expected is None else pooled.expected["score"][0]
    threshold = None if pooled.shape.threshold is None else float(pooled.shape.threshold)
    return _histogram("score", "raw", score_edges(), pooled.counts["score"][0], expected, threshold=threshold, log=True)


def input_histograms(pooled: Pooled, *, moved: Sequence[str], most: int = 6) -> tuple[Histogram, ...]:
    """Return the histograms of a few inputs: those of the objects that moved first, then one of each kind."""
    filled = np.count_nonzero(pooled.counts["inputs"][:, :BINS], axis=1)
    telling = [index for index in _chosen(pooled.shape, moved) if filled[index] > 1]
    return tuple(_input(pooled, index) for index in telling[:most])


def maps(pooled: Pooled, *, moved: Sequence[str]) -> tuple[EtaPhiMap, ...]:
    """Return the pulls of the eta-phi maps of the objects that moved; none without a reference."""
    if pooled.expected is None:
        return ()
    return tuple(
        EtaPhiMap(
            object=grid.name,
            eta_edges=tuple(grid.eta_edge(int(row)) for row in ring_rows(grid)),
            phi_edges=tuple(grid.phi_edge(int(column)) for column in sector_columns(grid)),
            pull=_pull(coarse(grid, pooled.counts["towers"]), coarse(grid, pooled.expected["towers"])),
        )
        for grid in pooled.shape.grids
        if grid.name in moved and not grid.flat
    )


def _pull(counts: NDArray[Any], expected: NDArray[Any]) -> tuple[tuple[float | None, ...], ...]:
    return tuple(
        tuple((float((n - e) / np.sqrt(e)) if e >= 1 else None) for n, e in zip(row, wanted, strict=True))
        for row, wanted in zip(counts, expected, strict=True)
    )


def _chosen(shape: Shape, moved: Sequence[str]) -> list[int]:
    groups = sorted(shape.groups, key=lambda group: group.name not in moved)
    if not groups:
        return list(range(min(shape.inputs, 6)))
    # Everything of the leading object of what moved, then the leading pt of the others.
    first = [group.column(0, axis) for group in groups if group.name in moved for axis in range(len(group.axes))]
    rest = [group.column(0, 0) for group in groups]
    return list(dict.fromkeys(first + rest))


def _input(pooled: Pooled, index: int) -> Histogram:
    shape = pooled.shape
    binning = shape.binnings()[index]
    expected = None if pooled.expected is None else pooled.expected["inputs"][index, :BINS]
    lsb, unit = _scale(shape, index)
    return _histogram(
        shape.names()[index],
        unit,
        binning.edges() * lsb,
        pooled.counts["inputs"][index, :BINS],
        expected,
        log=binning.kind == "magnitude",
    )


def _scale(shape: Shape, index: int) -> tuple[float, str]:
    for group in shape.groups:
        if group.offset <= index < group.stop:
            axis = group.axes[(index - group.offset) % len(group.axes)]
            return axis.lsb, axis.unit
    return 1.0, "raw"


def _histogram(
    name: str,
    unit: str,
    edges: NDArray[np.float64],
    counts: Counts,
    expected: Expected | None,
    *,
    threshold: float | None = None,
    log: bool = False,
) -> Histogram:
    start, stop = _occupied(counts, expected)
    step = max(1, -(-(stop - start) // MOST_BINS))
    cuts = np.arange(start, stop, step)
    return Histogram(
        name=name,
        unit=unit,
        edges=(*edges[cuts].tolist(), float(edges[stop])),
        counts=tuple(np.add.reduceat(counts[:stop], cuts).tolist()),
        expected=None if expected is None else tuple(np.add.reduceat(expected[:stop], cuts).tolist()),
        threshold=threshold,
        log=log,
    )


def _occupied(counts: Counts, expected: Expected | None) -> tuple[int, int]:
    filled = counts > 0 if expected is None else (counts > 0) | (expected > 0.5)
    bins = np.flatnonzero(filled)
    return (int(bins[0]), int(bins[-1]) + 1) if len(bins) else (0, len(counts))
