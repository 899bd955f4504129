"""One lumisection's quantities against a page: residuals, bets, and the case of each quantity in words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from monitor.drift import gaussian, poisson
from monitor.drift.evidence import AcceptRate, Shift, Where
from monitor.drift.trail import Trail
from monitor.observe.quantities import Catalogue, Quantities, catalogue, measure
from monitor.observe.summary import Summary
from monitor.reference.page import Page

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """The live quantities of one lumisection; float64 (q,) unless said otherwise.

    Counts are given as rates per unit of exposure, so that `observed`, `expected`, `sigma` and `tolerance` are in one
    unit for every quantity.

    Attributes
    ----------
    index : int64 (q,)
        Into the catalogue.
    log_l : (b, 2, q)
        Logarithms of the bets' outcomes, 0 where not measured.
    excess : (2, q)
        Sigmas beyond tolerance, upwards and downwards; NaN where not measured.
    """

    catalogue: Catalogue
    index: NDArray[np.int64]
    observed: Floats
    expected: Floats
    sigma: Floats
    tolerance: Floats
    log_l: Floats
    excess: Floats

    def shift(self, number: int, *, ratio: float, direction: int, trail: Trail) -> Shift:
        """Return the case of live quantity `number`; direction 0 is upwards, 1 downwards."""
        chosen = int(self.index[number])
        region = self.catalogue.regions[chosen]
        return Shift(
            quantity=self.catalogue.names[chosen],
            family=self.catalogue.families[self.catalogue.family[chosen]],
            ratio=max(0.0, ratio),
            direction=(1, -1)[direction],
            observed=float(self.observed[number]),
            expected=float(self.expected[number]),
            sigma=float(self.sigma[number]),
            tolerance=float(self.tolerance[number]),
            since=trail.since(direction, number),
            where=Where(object=region.object, eta=region.eta, phi=region.phi),
        )


def judge(summary: Summary, page: Page, bets: Floats) -> Judgement:
    """Return the judgement of `summary` by a page that can judge it."""
    quantities = catalogue(summary.shape)
    index = np.flatnonzero(page.live)
    seen, expectation = measure(summary), page.expect(summary.pileup)
    seen = Quantities(seen.value[index], seen.exposure[index], seen.spread[index])
    centre, tolerance = expectation.centre[index], expectation.tolerance[index]
    counted, exposure = quantities.counted[index], np.maximum(seen.exposure, 1.0)
    noise = scaled_noise(expectation.noise[index], exposure, page.exposure[index])
    edges = poisson.bounds(centre * exposure, tolerance)
    sigma = np.sqrt(noise * np.where(counted, np.maximum(centre, 0), expectation.spread[index]) / exposure)
    residual = seen.value - centre
    excess = np.where(
        counted,
        poisson.excess(seen.value, edges, noise),
        gaussian.excess(residual, tolerance=tolerance, sigma=np.maximum(sigma, 1e-300)),
    )
    log_l = np.where(
        counted, poisson.log_bets(seen.value, edges, noise=noise, bets=bets), gaussian.log_bets(excess, bets)
    )
    measured = seen.exposure > 0
    return Judgement(
        catalogue=quantities,
        index=index,
        observed=np.where(counted, seen.value / exposure, seen.value),
        expected=centre,
        sigma=sigma,
        tolerance=np.where(counted, tolerance * centre, tolerance),
        log_l=np.where(measured, log_l, 0.0),
        excess=np.where(measured, excess, np.nan),
    )


def scaled_noise(noise: Floats, exposure: Floats, learnt: Floats) -> Floats:
    """Return the noise (q,) for another exposure than the learnt one.

    What exceeds the textbook comes partly from clumps, which shrink with exposure as counts do, and partly from
    lumisection-wide jitter, which does not: the latter is assumed for larger exposures, the former for smaller ones.
    """
    growth = np.maximum(exposure / np.maximum(learnt, 1.0), 1.0)
    return np.asarray(np.where(noise > 1.0, 1.0 + (noise - 1.0) * growth, noise))


def accept_rate(judgement: Judgement, summary: Summary) -> AcceptRate | None:
    """Return the accept rate against its expectation, or None where the stream carries no decision."""
    number = next(
        (i for i, q in enumerate(judgement.index.tolist()) if judgement.catalogue.names[q] == "accept rate"), None
    )
    if number is None or not summary.tally("decided"):
        return None
    return AcceptRate(
        observed=float(judgement.observed[number]),
        expected=float(judgement.expected[number]),
        sigma=float(judgement.sigma[number]),
        tolerance=float(judgement.tolerance[number]),
    )
