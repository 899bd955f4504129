"""Who re-emulates a batch, and what is counted of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.layout import Layout
from monitor.observe.shape import Shape
from monitor.observe.summariser import Summariser
from monitor.observe.summary import Summary, SummaryKey
from monitor.trigger.batch import Batch, Reason, Rejected
from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection
from monitor.watch.shelf import EMULATOR_FAILED, OUTSIDE_FORMAT, NotComparable, Rescorer, Shelf

MOST_SUMMARISERS = 32


@dataclass(frozen=True, slots=True, eq=False)
class Scored:
    """A batch with its emulation: one row of `emulated` per event, or the reason why there is none.

    `fitting` bool (n,) says which events the model can take at all, None where it can take every one; the others' rows
    of `emulated` mean nothing.
    """

    batch: Batch
    epoch: Epoch
    summariser: Summariser
    emulated: NDArray[np.int64] | None
    reason: str | None
    trouble: str | None = None
    fitting: NDArray[np.bool_] | None = None

    def summarise(self, lumisection: Lumisection, rows: slice | NDArray[np.bool_]) -> Summary:
        """Return the summary of these rows, which are all of one lumisection."""
        key = SummaryKey(self.batch.header.stream, lumisection, self.epoch)
        batch, emulated = self.batch.select(rows), None if self.emulated is None else self.emulated[rows]
        if self.fitting is None or emulated is None:
            return self.summariser.summarise(key, batch, emulated, self.reason)
        fits = self.fitting[rows]
        compared = self.summariser.summarise(key, batch.select(fits), emulated[fits])
        return compared + self.summariser.summarise(key, batch.select(~fits), None, OUTSIDE_FORMAT)


class Scoring:
    """Looks models up on the shelf and keeps the tables of those in use."""

    def __init__(self, shelf: Shelf) -> None:
        self._shelf = shelf
        self._summarisers: dict[Shape, Summariser] = {}

    def score(self, batch: Batch) -> Scored | Rejected:
        """Re-emulate `batch`. A failing emulator makes the events not comparable; a wrong width rejects the batch."""
        try:
            found = self._shelf.find(batch.header.model, batch.header.digest)
        except Exception as error:  # noqa: BLE001 - an engine that does not load must not stop the watch
            found = NotComparable(EMULATOR_FAILED, f"{type(error).__name__}: {error}")
        if isinstance(found, NotComparable):
            return self._unscored(batch, found)
        inputs, outputs = batch.inputs.shape[1], batch.score.shape[1]
        if (inputs, outputs) != (found.inputs, found.outputs):
            detail = (
                f"a batch has {inputs} inputs and {outputs} outputs, model {found.label} ({found.digest[:19]}…) has "
                f"{found.inputs} and {found.outputs}: the producer names the wrong model"
            )
            return Rejected(Reason.WIDTH, detail, batch.header.stream)
        emulated, trouble, fitting = _emulate(found, batch)
        return Scored(
            batch=batch,
            epoch=_epoch(batch, found.digest),
            summariser=self._summariser(batch, found.layout, found.threshold),
            emulated=emulated,
            reason=None if emulated is not None else EMULATOR_FAILED,
            trouble=trouble,
            fitting=fitting,
        )

    def _unscored(self, batch: Batch, why: NotComparable) -> Scored:
        summariser = self._summariser(batch, why.layout, why.threshold)
        trouble = why.detail if why.reason == EMULATOR_FAILED else None
        return Scored(batch, _epoch(batch, ""), summariser, None, why.reason, trouble)

    def _summariser(self, batch: Batch, layout: Layout | None, threshold: int | None) -> Summariser:
        inputs, outputs = batch.inputs.shape[1], batch.score.shape[1]
        if layout is not None and layout.width != inputs:
            layout = None  # a layout of other inputs would name the wrong objects
        shape = Shape(layout, inputs, outputs, threshold)
        if shape not in self._summarisers:
            if len(self._summarisers) >= MOST_SUMMARISERS:
                self._summarisers.clear()  # ever new widths must not fill the memory
            self._summarisers[shape] = Summariser(layout, inputs, outputs, threshold)
        return self._summarisers[shape]


def _epoch(batch: Batch, digest: str) -> Epoch:
    header = batch.header
    return Epoch(header.model, digest, header.menu, header.firmware, header.prescale_column)


def _emulate(rescorer: Rescorer, batch: Batch) -> tuple[NDArray[np.int64] | None, str | None, NDArray[np.bool_] | None]:
    """Return the emulated scores, or None and what went wrong in a sentence; and which events fit, if not all do."""
    who = f"the emulator of {rescorer.label} ({rescorer.digest[:19]}…)"
    try:
        scores, fitting = _score_what_fits(rescorer, batch.inputs)
    except Exception as error:  # noqa: BLE001 - whatever an engine raises, the daemon does not stop for a message
        return None, f"{who} raised {type(error).__name__}: {error}", None
    if scores.shape != batch.score.shape or scores.dtype.kind not in "iu":
        return None, f"{who} returned {scores.dtype} {scores.shape}, not integers {batch.score.shape}", None
    return scores.astype(np.int64, copy=False), None, fitting


def _score_what_fits(rescorer: Rescorer, inputs: NDArray[Any]) -> tuple[NDArray[np.integer], NDArray[np.bool_] | None]:
    """Return the scores, and which events the model can take where it cannot take all. Raises what the engine does."""
    try:
        return np.asarray(rescorer.score(inputs)), None
    except ValueError:
        # Asked only now: looking at every input beforehand would be paid for by all good batches.
        fitting = np.asarray(rescorer.fits(inputs))
        if fitting.all():
            raise
        return np.asarray(rescorer.score(np.where(fitting[:, None], inputs, 0))), fitting
