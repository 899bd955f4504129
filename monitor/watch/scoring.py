"""Who re-emulates a batch, and what is counted of it."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.layout import Layout
from emulator.poison import Poison
from monitor.observe.shape import CROSSINGS, Shape
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

    `left_out` gives, by reason, bool (n,): which events are not compared although others are; their rows of `emulated`
    mean nothing, and no event has two reasons.
    """

    batch: Batch
    epoch: Epoch
    summariser: Summariser
    emulated: NDArray[np.int64] | None
    reason: str | None
    trouble: str | None = None
    left_out: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)

    def summarise(self, lumisection: Lumisection, rows: slice | NDArray[np.bool_]) -> Summary:
        """Return the summary of these rows, which are all of one lumisection."""
        key = SummaryKey(self.batch.header.stream, lumisection, self.epoch)
        batch, emulated = self.batch.select(rows), None if self.emulated is None else self.emulated[rows]
        if not self.left_out or emulated is None:
            return self.summariser.summarise(key, batch, emulated, self.reason)
        compared = ~np.logical_or.reduce([out[rows] for out in self.left_out.values()])
        summary = self.summariser.summarise(key, batch.select(compared), emulated[compared])
        for reason, out in self.left_out.items():
            summary += self.summariser.summarise(key, batch.select(out[rows]), None, reason)
        return summary


class Scoring:
    """Looks models up on the shelf and keeps the tables of those in use."""

    def __init__(self, shelf: Shelf, library: ctypes.CDLL | None = None, *, crossings: int = CROSSINGS) -> None:
        self._shelf = shelf
        self._library = library
        self._crossings = crossings
        self._summarisers: dict[Shape, Summariser] = {}

    def score(self, batch: Batch) -> Scored | Rejected:
        """Re-emulate `batch`. Where the emulator fails, events are not comparable; a wrong width rejects the batch."""
        try:
            runs = (int(batch.run.min()), int(batch.run.max())) if len(batch) else (0, 0)
            found = self._shelf.find(batch.header.model, batch.header.digest, runs=runs, menu=batch.header.menu)
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
        answer = _emulate(found, batch)
        return Scored(
            batch=batch,
            epoch=_epoch(batch, found.digest),
            summariser=self._summariser(batch, found.layout, found.threshold),
            emulated=answer.scores,
            reason=None if answer.scores is not None else EMULATOR_FAILED,
            trouble=answer.trouble,
            left_out=answer.left_out,
        )

    def _unscored(self, batch: Batch, why: NotComparable) -> Scored:
        summariser = self._summariser(batch, why.layout, why.threshold)
        trouble = why.detail if why.reason == EMULATOR_FAILED else None
        return Scored(batch, _epoch(batch, ""), summariser, None, why.reason, trouble)

    def _summariser(self, batch: Batch, layout: Layout | None, threshold: int | None) -> Summariser:
        inputs, outputs = batch.inputs.shape[1], batch.score.shape[1]
        if layout is not None and layout.width != inputs:
            layout = None  # a layout of other inputs would name the wrong objects
        shape = Shape(layout, inputs, outputs, threshold, self._crossings)
        if shape not in self._summarisers:
            if len(self._summarisers) >= MOST_SUMMARISERS:
                self._summarisers.clear()  # ever new widths must not fill the memory
            self._summarisers[shape] = Summariser(
                layout, inputs, outputs, threshold, crossings=self._crossings, library=self._library
            )
        return self._summarisers[shape]


def _epoch(batch: Batch, digest: str) -> Epoch:
    header = batch.header
    return Epoch(header.model, digest, header.menu, header.firmware, header.prescale_column)


@dataclass(frozen=True, slots=True, eq=False)
class _Answer:
    """What an emulator said: scores, or None; what went wrong in a sentence; which events were left out, by reason."""

    scores: NDArray[Any] | None
    trouble: str | None = None
    left_out: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)


def _emulate(rescorer: Rescorer, batch: Batch) -> _Answer:
    who = f"the emulator of {rescorer.label} ({rescorer.digest[:19]}…)"
    try:
        answer = _score_what_fits(rescorer, batch, who)
    except Exception as error:  # noqa: BLE001 - whatever an engine raises, the daemon does not stop for a message
        return _Answer(None, f"{who} raised {type(error).__name__}: {error}")
    scores = np.asarray(answer.scores)
    if scores.shape != batch.score.shape or scores.dtype.kind not in "iu":
        return _Answer(None, f"{who} returned {scores.dtype} {scores.shape}, not integers {batch.score.shape}")
    return replace(answer, scores=scores.astype(np.int64, copy=False))


def _score_what_fits(rescorer: Rescorer, batch: Batch, who: str) -> _Answer:
    """Score the events that the model can take, which are most often all. Raises what the engine does."""
    try:
        return _score(rescorer, batch, who)
    except ValueError:
        # Asked only now: looking at every input beforehand would be paid for by all good batches.
        fitting = np.asarray(rescorer.fits(batch.inputs))
        if fitting.all():
            raise
        filled = replace(batch, inputs=np.where(fitting[:, None], batch.inputs, 0))
        answer = _score(rescorer, filled, who)
        left_out = {reason: out & fitting for reason, out in answer.left_out.items()}
        return replace(answer, left_out={OUTSIDE_FORMAT: ~fitting, **left_out})


def _score(rescorer: Rescorer, batch: Batch, who: str) -> _Answer:
    """Score all events, but for those that the emulator does not survive."""
    try:
        return _Answer(rescorer.score(batch.inputs))
    except Poison as poison:
        row, why = next(iter(poison.why.items()))
        where = f"event {batch.event[row]} of run {batch.run[row]}"
        trouble = f"{who} failed on {len(poison.why)} of {len(batch)} events, first on {where}: {why}"
        return _Answer(poison.scores, trouble, {EMULATOR_FAILED: ~poison.answered})
