"""Quantities of the place in the bunch train: how often there is an event there, and how often it is accepted."""

from __future__ import annotations

import numpy as np

from monitor.observe.events import EVERYWHERE
from monitor.observe.frame import Frame
from monitor.observe.section import Measured, Section
from monitor.observe.summary import Summary
from monitor.observe.trains import FILLED, PLACES

FAMILY = "crossing"
_REGIONS = (EVERYWHERE,) * len(PLACES)


def crossing_sections() -> tuple[Section, ...]:
    """Return the profiles over the places of a train; not measured while nobody knows where the trains lie."""
    return (
        Section(FAMILY, counted=True, names=_named("events"), regions=_REGIONS, measure=_events, rare=True),
        Section(FAMILY, counted=True, names=_named("accept rate"), regions=_REGIONS, measure=_accepted, once=True),
    )


def _named(what: str) -> tuple[str, ...]:
    return tuple(f"{what} {place}" for place in PLACES)


def _events(summary: Summary, frame: Frame) -> Measured:
    """Return the events at each place, of as many as there would be if every filled crossing had the same share.

    So trains of another length, or more of them, change nothing.
    """
    if frame.trains is None:
        return _unmeasured()
    crossings = frame.trains.crossings
    exposure = summary.events * crossings / max(int(crossings[FILLED].sum()), 1)
    return frame.trains.count(summary.counts["bx"][0]).astype(np.float64), exposure, 0.0


def _accepted(summary: Summary, frame: Frame) -> Measured:
    if frame.trains is None or summary.tally("decided") != summary.events:
        return _unmeasured()
    events, accepted = (frame.trains.count(row).astype(np.float64) for row in summary.counts["bx"])
    return accepted, events, 0.0


def _unmeasured() -> Measured:
    return 0.0, 0.0, 0.0
