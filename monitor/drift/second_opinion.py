"""A second opinion from river: PageHinkley and ADWIN on residuals, ADWIN on the mismatch bit.

Neither promises a false-alarm rate, so neither raises an alarm; they are shown beside one, and they work before there
is a page. river's detectors cannot be stored, so a bounded window of numbers is, and they are run over it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.observe.quantities import Catalogue

Floats = NDArray[np.float64]
Make = Callable[[], Any]

WINDOW = 48
BIT_WINDOW = 16
BITS = 100
MOST = 24
FEWEST, DELTA, THRESHOLD = 20, 0.5, 15.0
FAMILIES = ("rate", "occupancy", "response")
MISMATCHES = "mismatches"


@dataclass(frozen=True, slots=True)
class Detectors:
    """What makes river's detectors: those for residuals in sigmas, and the one for mismatch bits."""

    residuals: tuple[Make, ...]
    bits: Make


def detectors() -> Detectors:
    """Return river's detectors: PageHinkley and ADWIN for residuals, ADWIN for mismatch bits."""
    # river takes seconds to import: here, in the one place that needs it, and not before.
    from river.drift import ADWIN, PageHinkley  # noqa: PLC0415

    page_hinkley: Any = PageHinkley
    adwin: Any = ADWIN
    sums = partial(page_hinkley, min_instances=FEWEST, delta=DELTA, threshold=THRESHOLD)
    means = partial(adwin, clock=1)  # asked for its opinion with every lumisection, not with every 32nd
    return Detectors((sums, means), adwin)


@lru_cache(maxsize=64)
def chosen(catalogue: Catalogue) -> tuple[int, ...]:
    """Return the quantities that river looks at: the few that speak for a whole event or object group."""
    wanted = (
        number
        for number, name in enumerate(catalogue.names)
        if (catalogue.families[catalogue.family[number]] in FAMILIES or name.startswith("score (")) and "[" not in name
    )
    return tuple(wanted)[:MOST]


@dataclass(frozen=True, slots=True, eq=False)
class Opinion:
    """The window: residuals (t, r) in sigmas, at most `WINDOW` long, and `mismatches` (u,), at most `BIT_WINDOW`.

    A lumisection's events are taken as `BITS` blocks; the mismatches are how many of these have one, evenly spread.
    """

    residuals: Floats
    mismatches: NDArray[np.int64]

    @classmethod
    def fresh(cls, quantities: int) -> Opinion:
        """Return an empty window."""
        return cls(np.zeros((0, quantities)), np.zeros(0, np.int64))

    def seen(self, residuals: Floats, mismatched: int | None) -> Opinion:
        """Return the window with one lumisection more: residuals (r,), and mismatching events if any were compared."""
        rows = np.vstack([self.residuals, residuals])[-WINDOW:]
        if mismatched is None:
            return Opinion(rows, self.mismatches)
        return Opinion(rows, np.append(self.mismatches, min(mismatched, BITS))[-BIT_WINDOW:])

    def fired(self, names: Sequence[str], make: Detectors) -> tuple[str, ...]:
        """Return the names (r,) of the quantities whose detector fires on the newest lumisection."""
        worth = suspicious(self.residuals)
        found = [
            names[i]
            for i in np.flatnonzero(worth).tolist()
            if any(_fires(each(), self.residuals[:, i], newest=1) for each in make.residuals)
        ]
        if self.mismatches.any():
            step = np.arange(BITS + 1)
            bits = np.diff(step * self.mismatches[:, None] // BITS, axis=1).ravel().astype(np.float64)
            if _fires(make.bits(), bits, newest=BITS):
                found.append(MISMATCHES)
        return tuple(found)


def suspicious(residuals: Floats) -> NDArray[np.bool_]:
    """Say for which columns of (t, r) Page-Hinkley's sums come near the threshold: only these are given to river.

    The same sums, all columns at once: river's loop over every quantity would take longer than all other statistics.
    ADWIN's bound lies beyond them: halves of the window that it tells apart differ by 1.6 sigma, or 39 in the sum.
    """
    count = len(residuals)
    if count < FEWEST:
        return np.zeros(residuals.shape[1], np.bool_)
    mean = residuals.cumsum(axis=0) / np.arange(1, count + 1)[:, None]
    rising = np.cumsum(residuals - mean - DELTA, axis=0)
    falling = np.cumsum(residuals - mean + DELTA, axis=0)
    reach = np.maximum(rising[-1] - rising.min(axis=0), falling.max(axis=0) - falling[-1])
    return np.asarray(reach > THRESHOLD / 2)


def _fires(detector: Any, values: Floats, *, newest: int) -> bool:
    """Run a detector over `values` and say whether it fired on one of the `newest` last ones."""
    fired = False
    for number, value in enumerate(values.tolist(), newest - len(values)):
        detector.update(value)
        fired = fired or (number >= 0 and bool(detector.drift_detected))
    return fired
