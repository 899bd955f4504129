"""Fills of the small trigger: pile-up that decays, and a pt scale that is a little different in every fill."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from monitor.observe.summariser import Summariser
from monitor.observe.summary import Summary
from tests.unit.observe.crossings import INPUTS, LAYOUT, THRESHOLD, crossings, key

SUMMARISER = Summariser(LAYOUT, INPUTS, 1, THRESHOLD)


def fill(
    run: int,
    *,
    lumisections: int = 40,
    events: int = 400,
    pileup: tuple[float, float] = (60.0, 40.0),
    scale: float = 1.0,
    offset: float = 0.0,
) -> Iterator[Summary]:
    """Yield the summaries of one fill."""
    rng = np.random.default_rng(run)
    for number, mu in enumerate(np.linspace(*pileup, lumisections)):
        yield SUMMARISER.summarise(key(run, number + 1), crossings(events, rng, pileup=mu, scale=scale, offset=offset))


def reference(*, fills: int = 6, wobble: float = 0.0, lumisections: int = 40, events: int = 400) -> list[Summary]:
    """Return clean fills whose pt scales differ by `wobble` (relative standard deviation)."""
    rng = np.random.default_rng(77)
    scales = 1.0 + wobble * rng.standard_normal(fills)
    runs = (fill(100 + i, lumisections=lumisections, events=events, scale=s) for i, s in enumerate(scales))
    return [summary for run in runs for summary in run]
