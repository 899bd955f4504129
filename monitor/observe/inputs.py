"""Counting the inputs of a model: histograms, eta-phi grids and products of features, in one pass."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.layout import Axis, ObjectGroup
from monitor.observe.binning import (
    BINS,
    SCORE_HALF,
    STEPS,
    Binning,
    magnitude_bin,
)
from monitor.observe.grid import Grid
from monitor.observe.kernel import Kernel, Plan, Sizes
from monitor.observe.shape import Shape

BLOCK = 1024
"""Events counted at once: what is worked out of them stays in the cache, and sums of their products in a single."""

_BIN_BITS = 8  # the bins of an eta and a phi add up to less than 2^8: one shift serves both
_SIZES = Sizes(BINS, _BIN_BITS, STEPS, SCORE_HALF, BLOCK)
_BIN = np.uint32((1 << _BIN_BITS) - 1)
_BELOW = np.iinfo(np.int16).min
_WORDS = 1 << 16

Counts = dict[str, NDArray[np.int64]]
Seen = tuple[Axis | None, Grid | None]


class InputCounter:
    """Counts the inputs of one shape.

    In here rows are inputs and columns events, so that inner loops are long however few inputs there are. Every raw
    value is looked up once: its bin and its share of an eta-phi cell lie in one table entry. Where there is a compiled
    library, it goes over the rows instead, with the same tables, and counts the same.
    """

    def __init__(self, shape: Shape, library: ctypes.CDLL | None = None) -> None:
        grids = {grid.name: grid for grid in shape.grids}
        objects = [(group, group.column(i, 0)) for group in shape.groups for i in range(group.count)]
        axes = [(axis, grids.get(group.name)) for group, _ in objects for axis in group.axes]
        seen: list[Seen] = [(axis, grid) for axis, grid in axes] or [(None, None)] * shape.inputs
        kinds = list(dict.fromkeys(seen))
        self._table = np.concatenate([_entries(*kind) for kind in kinds])
        self._table_of = np.array([[kinds.index(kind) * _WORDS] for kind in seen])
        self._histogram_of = np.arange(len(seen), dtype=np.int64)[:, None] * (BINS + 1)
        self._first = np.array([row for _, row in objects], np.intp)
        self._object_of = np.repeat(np.arange(len(objects)), [len(group.axes) for group, _ in objects])
        self._groups = _slices([group.count for group in shape.groups])
        self._mapped = [
            _Mapped(members, group, grids[group.name])
            for members, group in zip(self._groups, shape.groups, strict=True)
            if group.name in grids
        ]
        self._plain = list(shape.plain())
        self._paired = np.array(shape.paired, np.intp)
        self._below = np.tril_indices(len(self._paired))
        self._nothing = np.array([binning.bins(np.zeros(1, np.int64))[0] for binning in shape.binnings()], np.uint8)
        self._kernel = None if library is None else Kernel(library, self._plan(shape.inputs), _SIZES)

    def count(self, counts: Counts, inputs: NDArray[Any], score: NDArray[np.int64]) -> None:
        """Add raw `inputs`, int16 or int32 (n, inputs), to `counts`; `score` (n,) is the bin of each event's score."""
        if self._kernel is not None and self._kernel.serves(inputs):
            self._kernel.count(inputs, score, counts)
            return
        for start in range(0, len(inputs), BLOCK):
            rows = slice(start, start + BLOCK)
            self._count(counts, np.ascontiguousarray(inputs[rows].T), score[rows])

    def _count(self, counts: Counts, raw: NDArray[Any], score: NDArray[np.int64]) -> None:
        places = _words(raw)
        places += self._table_of
        found = np.take(self._table, places)
        bins = (found & _BIN).astype(np.uint8)
        if self._groups:
            first = raw[self._first]
            absent = first == 0
            features = self._summed(first, ~absent, bins)
            bins = np.where(absent[self._object_of], self._nothing[:, None], bins)
            self._count_pairs(counts, bins)
            bins = np.maximum(bins, (absent * np.uint8(BINS))[self._object_of])
            self._count_towers(counts["towers"], found, absent)
        else:
            features = [*bins[self._plain]]
            self._count_pairs(counts, bins)
        places = np.add(bins, self._histogram_of, out=places)
        counts["inputs"] += np.bincount(places.ravel(), minlength=counts["inputs"].size).reshape(-1, BINS + 1)
        _multiply(counts, np.array([*features, score], dtype=np.float64))

    def _count_pairs(self, counts: Counts, bins: NDArray[np.uint8]) -> None:
        """Add the products of all pairs of bins (inputs, n): below 96^2 `BLOCK` < 2^24, where singles are whole."""
        chosen = bins[self._paired].astype(np.float32)
        counts["paired"] += chosen.sum(axis=1, dtype=np.float64).astype(np.int64)
        counts["pairs"] += (chosen @ chosen.T)[self._below].astype(np.int64)

    def _plan(self, inputs: int) -> Plan:
        """Return the same tables and places, as the compiled code reads them."""
        first_of = self._first[self._object_of] if self._groups else np.full(inputs, -1)
        maps = [
            (eta, phi, first, mapped.grid.first)
            for mapped in self._mapped
            for eta, phi, first in zip(
                np.arange(inputs)[mapped.eta], np.arange(inputs)[mapped.phi], self._first[mapped.members], strict=True
            )
        ]
        places = np.array(maps, np.int64).reshape(-1, 4)
        return Plan(
            table=self._table,
            table_of=np.ascontiguousarray(self._table_of.ravel().astype(np.int64)),
            first_of=first_of.astype(np.int32),
            firsts=self._first.astype(np.int32),
            groups=np.array([(group.start, group.stop) for group in self._groups], np.int64).reshape(-1, 2),
            maps=np.ascontiguousarray(places[:, :3]),
            map_cells=np.ascontiguousarray(places[:, 3]),
            plain=np.array(self._plain, np.int32),
            paired=self._paired.astype(np.int32),
            nothing=self._nothing,
        )

    def _summed(self, first: NDArray[Any], present: NDArray[np.bool_], bins: NDArray[np.uint8]) -> list[NDArray[Any]]:
        """Return, group by group, the number of objects, the bin of the leading one, and that of the scalar sum."""
        positive = np.maximum(first, 0)
        features: list[NDArray[Any]] = []
        for group in self._groups:
            leading = bins[self._first[group.start]]
            if group.stop - group.start == 1:  # how many is nearly constant, and the sum is the object itself
                features.append(leading)
                continue
            total = positive[group].sum(axis=0, dtype=np.int64)
            features += [
                present[group].sum(axis=0, dtype=np.uint8),
                leading,
                magnitude_bin(total, steps=STEPS, last=SCORE_HALF),
            ]
        return features

    def _count_towers(self, into: NDArray[np.int64], found: NDArray[np.uint32], absent: NDArray[np.bool_]) -> None:
        for mapped in self._mapped:
            cell = (found[mapped.eta] + found[mapped.phi]) >> _BIN_BITS
            cell[absent[mapped.members]] = mapped.grid.size  # one more, for what is not there
            counted = np.bincount(cell.ravel(), minlength=mapped.grid.size + 1)
            into[mapped.grid.first : mapped.grid.first + mapped.grid.size] += counted[:-1]


def _multiply(counts: Counts, features: NDArray[np.float64]) -> None:
    """Add sums and products of features (f, n): whole numbers far below 2^53, so that both are exact."""
    counts["sums"] += features.sum(axis=1).astype(np.int64)
    counts["products"] += (features @ features.T).astype(np.int64)


class _Mapped:
    """The rows of a group that has a grid: which objects, and where their eta and phi lie among the inputs."""

    def __init__(self, members: slice, group: ObjectGroup, grid: Grid) -> None:
        self.members, self.grid = members, grid
        first, width = group.offset, len(group.axes)
        self.eta = slice(first + (group.axis("eta") or 0), group.stop, width)
        self.phi = slice(first + (group.axis("phi") or 0), group.stop, width)


def _entries(axis: Axis | None, grid: Grid | None) -> NDArray[np.uint32]:
    """Return bin and share of a cell (upper bits) of every raw value, in the order of unsigned 16-bit words.

    An object's cell in the eta-phi grid is the sum of the shares of its eta and its phi.
    """
    raw = np.arange(_WORDS).astype(np.uint16).view(np.int16).astype(np.int64)
    if axis is None:
        return Binning("signed").bins(raw).astype(np.uint32)
    share = np.zeros(_WORDS, np.int64)
    if grid is not None and axis.name == "eta":
        share = grid.row(raw) * grid.columns
    elif grid is not None and axis.name == "phi":
        share = grid.column(raw)
    return (Binning.of(axis).bins(raw) | share << _BIN_BITS).astype(np.uint32)


def _slices(counts: list[int]) -> list[slice]:
    stops = np.cumsum(counts).tolist()
    return [slice(stop - count, stop) for count, stop in zip(counts, stops, strict=True)]


def _words(raw: NDArray[Any]) -> NDArray[np.int64]:
    """Return raw values as table indices; integers wider than 16 bits saturate into their histogram's end bins."""
    if raw.dtype != np.int16:
        raw = np.clip(raw, _BELOW, -_BELOW - 1).astype(np.int16)
    return raw.view(np.uint16).astype(np.int64)
