"""Batch -> Summary: the hot path, a million events a second and core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.layout import Layout, ObjectGroup
from monitor.observe.binning import (
    BINS,
    ETA_CELLS,
    PHI_CELLS,
    SCORE_BINS,
    SCORE_HALF,
    STEPS,
    Binning,
    cells,
    magnitude_bin,
    score_bin,
)
from monitor.observe.sample import Sample
from monitor.observe.shape import BITS, BX_BLOCK, BX_BLOCKS, TALLY, Shape
from monitor.observe.summary import LIMB, LOW, Summary, SummaryKey
from monitor.trigger.batch import Batch

CELLS = ETA_CELLS * PHI_CELLS
BELOW = np.iinfo(np.int16).min
PILEUP_LIMIT = float(1 << 20)


@dataclass(frozen=True, slots=True)
class _Block:
    """One object group with its look-up tables, indexed by the raw value as an unsigned 16-bit word.

    The cell of an object in the eta-phi map is the sum of `eta` and `phi`.
    """

    group: ObjectGroup
    tables: tuple[NDArray[np.uint8], ...]
    eta: NDArray[np.int64] | None
    phi: NDArray[np.int64] | None


def _by_word(values: NDArray[Any]) -> NDArray[Any]:
    """Turn a table over -2^15 … 2^15 - 1 into one over unsigned words 0 … 2^16 - 1."""
    return np.roll(values, BELOW)


_WORDS = np.arange(BELOW, -BELOW, dtype=np.int64)


class Summariser:
    """Counts batches of one model. Holds tables only: one instance may serve any number of partitions."""

    def __init__(self, layout: Layout | None, inputs: int, outputs: int, threshold: int | None = None) -> None:
        self.shape = Shape(layout, inputs, outputs, threshold)
        self._blocks = tuple(_block(group) for group in self.shape.groups)
        self._signed = _by_word(Binning("signed").bins(_WORDS))

    def summarise(
        self,
        key: SummaryKey,
        batch: Batch,
        emulated: NDArray[np.int64] | None = None,
        reason: str | None = None,
    ) -> Summary:
        """Count the events of `batch`, all of one lumisection.

        Parameters
        ----------
        emulated : int64 (n, outputs) or None
            Raw scores of the emulator on the same events.
        reason
            Where `emulated` is None: why these events cannot be compared; None if nobody tried.

        Raises
        ------
        ValueError
            If the batch's widths are not the model's: the codec and the shelf let no such batch through.
        """
        self._check(batch, emulated)
        counts = {name: np.zeros(size, np.int64) for name, size in self.shape.arrays().items()}
        if not len(batch):
            return Summary.empty(key, self.shape)
        accept = self._accept(batch)
        _tally(counts, "events", len(batch))
        _count_pileup(counts, batch.pileup)
        _count_crossings(counts["bx"], batch.bx, accept)
        if accept is not None:
            _tally(counts, "decided", len(batch))
            _tally(counts, "accepted", int(np.count_nonzero(accept)))
        bins = score_bin(batch.score)
        _count_scores(counts["score"], bins)
        self._count_inputs(counts, batch.inputs, bins[:, 0])
        sample = Sample.empty(self.shape.inputs, self.shape.outputs)
        if emulated is not None:
            sample = self._compare(counts, batch, emulated)
        refused = {reason: len(batch)} if emulated is None and reason is not None else {}
        return Summary(key, self.shape, counts, refused, sample)

    def _check(self, batch: Batch, emulated: NDArray[np.int64] | None) -> None:
        inputs, outputs = batch.inputs.shape[1], batch.score.shape[1]
        if (inputs, outputs) != (self.shape.inputs, self.shape.outputs):
            raise ValueError(
                f"a batch has {inputs} inputs and {outputs} outputs, the model {self.shape.inputs} and "
                f"{self.shape.outputs}: summarise it with the model that it names"
            )
        if emulated is not None and emulated.shape != batch.score.shape:
            raise ValueError(f"emulated scores {emulated.shape} do not match the recorded ones {batch.score.shape}")

    def _accept(self, batch: Batch) -> NDArray[np.bool_] | None:
        if batch.accept is not None:
            return batch.accept
        if self.shape.threshold is None:
            return None
        return batch.score[:, 0] >= self.shape.threshold

    def _count_inputs(self, counts: dict[str, NDArray[np.int64]], inputs: NDArray[Any], score: NDArray[Any]) -> None:
        raw = np.ascontiguousarray(inputs.T)
        counts["moments"][:] = _moments(raw)
        words = _words(raw)
        features: list[NDArray[Any]] = []
        maps = iter(counts["maps"])
        for block in self._blocks:
            features += _count_group(block, counts["inputs"], words=words, raw=raw, maps=maps)
        if not self._blocks:
            bins = np.take(self._signed, words)
            _count_rows(counts["inputs"], bins)
            features += [bins[i] for i in self.shape.plain()]
        matrix = np.empty((len(features) + 1, raw.shape[1]))
        for row, feature in zip(matrix, [*features, score], strict=True):
            row[:] = feature
        counts["sums"][:] = matrix.sum(axis=1).astype(np.int64)  # exact: integers far below 2^53
        counts["products"][:] = (matrix @ matrix.T).astype(np.int64)

    def _compare(self, counts: dict[str, NDArray[np.int64]], batch: Batch, emulated: NDArray[np.int64]) -> Sample:
        _tally(counts, "compared", len(batch))
        _count_scores(counts["emulated"], score_bin(emulated))
        differs = batch.score != emulated
        rows = np.flatnonzero(differs.any(axis=1))
        if not len(rows):
            return Sample.empty(self.shape.inputs, self.shape.outputs)
        _tally(counts, "mismatched", len(rows))
        hardware, ours = batch.score[rows], emulated[rows]
        counts["mismatched"][:] = differs.sum(axis=0)
        bits = ((hardware ^ ours)[:, :, None] >> np.arange(BITS)) & 1
        counts["bits"][:] = bits.sum(axis=0)
        if self.shape.threshold is not None:
            cut = self.shape.threshold
            _tally(counts, "flipped", int(np.count_nonzero((hardware[:, 0] >= cut) != (ours[:, 0] >= cut))))
        inputs = batch.inputs[rows].astype(np.int32)
        return Sample(batch.orbit[rows], batch.bx[rows], batch.event[rows], inputs, hardware, ours).earliest()


def _block(group: ObjectGroup) -> _Block:
    eta, phi = group.axis("eta"), group.axis("phi")
    mapped = eta is not None and phi is not None
    return _Block(
        group=group,
        tables=tuple(_by_word(Binning.of(axis).bins(_WORDS)) for axis in group.axes),
        eta=_by_word(cells(group.axes[eta], ETA_CELLS, _WORDS)) * PHI_CELLS if eta is not None and mapped else None,
        phi=_by_word(cells(group.axes[phi], PHI_CELLS, _WORDS)) if phi is not None and mapped else None,
    )


def _tally(counts: dict[str, NDArray[np.int64]], name: str, value: int) -> None:
    counts["tally"][TALLY.index(name)] = value


def _count_pileup(counts: dict[str, NDArray[np.int64]], pileup: NDArray[np.float32]) -> None:
    known = pileup[~np.isnan(pileup)]
    steps = np.rint(np.clip(known.astype(np.float64), 0.0, PILEUP_LIMIT) * 1024).astype(np.int64)
    _tally(counts, "pileup_known", len(known))
    _tally(counts, "pileup_1024", int(steps.sum()))


def _count_crossings(into: NDArray[np.int64], bx: NDArray[np.uint16], accept: NDArray[np.bool_] | None) -> None:
    block = np.minimum(bx // BX_BLOCK, BX_BLOCKS - 1)
    into[0] = np.bincount(block, minlength=BX_BLOCKS)
    if accept is not None:
        into[1] = np.bincount(block[accept], minlength=BX_BLOCKS)


def _count_scores(into: NDArray[np.int64], bins: NDArray[np.int64]) -> None:
    for output, column in enumerate(bins.T):
        into[output] = np.bincount(column, minlength=SCORE_BINS)


def _count_rows(into: NDArray[np.int64], bins: NDArray[np.uint8]) -> None:
    # Row by row: one bincount over everything with offsets is seven times slower.
    for target, row in zip(into, bins, strict=True):
        target[:] = np.bincount(row, minlength=BINS + 1)


def _words(raw: NDArray[Any]) -> NDArray[np.int64]:
    """Return raw values as table indices; integers wider than 16 bits saturate into their histogram's end bins."""
    if raw.dtype != np.int16:
        raw = np.clip(raw, BELOW, -BELOW - 1).astype(np.int16)
    return raw.view(np.uint16).astype(np.int64)  # converted once here, or every look-up converts again


def _moments(raw: NDArray[Any]) -> NDArray[np.int64]:
    """Return (sum, high limb, low limb of the sum of squares) per row of raw (inputs, n), exactly."""
    wide = raw.astype(np.int64)
    if raw.dtype == np.int16:  # |x| <= 2^15 and n < 2^32: the sum of squares stays below 2^62
        squares = np.einsum("ij,ij->i", wide, wide)
        return np.stack([wide.sum(axis=1), squares >> LIMB, squares & LOW])
    squares = wide * wide  # |x| <= 2^31: below 2^62 each, so the limbs are summed apart
    high, low = (squares >> LIMB).sum(axis=1), (squares & LOW).sum(axis=1)
    return np.stack([wide.sum(axis=1), high + (low >> LIMB), low & LOW])


def _count_group(
    block: _Block, into: NDArray[np.int64], *, words: NDArray[np.int64], raw: NDArray[Any], maps: Any
) -> list[NDArray[Any]]:
    """Count one group's inputs and map; return its features: multiplicity, leading bin, bin of the scalar sum."""
    group, step = block.group, len(block.group.axes)
    rows = words[group.offset : group.stop]
    first = raw[group.offset : group.stop : step]
    present = first != 0
    absent = (~present).view(np.uint8) * np.uint8(BINS)
    leading = np.take(block.tables[0], rows[::step])
    for axis, table in enumerate(block.tables):
        bins = leading if axis == 0 else np.take(table, rows[axis::step])
        _count_rows(into[group.offset + axis : group.stop : step], np.maximum(bins, absent))
    if block.eta is not None and block.phi is not None:
        cell = np.take(block.eta, rows[group.axis("eta") :: step]) + np.take(block.phi, rows[group.axis("phi") :: step])
        cell = np.where(present, cell, CELLS)
        next(maps)[:] = np.bincount(cell.ravel(), minlength=CELLS + 1)[:CELLS]
    if group.count == 1:
        return [leading[0]]
    total = np.maximum(first, 0).sum(axis=0, dtype=np.int64)
    return [present.sum(axis=0, dtype=np.uint8), leading[0], magnitude_bin(total, steps=STEPS, last=SCORE_HALF)]
