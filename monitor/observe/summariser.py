"""Batch -> Summary: the hot path, two million events a second and core."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from emulator.layout import Layout
from monitor.observe.binning import SCORE_BINS, score_bin
from monitor.observe.inputs import InputCounter
from monitor.observe.sample import Sample
from monitor.observe.shape import BITS, CROSSINGS, TALLY, Shape
from monitor.observe.summary import Summary, SummaryKey
from monitor.trigger.batch import Batch

PILEUP_LIMIT = 1 << 20


class Summariser:
    """Counts batches of one model. Holds tables only: one instance may serve any number of partitions.

    `library` is the compiled counting of inputs, see `kernel.py`; without it numpy counts the same.
    """

    def __init__(
        self,
        layout: Layout | None,
        inputs: int,
        outputs: int,
        threshold: int | None = None,
        *,
        crossings: int = CROSSINGS,
        library: ctypes.CDLL | None = None,
    ) -> None:
        self.shape = Shape(layout, inputs, outputs, threshold, crossings)
        self._inputs = InputCounter(self.shape, library)
        self._sizes = self.shape.arrays()

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
            If the batch's widths are not the model's, or a crossing is beyond the orbit: the codec and the shelf let
            no such batch through.
        """
        self._check(batch, emulated)
        if not len(batch):
            return Summary.empty(key, self.shape)
        counts = {name: np.zeros(size, np.int64) for name, size in self._sizes.items()}
        accept = self._accept(batch)
        _tally(counts, "events", len(batch))
        _count_pileup(counts, batch.pileup)
        _count_crossings(counts["bx"], batch.bx, accept)
        if accept is not None:
            _tally(counts, "decided", len(batch))
            _tally(counts, "accepted", int(np.count_nonzero(accept)))
        bins = score_bin(batch.score)
        _count_scores(counts["score"], bins)
        self._inputs.count(counts, batch.inputs, bins[:, 0])
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

    def _compare(self, counts: dict[str, NDArray[np.int64]], batch: Batch, emulated: NDArray[np.int64]) -> Sample:
        _tally(counts, "compared", len(batch))
        differs = batch.score != emulated
        if not differs.any():
            counts["emulated"][:] = counts["score"]
            return Sample.empty(self.shape.inputs, self.shape.outputs)
        _count_scores(counts["emulated"], score_bin(emulated))
        rows = np.flatnonzero(differs.any(axis=1))
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


def _tally(counts: dict[str, NDArray[np.int64]], name: str, value: int) -> None:
    counts["tally"][TALLY.index(name)] = value


def _count_pileup(counts: dict[str, NDArray[np.int64]], pileup: NDArray[np.float32]) -> None:
    known = pileup[~np.isnan(pileup)]
    steps = np.rint(np.clip(known, 0, PILEUP_LIMIT) * np.float32(1024))  # times a power of two: nothing is lost
    _tally(counts, "pileup_known", len(known))
    _tally(counts, "pileup_1024", int(steps.sum(dtype=np.float64)))


def _count_crossings(into: NDArray[np.int64], bx: NDArray[np.uint16], accept: NDArray[np.bool_] | None) -> None:
    counted = np.bincount(bx, minlength=into.shape[1])
    if len(counted) > into.shape[1]:
        raise ValueError(
            f"bx {len(counted) - 1} is beyond the orbit of {into.shape[1]} crossings: mend the site's `crossings`, or "
            "the producer"
        )
    into[0] = counted
    if accept is not None:
        into[1] = np.bincount(bx[accept], minlength=into.shape[1])


def _count_scores(into: NDArray[np.int64], bins: NDArray[np.int64]) -> None:
    for output, column in enumerate(bins.T):
        into[output] = np.bincount(column, minlength=SCORE_BINS)
