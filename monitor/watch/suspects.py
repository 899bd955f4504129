"""Who fits the mismatches: every registered model and every known way of feeding it wrongly, tried on the sample."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.layout import Layout
from monitor.decide.case import Culprit
from monitor.observe.sample import Sample
from monitor.observe.summary import Summary
from monitor.watch.shelf import Rescorer, Shelf

Raw = NDArray[np.int32]
INT16, INT32 = np.iinfo(np.int16), np.iinfo(np.int32)


@dataclass(frozen=True, slots=True)
class Fit:
    """How many of the sample's events one explanation reproduces bit for bit.

    `hypothesis` is "" where the model itself fits, otherwise what was done to its inputs ("all inputs doubled").
    """

    digest: str
    label: str
    hypothesis: str
    fits: int
    of: int


@dataclass(frozen=True, slots=True)
class Delta:
    """Simple facts about hardware minus emulation over the sample, raw units.

    Attributes
    ----------
    least, median, most
        Of the signed differences of all outputs that differ.
    off_by_one
        Share of differing outputs that differ by one raw unit: rounding.
    bits
        Output bits that differ in any event, lowest first.
    constant
        The hardware's score where it is the same in the whole sample and the emulation's is not: a stuck output.
    """

    least: int
    median: int
    most: int
    off_by_one: float
    bits: tuple[int, ...]
    constant: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class Suspects:
    """What the mismatching sample says about its cause, best fit first; only explanations that fit something."""

    fits: tuple[Fit, ...]
    delta: Delta

    @property
    def culprit(self) -> Culprit | None:
        """The best fit, for the judges; None if nothing fits any event."""
        if not self.fits:
            return None
        best = self.fits[0]
        return Culprit(best.label, best.digest, best.hypothesis, best.fits, best.of)


def suspects(summary: Summary, shelf: Shelf) -> Suspects | None:
    """Try everything on the mismatching events that the summary kept; None if it kept none.

    A model as it is comes before a hypothesis that fits as many events: it needs less to be true.
    """
    sample = summary.sample
    if not len(sample):
        return None
    fits = [each for each in _fits(sample, summary.key.epoch.digest, shelf) if each.fits]
    ranked = sorted(
        fits, key=lambda each: (-each.fits, each.hypothesis != "", each.label, each.digest, each.hypothesis)
    )
    return Suspects(tuple(ranked), delta(sample))


def delta(sample: Sample) -> Delta:
    """Return the simple facts about a sample of at least one event."""
    differs = sample.hardware != sample.emulated
    steps = (sample.hardware - sample.emulated)[differs]
    changed = int(np.bitwise_or.reduce((sample.hardware ^ sample.emulated).ravel())) & 0xFFFFFFFF
    stuck = len(sample) > 1 and bool((sample.hardware == sample.hardware[0]).all())
    moves = not (sample.emulated == sample.emulated[0]).all()
    return Delta(
        least=int(steps.min()),
        median=int(np.sort(steps)[len(steps) // 2]),
        most=int(steps.max()),
        off_by_one=float(np.mean(np.abs(steps) == 1)),
        bits=tuple(bit for bit in range(32) if changed >> bit & 1),
        constant=tuple(int(each) for each in sample.hardware[0]) if stuck and moves else None,
    )


def hypotheses(raw: Raw, layout: Layout | None) -> Iterator[tuple[str, Raw]]:
    """Yield ways in which a model may have been fed wrongly, each with the inputs it would then have seen."""
    limits = INT16 if _is_narrow(raw) else INT32
    yield "all inputs doubled", np.clip(raw.astype(np.int64) * 2, limits.min, limits.max).astype(np.int32)
    yield "all inputs halved", raw >> 1
    if layout is None:
        return
    for group in layout:
        axis = group.axis("pt")
        if axis is None:
            continue
        columns = [group.column(index, axis) for index in range(group.count)]
        for words, change in (("halved", 1), ("cut to even numbers", 0)):
            changed = raw.copy()
            changed[:, columns] = changed[:, columns] >> 1 if change else (changed[:, columns] >> 1) << 1
            yield f"the pt of {group.name} {words}", changed


def _fits(sample: Sample, announced: str, shelf: Shelf) -> Iterator[Fit]:
    for model in shelf.all():
        if (model.inputs, model.outputs) != (sample.inputs.shape[1], sample.hardware.shape[1]):
            continue
        if model.digest != announced:
            yield _fit(model, "", sample.inputs, sample)
            continue
        for words, inputs in hypotheses(sample.inputs, model.layout):
            yield _fit(model, words, inputs, sample)


def _fit(model: Rescorer, hypothesis: str, inputs: Raw, sample: Sample) -> Fit:
    try:
        held = np.asarray(model.fits(inputs))  # what the model cannot hold, it did not compute
        scores = np.asarray(model.score(_narrow(np.where(held[:, None], inputs, 0))))
        fits = int((held & (scores == sample.hardware).all(axis=1)).sum())
    except Exception:  # noqa: BLE001 - a suspect that cannot be questioned is no reason to stop
        fits = 0
    return Fit(model.digest, model.label, hypothesis, fits, len(sample))


def _narrow(inputs: Raw) -> NDArray[np.int16] | Raw:
    """Return the inputs as the stream carries them, where they fit."""
    return inputs.astype(np.int16) if _is_narrow(inputs) else inputs


def _is_narrow(inputs: Raw) -> bool:
    return bool(inputs.size == 0 or (inputs.min() >= INT16.min and inputs.max() <= INT16.max))
