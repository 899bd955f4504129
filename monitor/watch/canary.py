"""Known faults in a shadow copy of the stream, round the clock: whether the monitor still finds what it should.

A canary starts from a copy of the live detectors, warm as they are. For at most `within` lumisections it is given the
live summaries with one fault put in, and is judged by the same battery and page. Then it is dropped, the delay noted,
and after `rest` lumisections comes the next fault. The live detectors never see it. A stream that is itself in doubt,
or not judged, or under known conditions, has no canary meanwhile: what is found then would prove nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from emulator.pack import pack, unpack
from monitor.drift.battery import Battery
from monitor.drift.evidence import Completeness, Evidence
from monitor.drift.state import BatteryState
from monitor.observe.binning import BINS
from monitor.observe.grid import Grid
from monitor.observe.shape import TALLY
from monitor.observe.summary import Summary
from monitor.reference.page import Page

CALM = 0.5
"""Alarm ratio of the live stream from which on nothing is planted."""
SIDE = 4
HOT = 100
MISMATCHED = 200
SHIFTED = 8


def dead_place(summary: Summary, page: Page) -> Summary | None:
    """Return the summary without the objects of 4 x 4 cells of the page's fullest grid; None without a grid.

    Of the places that hold objects at all the middle one is taken: what is empty already cannot die.
    """
    grid = _fullest(page)
    if grid is None:
        return None
    rows, columns = grid.rows // SIDE, grid.columns // SIDE
    if not rows or not columns:
        return None
    whole = grid.of(page.places.towers)[: rows * SIDE, : columns * SIDE]
    held = whole.reshape(rows, SIDE, columns, SIDE).sum(axis=(1, 3)).ravel()
    order = np.argsort(held, kind="stable")
    order = order[held[order] > 0]
    row, column = divmod(int(order[len(order) // 2]), columns)
    towers = summary.counts["towers"].copy()
    grid.of(towers)[row * SIDE : (row + 1) * SIDE, column * SIDE : (column + 1) * SIDE] = 0
    return _with(summary, towers=towers)


def hot_tower(summary: Summary, page: Page) -> Summary | None:
    """Return the summary with one more object in one cell, in one of a hundred events; None without a grid."""
    grid = _fullest(page)
    if grid is None:
        return None
    towers = summary.counts["towers"].copy()
    grid.of(towers)[grid.rows // 3, grid.columns // 4] += -(-summary.events // HOT)
    return _with(summary, towers=towers)


def low_scale(summary: Summary, page: Page) -> Summary | None:
    """Return the summary with every eighth entry of a scale one bin lower: about 2 %; None without objects."""
    del page
    group = max(summary.shape.groups, key=lambda each: each.count, default=None)
    if group is None:
        return None
    inputs = summary.counts["inputs"].copy()
    for index in range(group.count):
        scale = inputs[group.column(index, 0), :BINS]
        moved = scale[1:] // SHIFTED
        scale[1:] -= moved
        scale[:-1] += moved
    return _with(summary, inputs=inputs)


def mismatches(summary: Summary, page: Page) -> Summary | None:
    """Return the summary with one in two hundred compared events differing; None where none was compared."""
    del page
    if not summary.compared:
        return None
    tally = summary.counts["tally"].copy()
    tally[TALLY.index("mismatched")] += -(-summary.compared // MISMATCHED)
    return _with(summary, tally=tally)


FAULTS: Mapping[str, Callable[[Summary, Page], Summary | None]] = {
    "dead-place": dead_place,
    "hot-tower": hot_tower,
    "low-scale": low_scale,
    "mismatches": mismatches,
}


@dataclass(frozen=True, slots=True)
class Plan:
    """How canaries are sent: which faults, how long each may take, how long to rest between two; in lumisections."""

    faults: tuple[str, ...] = tuple(FAULTS)
    within: int = 20
    rest: int = 5

    def __post_init__(self) -> None:
        if unknown := sorted(set(self.faults) - FAULTS.keys()):
            raise ValueError(f"canary {unknown[0]!r} is not known: choose of {', '.join(FAULTS)}")
        if self.within < 1 or self.rest < 0:
            raise ValueError(f"a canary within {self.within} lumisections, resting {self.rest}: at least 1 and 0")


@dataclass(frozen=True, slots=True, eq=False)
class Canary:
    """One stream's canary; a value.

    Attributes
    ----------
    number
        How many canaries have ended; the next fault follows from it.
    length
        Lumisections for which the one under way has been given its fault.
    resting
        Lumisections until the next may start.
    shadow
        Detectors of the one under way, or None. They are those of one epoch, and wait while others are judged.
    waited
        Lumisections of other epochs since the shadow's own was judged last.
    delays
        Lumisections until each fault was found the last time; infinity where it was missed.
    """

    number: int = 0
    length: int = 0
    resting: int = 0
    shadow: BatteryState | None = None
    waited: int = 0
    delays: Mapping[str, float] = field(default_factory=dict)

    def step(
        self,
        plan: Plan,
        *,
        before: BatteryState | None,
        summary: Summary,
        page: Page | None,
        live: Evidence,
        battery: Battery,
    ) -> Canary:
        """Return the canary after one lumisection that the live stream judged as `live`, from the state `before`."""
        if self.shadow is not None and self.shadow.epoch != summary.key.epoch:
            waits = self.waited + 1 < plan.within  # that epoch may never come back
            return replace(self, waited=self.waited + 1) if waits else self._dropped()
        if not plan.faults or page is None or before is None or not _is_calm(live):
            return self._dropped()
        if self.shadow is None and self.resting > 0:
            return replace(self, resting=self.resting - 1)
        fault = plan.faults[self.number % len(plan.faults)]
        planted = FAULTS[fault](summary, page)
        if planted is None:
            return replace(self._dropped(), number=self.number + 1)
        whole = Completeness(summary.events, summary.events)
        start = before if self.shadow is None else self.shadow
        shadow, found = battery.step(start, summary=planted, page=page, completeness=whole, floor=live.agreement.floor)
        length = self.length + 1
        is_found = max(found.alarm, found.agreement.ratio) >= 1
        if is_found or length >= plan.within:
            return self._ended(fault, float(length) if is_found else math.inf, plan)
        return replace(self, shadow=shadow, length=length, waited=0)

    def _dropped(self) -> Canary:
        return replace(self, shadow=None, length=0, waited=0)

    def _ended(self, fault: str, delay: float, plan: Plan) -> Canary:
        return Canary(self.number + 1, 0, plan.rest, None, delays={**self.delays, fault: delay})

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        delays = {fault: None if math.isinf(delay) else delay for fault, delay in self.delays.items()}
        names = {"canary": [self.number, self.length, self.resting], "waited": self.waited, "delays": delays}
        shadow = {} if self.shadow is None else {"shadow": np.frombuffer(self.shadow.to_bytes(), np.uint8)}
        return pack(names, shadow)

    @classmethod
    def from_bytes(cls, content: bytes) -> Canary:
        """Read what `to_bytes` wrote; raises `Unreadable`."""
        names, arrays = unpack(content)
        number, length, resting = names["canary"]
        shadow = BatteryState.from_bytes(arrays["shadow"].tobytes()) if "shadow" in arrays else None
        delays = {fault: math.inf if delay is None else delay for fault, delay in names["delays"].items()}
        return cls(number, length, resting, shadow, names["waited"], delays)


def _is_calm(live: Evidence) -> bool:
    return live.reference is not None and not live.known and live.alarm < CALM and live.agreement.ratio < CALM


def _fullest(page: Page) -> Grid | None:
    """Return the grid with the most objects in the reference, so that a canary stays in its place."""
    deep = [grid for grid in page.shape.grids if not grid.flat and grid.of(page.places.towers).any()]
    return max(deep, key=lambda grid: int(grid.of(page.places.towers).sum()), default=None)


def _with(summary: Summary, **counts: NDArray[np.int64]) -> Summary:
    return replace(summary, counts={**summary.counts, **counts})
