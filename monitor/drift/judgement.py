"""One lumisection's quantities against what is normal: residuals, bets, and the case of each quantity in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.drift import gaussian, poisson
from monitor.drift.evidence import AcceptRate, Shift, Where
from monitor.drift.trail import Trail
from monitor.observe.frame import Frame
from monitor.observe.quantities import Catalogue, catalogue, measure
from monitor.observe.summary import Summary
from monitor.observe.trains import Trains
from monitor.reference.page import Page

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """The live quantities of one lumisection beside what their page expects; float64 (q,) unless said otherwise.

    Attributes
    ----------
    index : int64 (q,)
        Into the catalogue.
    counted, usual : bool (q,)
        True for counts, whose `centre` is a rate per unit of exposure and whose `tolerance` is a share of it; and for
        those of them that are turned: what is counted are the events that do not add to them.
    value, exposure
        As measured; an exposure of 0 means: not measured here.
    sigma
        Statistical error of the value, for counts of value / exposure.
    misread
        Shift that an error of the luminometer makes, in the unit of `tolerance`.
    """

    catalogue: Catalogue
    index: NDArray[np.int64]
    counted: NDArray[np.bool_]
    usual: NDArray[np.bool_]
    value: Floats
    exposure: Floats
    centre: Floats
    tolerance: Floats
    noise: Floats
    sigma: Floats
    misread: Floats

    @property
    def family(self) -> NDArray[np.int64]:
        """Family of every live quantity (q,)."""
        return self.catalogue.family[self.index]

    @property
    def measured(self) -> NDArray[np.bool_]:
        """Which of them this lumisection has measured (q,)."""
        return np.asarray(self.exposure > 0)

    @property
    def observed(self) -> Floats:
        """The values, counts as rates (q,)."""
        return np.where(self.counted, self.value / np.maximum(self.exposure, 1.0), self.value)


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What the bets make of a reading.

    Attributes
    ----------
    expected, tolerance
        Middle and half width of the null hypothesis, counts as rates (q,).
    log_l : (b, 2, q)
        Logarithms of the bets' outcomes, 0 where not measured.
    excess : (2, q)
        Sigmas beyond tolerance, upwards and downwards; NaN where not measured.
    """

    reading: Reading
    expected: Floats
    tolerance: Floats
    log_l: Floats
    excess: Floats

    def shift(self, number: int, *, ratio: float, direction: int, trail: Trail) -> Shift:
        """Return the case of live quantity `number`; direction 0 is upwards, 1 downwards."""
        reading, chosen = self.reading, int(self.reading.index[number])
        region = reading.catalogue.regions[chosen]
        turned = bool(reading.usual[number])
        observed, expected = float(reading.observed[number]), float(self.expected[number])
        return Shift(
            quantity=reading.catalogue.names[chosen],
            family=reading.catalogue.families[reading.catalogue.family[chosen]],
            ratio=max(0.0, ratio),
            direction=(1, -1)[direction ^ turned],
            observed=1.0 - observed if turned else observed,
            expected=1.0 - expected if turned else expected,
            sigma=float(reading.sigma[number]),
            tolerance=float(self.tolerance[number]),
            since=trail.since(direction, number),
            where=Where(object=region.object, eta=region.eta, phi=region.phi),
            within=trail.within(direction, number),
            climbing=trail.climbs(direction, number),
        )


def read(summary: Summary, page: Page, trains: Trains | None = None) -> Reading:
    """Return the quantities of `summary` that a page which can judge it knows; `trains` are those of its run."""
    quantities = catalogue(summary.shape)
    index = np.flatnonzero(page.live)
    seen, expectation = measure(summary, Frame(trains, page.axes)).turned(page.usual), page.expect(summary.pileup)
    exposure, counted = seen.exposure[index], quantities.counted[index]
    centre, entries = expectation.centre[index], np.maximum(exposure, 1.0)
    noise = scaled_noise(expectation.noise[index], entries, page.exposure[index])
    variance = noise * np.where(counted, np.maximum(centre, 0), expectation.spread[index]) / entries
    return Reading(
        catalogue=quantities,
        index=index,
        counted=counted,
        usual=page.usual[index],
        value=seen.value[index],
        exposure=exposure,
        centre=centre,
        tolerance=expectation.tolerance[index],
        noise=noise,
        sigma=np.sqrt(variance),
        misread=expectation.misread[index],
    )


def judge(
    reading: Reading, bets: Floats, *, centre: Floats | None = None, tolerance: Floats | None = None
) -> Judgement:
    """Return what bets (b,) make of a reading, against its page or another `centre` and `tolerance` (q,)."""
    centre = reading.centre if centre is None else centre
    tolerance = reading.tolerance if tolerance is None else tolerance
    counted, entries = reading.counted, np.maximum(reading.exposure, 1.0)
    edges = poisson.bounds(centre * entries, tolerance)
    excess = np.where(
        counted,
        poisson.excess(reading.value, edges, reading.noise),
        gaussian.excess(reading.value - centre, tolerance=tolerance, sigma=np.maximum(reading.sigma, 1e-300)),
    )
    log_l = np.where(
        counted,
        poisson.log_bets(reading.value, edges, noise=reading.noise, bets=bets),
        gaussian.log_bets(excess, bets),
    )
    return Judgement(
        reading=reading,
        expected=centre,
        tolerance=np.where(counted, tolerance * centre, tolerance),
        log_l=np.where(reading.measured, log_l, 0.0),
        excess=np.where(reading.measured, excess, np.nan),
    )


def scaled_noise(noise: Floats, exposure: Floats, learnt: Floats) -> Floats:
    """Return the noise (q,) for another exposure than the learnt one.

    What exceeds the textbook comes partly from clumps, which shrink with exposure as counts do, and partly from
    lumisection-wide jitter, which does not: the latter is assumed for larger exposures, the former for smaller ones.
    """
    growth = np.maximum(exposure / np.maximum(learnt, 1.0), 1.0)
    return np.asarray(np.where(noise > 1.0, 1.0 + (noise - 1.0) * growth, noise))


def accept_rate(reading: Reading, summary: Summary) -> AcceptRate | None:
    """Return the accept rate against its expectation, or None where the stream carries no decision."""
    names = reading.catalogue.names
    number = next((i for i, q in enumerate(reading.index.tolist()) if names[q] == "accept rate"), None)
    if number is None or not summary.tally("decided"):
        return None
    observed, expected = float(reading.observed[number]), float(reading.centre[number])
    turned = bool(reading.usual[number])
    return AcceptRate(
        observed=1.0 - observed if turned else observed,
        expected=1.0 - expected if turned else expected,
        sigma=float(reading.sigma[number]),
        tolerance=float(reading.tolerance[number] * reading.centre[number]),
    )
