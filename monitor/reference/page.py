"""What is normal for one stream, model, menu and prescale column: a page of the Book."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from emulator.pack import Unreadable, pack, unpack
from monitor.observe.axes import Axes
from monitor.observe.quantities import catalogue
from monitor.observe.shape import Shape
from monitor.observe.summary import Summary
from monitor.reference.fit import TERMS, Curves, basis, predictive
from monitor.reference.places import Places
from monitor.trigger.header import Epoch

Floats = NDArray[np.float64]

FEWEST_EVENTS = 50
FEWEST_SHARE = 0.2
"""Of the events of a reference lumisection; of fewer, means and correlations have other tails than were learnt."""
MARGIN, LIVE_MARGIN = 0.1, 0.5
"""Share of the learnt pile-up range that a page may be read beyond it, where the curves' own errors grow; one that was
learnt within a single fill has seen little of the range and must reach further."""
LEAST_MARGIN = 0.5
LEAST_SCALE = 0.25
WIDTHS = 4.0
"""A shift is benign up to this many standard deviations of the wobble between reference fills."""
SCARCE = 3.0
ERROR_WIDTHS = 4.0
"""The same for the statistical error of the learnt curve, whose size is known."""
RARE = 6.0
"""Over a count of n there may be n + 4 sqrt(n + 1) + 6 at the four sigmas of `ERROR_WIDTHS`, also where n is 0."""
LUMINOMETER = 0.012
"""Relative jump of the luminometer's calibration that must not look like a change of the detector."""
DISPLAYED = ("score", "inputs")
AGAIN = "build the reference again"


class Span(NamedTuple):
    """Consecutive lumisections of one run that a page was learnt from."""

    run: int
    first: int
    last: int
    lumisections: int


class PageKey(NamedTuple):
    """What a page is about."""

    stream: str
    digest: str
    menu: str
    prescale_column: str

    @classmethod
    def of(cls, stream: str, epoch: Epoch) -> PageKey:
        """Return the key of the page for an epoch; firmware changes do not change what is normal."""
        return cls(stream, epoch.digest or f"label:{epoch.model}", epoch.menu, epoch.prescale_column)


@dataclass(frozen=True, slots=True, eq=False)
class Expectation:
    """What a page expects at one pile-up; float64 (q,) each.

    Attributes
    ----------
    centre
        Rate per unit of exposure for counts, value for means.
    tolerance
        Benign shift: a share of the rate for counts, in the quantity's unit for means; `misread` is part of it.
    noise
        Variance over the textbook one (Poisson; spread / exposure).
    spread
        Variance of one entry, for means.
    misread
        Shift that a luminometer reading `LUMINOMETER` too high or too low makes, in the unit of `tolerance`.
    """

    centre: Floats
    tolerance: Floats
    noise: Floats
    spread: Floats
    misread: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Page:
    """Curves over pile-up for every quantity of `shape`, with their noise and their benign wobble.

    Attributes
    ----------
    key, shape
        What the page is about; which quantities (see `observe.quantities.catalogue`).
    spans
        The lumisections it was learnt from.
    low, high
        Learnt range of pile-up; NaN where it was unknown, then every pile-up is judged alike.
    live : bool (q,)
        Quantities with enough entries to be judged.
    usual : bool (q,)
        Counts that most events add to: the others are what is counted (`Quantities.turned`).
    scarce : bool (q,)
        Counts that the reference hardly saw: curve and error reach from nothing to the most that was possible.
    curves
        ln(rate) for counts, the value for means, over pile-up scaled to [-1, 1].
    noise : float64 (q,)
        Variance between neighbouring lumisections over the textbook one.
    wobble : float64 (q,)
        Standard deviation between reference fills beyond noise: a share of the rate for counts, in units of
        sqrt(spread) for means.
    wander : float64 (q,)
        The same within fills: how far blocks of lumisections stray from their fill.
    spread : float64 (q,)
        Variance of a single entry, for means.
    exposure : float64 (q,)
        Mean exposure of a learnt lumisection.
    places
        How objects spread over the cells of the eta-phi grids.
    axes
        Principal axes of the inputs.
    displayed
        Counts per bin of pile-up (p, …) of the histograms in `DISPLAYED`; `events` (p,) and `pileup` (p,) beside them.
    id
        Digest of all of the above.
    """

    key: PageKey
    shape: Shape
    spans: tuple[Span, ...]
    low: float
    high: float
    live: NDArray[np.bool_]
    usual: NDArray[np.bool_]
    scarce: NDArray[np.bool_]
    curves: Curves
    noise: Floats
    wobble: Floats
    wander: Floats
    spread: Floats
    exposure: Floats
    places: Places
    axes: Axes
    displayed: Mapping[str, NDArray[Any]]
    id: str = ""

    @property
    def fills(self) -> int:
        """Number of runs that it was learnt from."""
        return len({span.run for span in self.spans})

    @property
    def lumisections(self) -> int:
        """Number of lumisections that it was learnt from."""
        return sum(span.lumisections for span in self.spans)

    @property
    def usual_events(self) -> float:
        """Events of a reference lumisection, on average."""
        return float(self.displayed["events"].sum()) / max(self.places.lumisections, 1)

    def unjudged(self, summary: Summary) -> str | None:
        """Say why this page cannot judge `summary`, or None if it can."""
        if summary.shape != self.shape:
            return "the reference was learnt with another input layout or threshold"
        if summary.events < FEWEST_EVENTS:
            return f"{summary.events} events are too few to judge"
        if summary.events < FEWEST_SHARE * self.usual_events:
            return f"{summary.events} events are too few beside the {self.usual_events:.0f} of the reference"
        if self.fills == 1 and (np.isnan(summary.pileup) or np.isnan(self.low)):
            return "pile-up is unknown, and one fill cannot tell its decay from a drift"
        pileup, share = summary.pileup, MARGIN if self.fills > 1 else LIVE_MARGIN
        reach = share * (self.high - self.low) + LEAST_MARGIN
        if np.isfinite(pileup) and not np.isnan(self.low) and not self.low - reach <= pileup <= self.high + reach:
            return f"pile-up {pileup:.1f} is outside the learnt {self.low:.1f} to {self.high:.1f}"
        return None

    def told(self, centre: Floats) -> Floats:
        """Return rates and means (q,) of an `Expectation` as people know them: usual counts the right way round."""
        return np.where(self.usual, 1.0 - centre, centre)

    def expect(self, pileup: float) -> Expectation:
        """Return what is expected at `pileup` of quantities that are `turned` as the page's are.

        NaN (the luminometer is silent) gives the middle of everything learnt, and tolerances that cover all of it.
        """
        counted = catalogue(self.shape).counted
        if np.isfinite(pileup) or np.isnan(self.low):
            return self._at(np.asarray([pileup]), counted)
        return self._at(np.linspace(self.low, self.high, 9), counted)

    def _at(self, pileups: Floats, counted: NDArray[np.bool_]) -> Expectation:
        # What a luminometer that reads high would say is asked along with the rest: one evaluation of the curves.
        either = pileups.mean() * np.asarray([1.0, 1.0 + LUMINOMETER])
        links, variances = predictive(self.curves, basis(self.scaled(np.concatenate([pileups, either]))))
        link, variance = links[:-2], variances[:-2]
        value = np.where(counted, np.exp(np.minimum(link, 50.0)), link)
        low, high = value.min(axis=0), value.max(axis=0)
        centre = np.where(counted, np.sqrt(np.maximum(low * high, 0.0)), (low + high) / 2)
        half = np.where(counted, high / np.maximum(centre, 1e-300) - 1.0, high - centre)
        error = np.where(counted, self.noise, self.noise * self.spread) * variance.max(axis=0)
        wobble = (self.widths * self.wobble * self.unit) ** 2 * (1.0 + 1.0 / self.fills)
        drift = np.sqrt(wobble + ERROR_WIDTHS**2 * error)
        moved = links[-1] - links[-2]
        misread = np.abs(np.where(counted, np.expm1(moved), moved))
        return Expectation(centre, half + drift + misread, self.noise, self.spread, misread)

    @property
    def unit(self) -> Floats:
        """What a wobble of 1 is (q,): the whole rate for counts, an entry's standard deviation for means."""
        return np.where(catalogue(self.shape).counted, 1.0, np.sqrt(self.spread))

    @property
    def widths(self) -> float:
        """How many standard deviations of the wobble are benign: more where few fills have told its size.

        Student's t has the wider tails the fewer fills there are. They are followed as far as eight fills need for a
        chance of one in a thousand; with three or fewer, tolerances in which nothing is lost are not to be had.
        """
        return WIDTHS * min(1.0 + SCARCE / self.fills, 2.0)

    def scaled(self, pileups: Floats) -> Floats:
        """Return pile-up scaled to [-1, 1] over the learnt range, 0 where either is unknown.

        The unit is never less than `LEAST_SCALE` of the pile-up itself, or a page learnt within an hour would believe
        in any slope that fits.
        """
        centre, half = (self.low + self.high) / 2, (self.high - self.low) / 2
        if not half > 0:
            return np.zeros_like(pileups)
        return np.nan_to_num((pileups - centre) / max(half, LEAST_SCALE * centre))

    def histograms(self, summary: Summary) -> dict[str, Floats]:
        """Return the expected `score` and `inputs` for as many events at the same pile-up, and `towers`.

        The former are interpolated between the two nearest bins of pile-up; cells share what their row holds.
        """
        weights = self._weights(events=summary.events, pileup=summary.pileup)
        towers = self.places.shared(self.shape, summary.counts["towers"])
        return {name: np.tensordot(weights, self.displayed[name], axes=1) for name in DISPLAYED} | {"towers": towers}

    def scores(self, *, events: int, pileup: float) -> Floats:
        """Return the expected histograms of the scores, (outputs, bins), of `events` events; `pileup` may be NaN."""
        return np.tensordot(self._weights(events=events, pileup=pileup), self.displayed["score"], axes=1)

    def _weights(self, *, events: int, pileup: float) -> Floats:
        """Return the weight of every bin of pile-up for the histograms of `events` events."""
        learnt, centres = self.displayed["events"], self.displayed["pileup"]
        if not np.isfinite(pileup) or np.isnan(self.low):
            return np.full(len(learnt), events / max(learnt.sum(), 1))
        place = np.interp(pileup, centres, np.arange(len(centres)))
        share = np.maximum(1.0 - np.abs(np.arange(len(learnt)) - place), 0.0)
        return np.asarray(events * share / np.maximum(learnt, 1))

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        return pack(*_content(self))

    @classmethod
    def from_bytes(cls, content: bytes) -> Page:
        """Read what `to_bytes` wrote; raises `Unreadable`."""
        names, arrays = unpack(content)
        try:
            _check_names(names)
            page = cls(
                key=PageKey(*names["key"]),
                shape=Shape.from_json(names["shape"]),
                spans=tuple(Span(*span) for span in names["spans"]),
                low=float("nan") if names["low"] is None else names["low"],
                high=float("nan") if names["high"] is None else names["high"],
                live=arrays["live"].astype(np.bool_),
                usual=arrays["usual"].astype(np.bool_),
                scarce=arrays["scarce"].astype(np.bool_),
                curves=Curves(arrays["coefficients"], arrays["covariance"]),
                noise=arrays["noise"],
                wobble=arrays["wobble"],
                wander=arrays["wander"],
                spread=arrays["spread"],
                exposure=arrays["exposure"],
                places=Places(
                    towers=arrays["places.towers"].astype(np.int64),
                    noise=arrays["places.noise"],
                    wobble=arrays["places.wobble"],
                    lumisections=names["lumisections"],
                    fills=names["fills"],
                ),
                axes=Axes(arrays["axes.centre"], arrays["axes.directions"]),
                displayed={key[10:]: value for key, value in arrays.items() if key.startswith("displayed.")},
                id=identity(content),
            )
            _check(page)
        except Unreadable:
            raise
        except KeyError as error:
            raise Unreadable(f"a page holds no {error.args[0]!r}, it is damaged or older: {AGAIN}") from error
        except (TypeError, ValueError, AttributeError, OverflowError) as error:
            raise Unreadable(f"a page holds values of another kind, it is damaged or older: {AGAIN}") from error
        return page


def _check_names(names: Mapping[str, Any]) -> None:
    """Raise TypeError for values that would be taken as they are, and judged with, though they are of another kind."""
    shape = names["shape"]
    counts = [names["lumisections"], names["fills"], *(shape[name] for name in ("inputs", "outputs", "crossings"))]
    numbers = [*(number for span in names["spans"] for number in span), shape["threshold"] or 0, *counts]
    if not all(type(each) is int for each in numbers) or min(counts) < 1:
        raise TypeError("what is counted is a whole number")
    if not isinstance(names["key"], list) or not all(type(each) is str for each in names["key"]):
        raise TypeError("a key is made of words")


def _check(page: Page) -> None:
    """Raise `Unreadable` for what would be judged wrongly, or could not be judged at all."""
    many, inputs = len(catalogue(page.shape)), len(page.shape.paired)
    if len(page.live) != many:
        raise Unreadable(
            f"page {page.id[:12]} holds {len(page.live)} quantities, this version measures {many}: {AGAIN}"
        )
    bins, panes = len(page.displayed.get("pileup", ())), len(page.places.noise)
    wanted = {
        **dict.fromkeys(("usual", "scarce", "noise", "wobble", "wander", "spread", "exposure"), (many,)),
        "curves.coefficients": (TERMS, many),
        "curves.covariance": (many, TERMS, TERMS),
        "places.towers": page.shape.arrays()["towers"],
        "places.wobble": (panes,),
        "axes.centre": (inputs,),
        "axes.directions": (inputs, inputs),
    }
    for name, shape in wanted.items():
        if (found := attrgetter(name)(page).shape) != shape:
            raise Unreadable(f"page {page.id[:12]}: its {name} is {found}, not {shape}: {AGAIN}")
    for name in ("events", "pileup", *DISPLAYED):
        found = page.displayed.get(name)
        each = page.shape.arrays()[name] if name in DISPLAYED else ()
        if found is None or found.shape != (bins, *each) or not bins:
            raise Unreadable(f"page {page.id[:12]} does not hold {name} for every bin of pile-up: {AGAIN}")
    by_quantity = ("noise", "wobble", "wander", "spread", "exposure")
    for name in ("curves.coefficients", "curves.covariance", *by_quantity, "places.noise", "places.wobble"):
        if not np.isfinite(attrgetter(name)(page)).all():
            raise Unreadable(f"page {page.id[:12]}: its {name} holds values that are no numbers: {AGAIN}")
    if not page.spans or not (page.noise > 0).all() or not (page.places.noise > 0).all():
        raise Unreadable(f"page {page.id[:12]} was learnt from nothing, or knows no noise: {AGAIN}")
    if not all(isinstance(end, float) for end in (page.low, page.high)):
        raise Unreadable(f"page {page.id[:12]}: its pile-up is {page.low!r} to {page.high!r}, no numbers: {AGAIN}")


def identity(content: bytes) -> str:
    """Return the id of bytes: 32 hexadecimal digits of their SHA-256."""
    return hashlib.sha256(content).hexdigest()[:32]


def _content(page: Page) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    names = {
        "key": list(page.key),
        "shape": page.shape.to_json(),
        "spans": [list(span) for span in page.spans],
        "low": None if np.isnan(page.low) else page.low,
        "high": None if np.isnan(page.high) else page.high,
        "lumisections": page.places.lumisections,
        "fills": page.places.fills,
    }
    arrays: dict[str, NDArray[Any]] = {
        "live": page.live.astype(np.uint8),
        "usual": page.usual.astype(np.uint8),
        "scarce": page.scarce.astype(np.uint8),
        "coefficients": page.curves.coefficients,
        "covariance": page.curves.covariance,
        "noise": page.noise,
        "wobble": page.wobble,
        "wander": page.wander,
        "spread": page.spread,
        "exposure": page.exposure,
        "places.towers": page.places.towers.astype(np.uint32),
        "places.noise": page.places.noise,
        "places.wobble": page.places.wobble,
        "axes.centre": page.axes.centre,
        "axes.directions": page.axes.directions,
    }
    return names, {**arrays, **{f"displayed.{name}": values for name, values in page.displayed.items()}}
