"""Counting the inputs of a model: histograms, eta-phi maps, moments and products of features, in one pass."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.layout import Axis
from monitor.observe.binning import (
    BINS,
    ETA_CELLS,
    PHI_CELLS,
    SCORE_HALF,
    STEPS,
    Binning,
    cells,
    magnitude_bin,
)
from monitor.observe.shape import Shape
from monitor.observe.summary import LIMB, LOW, carried

BLOCK = 2048
"""Events counted at once: what is worked out of them stays in the cache."""

CELLS = ETA_CELLS * PHI_CELLS
_BIN_BITS = 7
_BIN = np.uint16((1 << _BIN_BITS) - 1)
_BELOW = np.iinfo(np.int16).min
_WORDS = 1 << 16

Counts = dict[str, NDArray[np.int64]]


class InputCounter:
    """Counts the inputs of one shape.

    In here rows are inputs and columns events, so that inner loops are long however few inputs there are. Every raw
    value is looked up once: its bin and its share of an eta-phi cell lie in one table entry of 16 bits.
    """

    def __init__(self, shape: Shape) -> None:
        objects = [(group, group.column(i, 0)) for group in shape.groups for i in range(group.count)]
        axes: list[Axis | None] = [axis for group, _ in objects for axis in group.axes] or [None] * shape.inputs
        kinds = list(dict.fromkeys(axes))
        self._table = np.concatenate([_entries(kind) for kind in kinds])
        self._table_of = np.array([[kinds.index(axis) * _WORDS] for axis in axes])
        self._histogram_of = _offsets(len(axes), BINS + 1)
        self._first = np.array([row for _, row in objects], np.intp)
        self._object_of = np.repeat(np.arange(len(objects)), [len(group.axes) for group, _ in objects])
        self._groups = _slices([group.count for group in shape.groups])
        mapped = [(number, group, row) for number, (group, row) in enumerate(objects) if group in shape.mapped]
        self._mapped = np.array([number for number, _, _ in mapped], np.intp)
        self._eta = np.array([row + (group.axis("eta") or 0) for _, group, row in mapped], np.intp)
        self._phi = np.array([row + (group.axis("phi") or 0) for _, group, row in mapped], np.intp)
        maps = _offsets(len(shape.mapped), CELLS + 1)
        self._map_of = np.repeat(maps, [group.count for group in shape.mapped], axis=0)
        self._plain = list(shape.plain())

    def count(self, counts: Counts, inputs: NDArray[Any], score: NDArray[np.int64]) -> None:
        """Add raw `inputs`, int16 or int32 (n, inputs), to `counts`; `score` (n,) is the bin of each event's score."""
        for start in range(0, len(inputs), BLOCK):
            rows = slice(start, start + BLOCK)
            self._count(counts, np.ascontiguousarray(inputs[rows].T), score[rows])
        counts["moments"][:] = carried(counts["moments"])

    def _count(self, counts: Counts, raw: NDArray[Any], score: NDArray[np.int64]) -> None:
        counts["moments"] += _moments(raw)
        places = _words(raw)
        places += self._table_of
        found = np.take(self._table, places)
        bins = found & _BIN
        if self._groups:
            first = raw[self._first]
            absent = first == 0
            features = self._summed(first, ~absent, bins)
            bins = np.maximum(bins, (absent * np.uint16(BINS))[self._object_of])
            self._count_maps(counts["maps"], found, absent[self._mapped])
        else:
            features = [*bins[self._plain]]
        counts["inputs"] += _histograms(bins + self._histogram_of, counts["inputs"].shape)
        matrix = np.array([*features, score], dtype=np.float64)
        counts["sums"] += matrix.sum(axis=1).astype(np.int64)  # exact: integers far below 2^53
        counts["products"] += (matrix @ matrix.T).astype(np.int64)

    def _summed(self, first: NDArray[Any], present: NDArray[np.bool_], bins: NDArray[np.uint16]) -> list[NDArray[Any]]:
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

    def _count_maps(self, into: NDArray[np.int64], found: NDArray[np.uint16], absent: NDArray[np.bool_]) -> None:
        cell = (found[self._eta] >> _BIN_BITS) + (found[self._phi] >> _BIN_BITS)
        cell = np.maximum(cell, absent * np.uint16(CELLS))
        into += _histograms(cell + self._map_of, (len(into), CELLS + 1))[:, :CELLS]


def _entries(axis: Axis | None) -> NDArray[np.uint16]:
    """Return bin and share of a cell (upper bits) of every raw value, in the order of unsigned 16-bit words.

    An object's cell in the eta-phi map is the sum of the shares of its eta and its phi.
    """
    raw = np.arange(_WORDS).astype(np.uint16).view(np.int16).astype(np.int64)
    if axis is None:
        return Binning("signed").bins(raw).astype(np.uint16)
    share = np.zeros(_WORDS, np.int64)
    if axis.name == "eta":
        share = cells(axis, ETA_CELLS, raw) * PHI_CELLS
    elif axis.name == "phi":
        share = cells(axis, PHI_CELLS, raw)
    return (Binning.of(axis).bins(raw) | share << _BIN_BITS).astype(np.uint16)


def _offsets(count: int, size: int) -> NDArray[Any]:
    """Return where each of `count` histograms of `size` bins begins, (count, 1), as narrow as can be."""
    return np.arange(0, count * size, size, dtype=np.min_scalar_type(count * size))[:, None]


def _slices(counts: list[int]) -> list[slice]:
    stops = np.cumsum(counts).tolist()
    return [slice(stop - count, stop) for count, stop in zip(counts, stops, strict=True)]


def _histograms(place: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.int64]:
    return np.bincount(place.ravel(), minlength=shape[0] * shape[1]).reshape(shape)


def _words(raw: NDArray[Any]) -> NDArray[np.int64]:
    """Return raw values as table indices; integers wider than 16 bits saturate into their histogram's end bins."""
    if raw.dtype != np.int16:
        raw = np.clip(raw, _BELOW, -_BELOW - 1).astype(np.int16)
    return raw.view(np.uint16).astype(np.int64)


def _moments(raw: NDArray[Any]) -> NDArray[np.int64]:
    """Return (sum, high limb, low limb of the sum of squares) per row of raw (inputs, at most BLOCK), exactly."""
    if raw.dtype == np.int16:  # squares up to 2^30, a block's sum up to 2^42: exact in a float
        real = raw.astype(np.float64)
        squares = np.vecdot(real, real).astype(np.int64)
        return np.stack([real.sum(axis=1).astype(np.int64), squares >> LIMB, squares & LOW])
    wide = raw.astype(np.int64)
    squares = wide * wide  # up to 2^62 each, so the limbs are summed apart
    return np.stack([wide.sum(axis=1), (squares >> LIMB).sum(axis=1), (squares & LOW).sum(axis=1)])
