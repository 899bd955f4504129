"""A second opinion from river: PageHinkley on residuals, ADWIN on the share of mismatches.

Neither promises a false-alarm rate, so neither raises an alarm; they are shown beside one, and they work before there
is a page. river's detectors cannot be stored, so a bounded window of numbers is, and they are run over it anew.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.observe.quantities import Catalogue

Floats = NDArray[np.float64]
Detectors = tuple[Callable[[], Any], Callable[[], Any]]

WINDOW = 48
MOST = 24
FEWEST, DELTA, THRESHOLD = 20, 0.5, 15.0
FAMILIES = ("rate", "occupancy", "response")
MISMATCHES = "mismatches"


def detectors() -> Detectors:
    """Return factories of the two detectors (PageHinkley for residuals in sigmas, ADWIN for shares)."""
    # river takes seconds to import: here, in the one place that needs it, and not before.
    from river.drift import ADWIN, PageHinkley  # noqa: PLC0415

    def residuals() -> Any:
        detector: Any = PageHinkley
        return detector(min_instances=FEWEST, delta=DELTA, threshold=THRESHOLD)

    def shares() -> Any:
        detector: Any = ADWIN
        return detector(delta=1e-4, clock=1, min_window_length=3, grace_period=6)

    return residuals, shares


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
    """The window: residuals (t, r) in sigmas and mismatch shares (t,), both at most `WINDOW` long."""

    residuals: Floats
    shares: Floats

    @classmethod
    def fresh(cls, quantities: int) -> Opinion:
        """Return an empty window."""
        return cls(np.zeros((0, quantities)), np.zeros(0))

    def seen(self, residuals: Floats, share: float | None) -> Opinion:
        """Return the window with one lumisection more: residuals (r,), and the share of mismatches if compared."""
        rows = np.vstack([self.residuals, residuals])[-WINDOW:]
        return Opinion(rows, self.shares if share is None else np.append(self.shares, share)[-WINDOW:])

    def fired(self, names: Sequence[str], make: Detectors) -> tuple[str, ...]:
        """Return the names (r,) of the quantities whose detector fires on the newest lumisection."""
        worth = suspicious(self.residuals)
        found = [names[i] for i in np.flatnonzero(worth).tolist() if _fires(make[0](), self.residuals[:, i])]
        if self.shares.any() and _fires(make[1](), self.shares):
            found.append(MISMATCHES)
        return tuple(found)


def suspicious(residuals: Floats) -> NDArray[np.bool_]:
    """Say for which columns of (t, r) Page-Hinkley's sums come near the threshold: only these are given to river.

    The same sums, all columns at once: river's loop over every quantity would take longer than all other statistics.
    """
    count = len(residuals)
    if count < FEWEST:
        return np.zeros(residuals.shape[1], np.bool_)
    mean = residuals.cumsum(axis=0) / np.arange(1, count + 1)[:, None]
    rising = np.cumsum(residuals - mean - DELTA, axis=0)
    falling = np.cumsum(residuals - mean + DELTA, axis=0)
    reach = np.maximum(rising[-1] - rising.min(axis=0), falling.max(axis=0) - falling[-1])
    return np.asarray(reach > THRESHOLD / 2)


def _fires(detector: Any, values: Floats) -> bool:
    for value in values.tolist():
        detector.update(value)
    return bool(detector.drift_detected)
