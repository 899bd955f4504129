"""Who fits the mismatches: every registered model and every known way of feeding it wrongly, tried on the sample."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emulator.explain import Flip, Pattern, crossings, feedings, is_narrow, log_likelihood, pattern
from monitor.decide.case import Culprit
from monitor.observe.sample import Sample
from monitor.observe.summary import Summary
from monitor.watch.shelf import Rescorer, Shelf
from monitor.watch.upset import Flips, upset

Raw = NDArray[np.int32]
_FED, _BIT = 1, 4  # bits of assumption: fed wrongly, a broken memory; another registered model needs none


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
class Suspects:
    """What the mismatching sample says about its cause, likeliest first; only explanations that fit something.

    `flips` are the single weight bits that reproduce it, () if none does, None if they were not searched: to be given
    to the next lumisection, so that a cause is searched for once.
    """

    fits: tuple[Fit, ...]
    delta: Pattern
    flips: tuple[Flip, ...] | None = None

    @property
    def culprit(self) -> Culprit | None:
        """The best fit, for the judges; None if nothing fits any event."""
        if not self.fits:
            return None
        best = self.fits[0]
        return Culprit(best.label, best.digest, best.hypothesis, best.fits, best.of)


def suspects(summary: Summary, shelf: Shelf, *, flips: Flips = None) -> Suspects | None:
    """Try everything on the mismatching events that the summary kept; None if it kept none.

    Explanations are ranked by `emulator.explain.log_likelihood`: of two that fit alike, the one that assumes less.
    Single weight bits are tried only where nothing simpler reproduces the whole sample.

    Parameters
    ----------
    flips
        What the previous lumisection found out about weight bits: it is tried again before another search is made.
    """
    sample = summary.sample
    if not len(sample):
        return None
    announced = summary.key.epoch.digest
    tried = list(_fits(sample, announced, shelf))
    ranked = [(each, _weight(each, tried)) for each in tried if each.fits]
    whole = any(each.fits == each.of for each, _ in ranked)
    model = next((each for each in shelf.all() if each.digest == announced), None)
    if model is not None and not whole:
        found = upset(model, sample, flips)
        flips = flips if found is None else found.flips
        if found is not None and found.flips:
            fit = Fit(model.digest, model.label, found.words, found.fits, len(sample))
            weight = log_likelihood(fit.fits, fit.of, alternatives=found.alternatives, assumptions=_BIT)
            ranked.append((fit, weight))
    ranked.sort(key=lambda each: (-each[1], each[0].label, each[0].digest, each[0].hypothesis))
    return Suspects(tuple(each for each, _ in ranked), pattern(sample.hardware, sample.emulated), flips)


def _weight(fit: Fit, tried: Sequence[Fit]) -> float:
    alike = sum((each.hypothesis != "") == (fit.hypothesis != "") for each in tried)
    return log_likelihood(fit.fits, fit.of, alternatives=alike, assumptions=_FED if fit.hypothesis else 0)


def _fits(sample: Sample, announced: str, shelf: Shelf) -> Iterator[Fit]:
    for model in shelf.all():
        if (model.inputs, model.outputs) != (sample.inputs.shape[1], sample.hardware.shape[1]):
            continue
        if model.digest != announced:
            yield _fit(model, "", sample.inputs, sample)
            continue
        for words, inputs in feedings(sample.inputs, model.layout):
            yield _fit(model, words, inputs, sample)
        for words, neighbour in crossings(sample.orbit, sample.bx):
            # Only mismatching events are kept; if a model looks at the wrong crossing, that is nearly all of them.
            same = (sample.hardware == sample.emulated[neighbour]).all(axis=1)
            yield Fit(model.digest, model.label, words, int((same & (neighbour >= 0)).sum()), len(sample))


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
    return inputs.astype(np.int16) if is_narrow(inputs) else inputs
