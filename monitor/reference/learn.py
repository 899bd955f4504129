"""Summaries of reference fills -> the Book."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.observe.axes import Axes
from monitor.observe.frame import Frame
from monitor.observe.quantities import Catalogue, Quantities, catalogue, measure
from monitor.observe.summary import Summary
from monitor.observe.trains import Trains
from monitor.reference.book import Book
from monitor.reference.fit import Curves, basis, fit_counts, fit_means, predictive
from monitor.reference.page import DISPLAYED, ERROR_WIDTHS, FEWEST_EVENTS, RARE, Page, PageKey, Span, identity
from monitor.reference.places import learn_places
from monitor.reference.wobble import between_fills, blocks_of, shared, within_blocks, within_fills

Floats = NDArray[np.float64]

FEWEST_LUMISECTIONS = 10
FEWEST_ENTRIES = 20
PILEUP_BINS = 8


class Unlearnable(ValueError):
    """Not enough clean data to say what is normal."""


def learn(summaries: Iterable[Summary], *, version: int = 1) -> Book:
    """Learn one page per (stream, model digest, menu, prescale column).

    Parameters
    ----------
    summaries
        One per lumisection (partitions added up), in any order, of fills that people call good. Best several fills:
        benign wobble is what differs between them.

    Raises
    ------
    Unlearnable
        If one of the pages would rest on fewer than ten usable lumisections.
    """
    found: dict[PageKey, list[Summary]] = {}
    for summary in summaries:
        found.setdefault(PageKey.of(summary.key.stream, summary.key.epoch), []).append(summary)
    return Book({key: learn_page(rows) for key, rows in found.items()}, version)


def learn_page(summaries: Sequence[Summary]) -> Page:
    """Learn the page of summaries that share one key and shape; raises `Unlearnable`."""
    rows = sorted((s for s in summaries if s.events >= FEWEST_EVENTS), key=lambda s: s.key.lumisection)
    if len(rows) < FEWEST_LUMISECTIONS:
        raise Unlearnable(
            f"{len(rows)} of {len(summaries)} lumisections have at least {FEWEST_EVENTS} events, a reference needs "
            f"{FEWEST_LUMISECTIONS}: give it more clean data"
        )
    key, shape = PageKey.of(rows[0].key.stream, rows[0].key.epoch), rows[0].shape
    if any(row.shape != shape for row in rows):
        raise Unlearnable(f"the lumisections of {key} differ in input layout or threshold: learn them apart")
    known = [row for row in rows if np.isfinite(row.pileup)]
    rows = known if len(known) >= FEWEST_LUMISECTIONS else rows
    pileup = [row.pileup for row in rows]
    low, high = min(pileup), max(pileup)  # NaN, and so unconditioned, where it is unknown
    axes, trains = _axes(rows), _trains(rows)
    frames = [Frame(trains[row.key.lumisection.run], axes) for row in rows]
    quantities, seen = catalogue(shape), _stack([measure(row, frame) for row, frame in zip(rows, frames, strict=True)])
    usual = quantities.once & (seen.value.sum(axis=0) > seen.exposure.sum(axis=0) / 2)
    seen = seen.turned(usual)
    draft = replace(_draft(key, rows, quantities, seen=seen, pileup=(low, high), axes=axes), usual=usual)
    page = _with_noise(draft, rows, quantities, seen=seen)
    return replace(page, id=identity(page.to_bytes()))


def _axes(rows: Sequence[Summary]) -> Axes:
    """Return the principal axes of all events of the rows."""
    whole = replace(rows[0], counts={name: _total(rows, name) for name in rows[0].counts})
    histograms = whole.counts["inputs"][list(whole.shape.paired)]
    return Axes.of(*whole.moments(), histograms.max(axis=1) / max(whole.events, 1))


def _trains(rows: Sequence[Summary]) -> dict[int, Trains | None]:
    """Return the trains of every run, None where it has too few events to tell."""
    runs = dict.fromkeys(row.key.lumisection.run for row in rows)
    return {run: Trains.of(_total([r for r in rows if r.key.lumisection.run == run], "bx")[0]) for run in runs}


def _stack(parts: Sequence[Quantities]) -> Quantities:
    return Quantities(
        np.stack([p.value for p in parts]), np.stack([p.exposure for p in parts]), np.stack([p.spread for p in parts])
    )


def _draft(
    key: PageKey,
    rows: Sequence[Summary],
    quantities: Catalogue,
    *,
    seen: Quantities,
    pileup: tuple[float, float],
    axes: Axes,
) -> Page:
    """Return the page with curves, for textbook noise and no wobble."""
    exposure = seen.exposure.sum(axis=0)
    spread = (seen.spread * seen.exposure).sum(axis=0) / np.maximum(exposure, 1.0)
    ones = np.ones(len(quantities))
    draft = Page(
        key=key,
        shape=rows[0].shape,
        spans=_spans(rows),
        low=pileup[0],
        high=pileup[1],
        live=_live(quantities, seen, spread),
        usual=np.zeros(len(quantities), np.bool_),
        scarce=_scarce(quantities, seen),
        curves=Curves(np.zeros((0, 0)), np.zeros((0, 0, 0))),
        noise=ones,
        wobble=0 * ones,
        wander=0 * ones,
        spread=spread,
        exposure=seen.exposure.mean(axis=0),
        places=learn_places(rows),
        axes=axes,
        displayed=_displayed(rows, pileup),
    )
    return replace(draft, curves=_curves(draft, rows, quantities, seen))


def _live(quantities: Catalogue, seen: Quantities, spread: Floats) -> NDArray[np.bool_]:
    total, exposure = seen.value.sum(axis=0), seen.exposure.sum(axis=0)
    probable = np.abs(total - exposure) >= FEWEST_ENTRIES  # a fraction stuck at 1 tells as little as one stuck at 0
    counts = (total >= FEWEST_ENTRIES) & probable | _scarce(quantities, seen)
    means = ((seen.exposure > 1).mean(axis=0) > 0.5) & (exposure >= FEWEST_ENTRIES) & (spread > 0)
    live: NDArray[np.bool_] = np.where(quantities.counted, counts, means)
    # Neighbouring cuts that always select the same are one quantity: the others would only thin its voice.
    alike = (seen.value[:, 1:] == seen.value[:, :-1]).all(axis=0) & (np.diff(quantities.family) == 0)
    live[1:] &= ~(alike & ~quantities.rare[1:])
    return live


def _scarce(quantities: Catalogue, seen: Quantities) -> NDArray[np.bool_]:
    """Say which counts (q,) are judged although hardly any were seen."""
    looked = seen.exposure.sum(axis=0) > 0
    return np.asarray(quantities.rare & looked & (seen.value.sum(axis=0) < FEWEST_ENTRIES))


def _terms(page: Page, rows: Sequence[Summary]) -> Floats:
    return basis(page.scaled(np.asarray([row.pileup for row in rows])))


def _curves(page: Page, rows: Sequence[Summary], quantities: Catalogue, seen: Quantities) -> Curves:
    terms, counted = _terms(page, rows), quantities.counted
    counts = fit_counts(seen.value[:, counted], seen.exposure[:, counted], terms)
    means = fit_means(seen.value[:, ~counted], seen.exposure[:, ~counted], terms)
    coefficients, covariance = np.empty((3, len(counted))), np.empty((len(counted), 3, 3))
    coefficients[:, counted], coefficients[:, ~counted] = counts.coefficients, means.coefficients
    covariance[counted], covariance[~counted] = counts.covariance, means.covariance
    return _up_to_the_limit(Curves(coefficients, covariance), page.scarce, seen)


def _up_to_the_limit(curves: Curves, scarce: NDArray[np.bool_], seen: Quantities) -> Curves:
    """Return curves that call normal whatever is under the upper limit of `scarce` counts: n + 4 sqrt(n + 1) + 6.

    The curve is half of it at every pile-up, and its error so large that the tolerance is the other half.
    """
    total, exposure = seen.value.sum(axis=0)[scarce], seen.exposure.sum(axis=0)[scarce]
    limit = total + ERROR_WIDTHS * np.sqrt(total + 1) + RARE
    coefficients, covariance = curves.coefficients.copy(), curves.covariance.copy()
    coefficients[:, scarce], covariance[scarce] = 0.0, 0.0
    coefficients[0, scarce], covariance[scarce, 0, 0] = np.log(limit / 2 / exposure), 1.0 / ERROR_WIDTHS**2
    return Curves(coefficients, covariance)


def _with_noise(page: Page, rows: Sequence[Summary], quantities: Catalogue, *, seen: Quantities) -> Page:
    """Return the page with the noise between neighbours and the wobble between fills filled in."""
    link, _ = predictive(page.curves, _terms(page, rows))
    counted = quantities.counted
    expected = np.exp(np.minimum(link, 50.0)) * seen.exposure
    unit = np.sqrt(np.where(page.spread > 0, page.spread, 1.0))
    weight = np.where(counted, expected, seen.exposure)  # of a relative residual: the inverse of its textbook variance
    relative = np.where(counted, seen.value / np.maximum(expected, 1e-12) - 1.0, (seen.value - link) / unit)
    blocks = blocks_of([row.key.lumisection for row in rows])
    noise = within_blocks(relative, weight, blocks)
    wobble = shared(between_fills(relative, weight, blocks, noise=noise), quantities.alike)
    wander = within_fills(relative, weight, blocks, noise=noise, family=np.where(page.live, quantities.family, -1))
    wobble = np.maximum(wobble, quantities.wobble)
    known = ~page.scarce  # of what was hardly seen nothing can be said but how often it may come
    return replace(page, noise=np.where(known, noise, 1.0), wobble=wobble * known, wander=wander * known)


def _spans(rows: Sequence[Summary]) -> tuple[Span, ...]:
    marks = [row.key.lumisection for row in rows]
    cuts = [0, *(i for i, (a, b) in enumerate(pairwise(marks), 1) if a.run != b.run or b.ls > a.ls + 1), len(marks)]
    return tuple(Span(marks[a].run, marks[a].ls, marks[b - 1].ls, b - a) for a, b in pairwise(cuts))


def _displayed(rows: Sequence[Summary], pileup: tuple[float, float]) -> dict[str, NDArray[Any]]:
    """Add the histograms up in bins of pile-up; bins without lumisections are left out."""
    low, high = pileup
    place = np.zeros(len(rows), np.int64)
    if high > low:
        share = (np.asarray([row.pileup for row in rows]) - low) / (high - low)
        place = np.minimum((share * PILEUP_BINS).astype(np.int64), PILEUP_BINS - 1)
    members = [[rows[i] for i in np.flatnonzero(place == b).tolist()] for b in np.unique(place)]
    totals = {name: np.stack([_total(some, name) for some in members]) for name in DISPLAYED}
    events = np.asarray([sum(row.events for row in some) for some in members], dtype=np.int64)
    mean = np.asarray([np.mean([row.pileup for row in some]) for some in members])
    return {**totals, "events": events, "pileup": mean}


def _total(rows: Sequence[Summary], name: str) -> NDArray[np.int64]:
    total = rows[0].counts[name].copy()
    for row in rows[1:]:
        total += row.counts[name]
    return total
