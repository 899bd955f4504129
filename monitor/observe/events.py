"""Quantities of whole events: accept rate, score, features of the event and how they go together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from monitor.observe.binning import SCORE_BINS, SCORE_HALF, SIGNED_HALF, STEPS, score_edges
from monitor.observe.section import Floats, Measured, Region, Section, Values, alone
from monitor.observe.shape import Shape
from monitor.observe.summary import Summary

EVERYWHERE = Region()
ACCEPT_RATE = "accept rate"


def event_sections(shape: Shape) -> tuple[Section, ...]:
    """Return the sections of any model; object groups are used where there is a layout."""
    return (_rate(), _tails(shape), _score_mean(shape), *_features(shape), _dependence(shape))


def _rate() -> Section:
    def measure(summary: Summary) -> Measured:
        return counted(summary.accepted, summary.tally("decided"))

    return Section("rate", counted=True, names=(ACCEPT_RATE,), regions=(EVERYWHERE,), measure=alone(measure), once=True)


def _tails(shape: Shape) -> Section:
    """Return, for every half octave of the raw score, the events at or over it."""
    cuts = np.arange(1, SCORE_BINS, STEPS // 2)
    edges = score_edges()
    names = tuple(f"{score_name(shape, o)} >= {edges[cut]:g}" for o in range(shape.outputs) for cut in cuts)

    def measure(summary: Summary) -> Measured:
        over = summary.counts["score"][:, ::-1].cumsum(axis=1)[:, ::-1]
        return counted(over[:, cuts].ravel(), summary.events)

    return Section(
        "score", counted=True, names=names, regions=(EVERYWHERE,) * len(names), measure=alone(measure), once=True
    )


def _score_mean(shape: Shape) -> Section:
    names = tuple(f"{score_name(shape, o)} (log mean)" for o in range(shape.outputs))
    octaves = (np.arange(SCORE_BINS) - SCORE_HALF) / STEPS

    def measure(summary: Summary) -> Measured:
        return averaged(summary.counts["score"], octaves)

    return Section("score", counted=False, names=names, regions=(EVERYWHERE,) * shape.outputs, measure=alone(measure))


_WORDS = {"multiplicity": "multiplicity", "leading": "leading pt (log mean)", "sum": "scalar pt sum (log mean)"}


def _features(shape: Shape) -> tuple[Section, ...]:
    """Return the means of the event's features, without the score; logarithms in octaves."""
    features = shape.features()[:-1]
    found = []
    for family, wanted in (("occupancy", ("multiplicity",)), ("response", ("leading", "sum"))):
        rows = [i for i, (_, feature) in enumerate(features) if feature in wanted]
        if rows:
            scale = 1.0 if family == "occupancy" else 1.0 / STEPS
            found.append(_feature_means(shape, family, rows=rows, scale=scale))
    return tuple(found)


def feature_scales(shape: Shape) -> tuple[tuple[str, float, float], ...]:
    """Return, for every feature but the score, the quantity that is its mean, and how to get from that to the feature.

    A tuple is (name of the quantity, scale, offset): mean feature = scale * quantity + offset.
    """
    found = []
    for name, feature in shape.features()[:-1]:
        if feature in _WORDS:
            found.append((f"{name} {_WORDS[feature]}", 1.0 if feature == "multiplicity" else float(STEPS), 0.0))
        else:  # a bare input: its quantity counts octaves from the middle bin
            found.append((f"{feature} (log mean)", STEPS / 2, float(SIGNED_HALF)))
    return tuple(found)


def _feature_means(shape: Shape, family: str, *, rows: list[int], scale: float) -> Section:
    features = [shape.features()[row] for row in rows]
    chosen = np.asarray(rows)

    def measure(summary: Summary) -> Measured:
        events = max(summary.events, 1)
        mean = summary.counts["sums"][chosen] / events
        square = summary.counts["products"][chosen, chosen] / events
        return mean * scale, summary.events, np.maximum(square - mean**2, 0.0) * scale**2

    return Section(
        family,
        counted=False,
        names=tuple(f"{name} {_WORDS[feature]}" for name, feature in features),
        regions=tuple(Region(object=name) for name, _ in features),
        measure=alone(measure),
    )


def _dependence(shape: Shape) -> Section:
    """Return the correlation of every pair of features; its variance is (1 - r^2)^2 / n for normal variables."""
    features = shape.features()
    first, second = np.triu_indices(len(features), 1)
    names = [f"{name} {feature}".strip() for name, feature in features]

    def measure(summary: Summary) -> Measured:
        events = max(summary.events, 1)
        mean = summary.counts["sums"] / events
        covariance = summary.counts["products"] / events - np.outer(mean, mean)
        width = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
        scale = (width[first] * width[second]) if events > 1 else np.zeros(len(first))
        measured = scale > 1e-9  # a constant has no correlation
        r = np.clip(np.where(measured, covariance[first, second] / np.where(measured, scale, 1.0), 0.0), -1.0, 1.0)
        return r, np.where(measured, float(events), 0.0), (1 - r**2) ** 2

    return Section(
        "dependence",
        counted=False,
        names=tuple(f"correlation of {names[a]} and {names[b]}" for a, b in zip(first, second, strict=True)),
        regions=tuple(_common(features[a][0], features[b][0]) for a, b in zip(first, second, strict=True)),
        measure=alone(measure),
    )


def _common(one: str, other: str) -> Region:
    named = {one, other} - {""}
    return Region(object=named.pop()) if len(named) == 1 else EVERYWHERE


def score_name(shape: Shape, output: int) -> str:
    """Return what an output is called: `score`, or `score[2]` where there are several."""
    return "score" if shape.outputs == 1 else f"score[{output}]"


def counted(counts: Values, events: int) -> Measured:
    """Return counts (q,), or one, seen in `events` events."""
    return counts, events, 0.0


def averaged(histograms: NDArray[np.int64], centres: Floats) -> tuple[Floats, Floats, Floats]:
    """Return mean, entries and variance of each of the histograms (q, bins) whose bins stand for `centres` (bins,)."""
    counts = np.asarray(histograms, dtype=np.float64)
    entries = counts.sum(axis=1)
    safe = np.maximum(entries, 1.0)
    mean = counts @ centres / safe
    return mean, entries, np.maximum(counts @ centres**2 / safe - mean**2, 0.0)
