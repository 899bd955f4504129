"""Axes of the page's figures: from values to places on the paper, with round numbers at the ticks."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
UNEQUAL = 1.5
STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Tick:
    """A mark at `place` (SVG units) with its `label`."""

    place: float
    label: str


@dataclass(frozen=True, slots=True)
class Axis:
    """A scale from `low`..`high` to the paper's `start`..`end`; logarithmic if `log`."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        """Return where `value` lies, kept within the axis."""
        scale: Callable[[float], float] = math.log10 if self.log else float
        value = min(max(value, self.low), self.high)
        share = (scale(value) - scale(self.low)) / (scale(self.high) - scale(self.low))
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self, about: int = 5) -> tuple[Tick, ...]:
        """Return about so many ticks at round numbers."""
        values = decades(self.low, self.high) if self.log else rounds(self.low, self.high, about)
        return tuple(Tick(self(value), number(value)) for value in values)


@dataclass(frozen=True, slots=True)
class Bins:
    """A scale for bins of different widths: every bin is equally wide on the paper, and its edges are written there.

    Drawn to scale, the narrow bins of a steep distribution would be a line, and the wide ones would look like humps.
    """

    edges: tuple[float, ...]
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Return where `value` lies, kept within the axis."""
        value = min(max(value, self.edges[0]), self.edges[-1])
        bin_number = max(bisect_left(self.edges, value), 1) - 1
        low, high = self.edges[bin_number], self.edges[bin_number + 1]
        share = (bin_number + (value - low) / (high - low)) / (len(self.edges) - 1)
        return round(self.start + share * (self.end - self.start), 2)

    def ticks(self, about: int = 5) -> tuple[Tick, ...]:
        """Return about so many ticks, each at a bin's edge."""
        every = max(1, -(-(len(self.edges) - 1) // about))
        return tuple(Tick(self(edge), number(edge)) for edge in self.edges[::every])


def along(edges: tuple[float, ...], *, start: float, end: float) -> Axis | Bins:
    """Return the axis of a histogram: to scale if the bins, but for a tenth, are about equally wide, else by bin."""
    widths = sorted(high - low for low, high in pairwise(edges))
    few = len(widths) // 10
    if widths[-1 - few] <= UNEQUAL * widths[few]:
        return linear(edges[0], edges[-1], start=start, end=end)
    return Bins(edges, start, end)


def linear(low: float, high: float, *, start: float, end: float) -> Axis:
    """Return a linear axis; an empty range is widened so that it can be drawn."""
    return Axis(low, high if high > low else low + 1.0, start, end)


def counts(values: tuple[float, ...], *, start: float, end: float, log: bool) -> Axis:
    """Return the axis for counts: from 0, or logarithmic from 0.5 so that single events are seen."""
    top = max((value for value in values if math.isfinite(value)), default=0.0)
    if log:
        return Axis(0.5, 10.0 ** math.ceil(math.log10(max(top, 1.0) * 1.2)), start, end, log=True)
    return Axis(0.0, max(top, 1.0) * 1.12, start, end)


def rounds(low: float, high: float, about: int) -> tuple[float, ...]:
    """Return round numbers within low..high, about so many of them."""
    rough = (high - low) / max(about, 1)
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(each * power for each in STEPS if each * power >= rough * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return tuple(step * i for i in range(first, last + 1))


def decades(low: float, high: float) -> tuple[float, ...]:
    """Return powers of ten within low..high, every other one where there are many."""
    first, last = math.ceil(math.log10(low)), math.floor(math.log10(high) + 1e-9)
    return tuple(10.0**i for i in range(first, last + 1, 1 if last - first < 5 else 2))


def number(value: float) -> str:
    """Return `value` with three digits as people write it: `12 k`, `3 M`, `0.00308`."""
    size = abs(value)
    if not math.isfinite(value):
        return "not known"
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if size >= limit:
            return _signed(f"{value / limit:.3g}\N{NARROW NO-BREAK SPACE}{letter}")
    if 0 < size < 1e-4:
        digits, _, power = f"{value:.1e}".partition("e")
        return _signed(f"{digits}\N{MULTIPLICATION SIGN}10") + str(int(power)).translate(RAISED)
    return _signed(f"{value:.3g}" if value else "0")


def _signed(text: str) -> str:
    return text.replace("-", "\N{MINUS SIGN}")
