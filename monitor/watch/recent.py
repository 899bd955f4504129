"""The newest judged lumisections of one epoch: what a retraining request will have to say about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.drift.evidence import AcceptRate
from monitor.observe.summary import Summary
from monitor.trigger.lumisection import Lumisection

REMEMBERED = 20
ARRAYS = ("scores", "sums", "products")


@dataclass(frozen=True, slots=True, eq=False)
class Remembered:
    """One lumisection for which the reference expects an accept rate.

    Attributes
    ----------
    pileup
        Mean pile-up, None where it is unknown.
    wanted, sigma, tolerance
        Events that the reference expects to be accepted, the noise of that number, and what is benign of a difference.
    scores, sums, products
        Counts of the summary: the first output's histogram, and features with their products (see `Shape.features`).
    """

    lumisection: Lumisection
    pileup: float | None
    events: int
    accepted: int
    wanted: float
    sigma: float
    tolerance: float
    scores: NDArray[np.int64]
    sums: NDArray[np.int64]
    products: NDArray[np.int64]

    @classmethod
    def of(cls, summary: Summary, accept: AcceptRate) -> Remembered:
        """Return what to remember of `summary`."""
        events = summary.events
        return cls(
            lumisection=summary.key.lumisection,
            pileup=summary.pileup if np.isfinite(summary.pileup) else None,
            events=events,
            accepted=summary.accepted,
            wanted=accept.expected * events,
            sigma=accept.sigma * events,
            tolerance=accept.tolerance * events,
            scores=summary.counts["score"][0],
            sums=summary.counts["sums"],
            products=summary.counts["products"],
        )

    def numbers(self) -> list[Any]:
        """Return all but the arrays, JSON values only; `read` takes both back."""
        return [*self.lumisection, self.pileup, self.events, self.accepted, self.wanted, self.sigma, self.tolerance]

    @classmethod
    def read(cls, numbers: Sequence[Any], arrays: Mapping[str, NDArray[Any]]) -> Remembered:
        """Read what `numbers` gave; `arrays` by the names in `ARRAYS`."""
        run, ls, pileup, events, accepted, wanted, sigma, tolerance = numbers
        scores, sums, products = (arrays[name].astype(np.int64) for name in ARRAYS)
        place = Lumisection(run, ls)
        return cls(place, pileup, events, accepted, wanted, sigma, tolerance, scores, sums, products)


@dataclass(slots=True)
class Recent:
    """The newest lumisections of an epoch, oldest first."""

    rows: list[Remembered] = field(default_factory=list)

    def add(self, summary: Summary, accept: AcceptRate | None) -> None:
        """Remember a lumisection for which the reference expects a rate."""
        if accept is not None:
            self.rows = [*self.rows, Remembered.of(summary, accept)][-REMEMBERED:]

    def since(self, lumisection: Lumisection) -> tuple[Remembered, ...]:
        """Return those from `lumisection` on."""
        return tuple(row for row in self.rows if row.lumisection >= lumisection)

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """Return the arrays of all rows, stacked."""
        return {name: np.stack([getattr(row, name) for row in self.rows]) for name in ARRAYS}

    @classmethod
    def read(cls, numbers: Sequence[Sequence[Any]], arrays: Mapping[str, NDArray[Any]]) -> Recent:
        """Read the rows' numbers and what `arrays` gave."""
        rows = [{name: arrays[name][i] for name in ARRAYS} for i in range(len(numbers))]
        return cls([Remembered.read(each, row) for each, row in zip(numbers, rows, strict=True)])
