"""What the page draws, as coordinates: templates turn these into SVG and nothing else."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from monitor.drift.evidence import Where
from monitor.serve.axis import Axis, Bins, Tick, along, counts, linear
from monitor.serve.view import EtaPhiMap, Histogram, LevelPoint

WIDTH, HEIGHT = 440.0, 220.0
STRIP_WIDTH = 1_400.0
LEFT, RIGHT, TOP, BOTTOM = 52.0, 10.0, 10.0, 38.0
FULL_PULL = 6.0


@dataclass(frozen=True, slots=True)
class HistogramFigure:
    """`now` and `expected` are SVG paths; `difference` says in words what the two make of each other."""

    title: str
    unit: str
    now: str
    expected: str
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    threshold: float | None
    events: int
    log: bool
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle of the strip or map; `kind` is its class, `text` what it tells when pointed at."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    text: str
    strength: float = 1.0


@dataclass(frozen=True, slots=True)
class StripFigure:
    """Levels over lumisections, with the alarm ratio as a line and the alarm line at `line`."""

    boxes: tuple[Box, ...]
    alarm: str
    line: float
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    width: float = STRIP_WIDTH
    height: float = 122.0
    left: float = LEFT
    right: float = STRIP_WIDTH - RIGHT
    bottom: float = 100.0


@dataclass(frozen=True, slots=True)
class MapFigure:
    """Eta against phi of one object group; `place` marks what the verdict points at (twice where phi wraps)."""

    title: str
    cells: tuple[Box, ...]
    place: tuple[Box, ...]
    x: tuple[Tick, ...]
    y: tuple[Tick, ...]
    width: float = WIDTH
    height: float = HEIGHT
    left: float = LEFT
    right: float = WIDTH - RIGHT
    top: float = TOP
    bottom: float = HEIGHT - BOTTOM


def histogram(shown: Histogram) -> HistogramFigure:
    """Return `shown` as steps on axes."""
    x = along(shown.edges, start=LEFT, end=WIDTH - RIGHT)
    values = tuple(float(count) for count in shown.counts)
    y = counts(values + (shown.expected or ()), start=HEIGHT - BOTTOM, end=TOP, log=shown.log)
    inside = shown.threshold is not None and shown.edges[0] <= shown.threshold <= shown.edges[-1]
    return HistogramFigure(
        title=shown.name,
        unit=shown.unit,
        now=steps(shown.edges, values, x=x, y=y, closed=True),
        expected=steps(shown.edges, shown.expected, x=x, y=y, closed=False) if shown.expected else "",
        x=x.ticks(6),
        y=y.ticks(4),
        threshold=x(shown.threshold) if inside and shown.threshold is not None else None,
        events=sum(shown.counts),
        log=shown.log,
    )


def steps(edges: Sequence[float], values: Sequence[float], *, x: Axis | Bins, y: Axis, closed: bool) -> str:
    """Return an SVG path of one horizontal stroke per bin, closed down to the axis if asked for."""
    strokes = [f"V{y(value)}H{x(right)}" for value, right in zip(values, edges[1:], strict=True)]
    start = f"M{x(edges[0])} {y(y.low) if closed else y(values[0])}"
    return start + "".join(strokes) + (f"V{y(y.low)}Z" if closed else "")


def strip(levels: Sequence[LevelPoint], *, short: str) -> StripFigure | None:
    """Return the history of `levels`, oldest first; `short` is the site's abbreviation ("LS")."""
    if not levels:
        return None
    blank = StripFigure((), "", 0.0, (), ())
    x = linear(0.0, float(len(levels)), start=blank.left, end=blank.right)
    ratios = [point.alarm for point in levels if math.isfinite(point.alarm)]
    y = linear(0.0, max(1.25, *ratios, 0.0), start=72.0, end=8.0)
    wide = max(x(1.0) - x(0.0) - (1.0 if len(levels) < 250 else 0.0), 0.5)
    boxes = tuple(
        Box(x(i), 78.0, wide, 18.0, point.level.value, f"{short} {point.lumisection.ls}: {point.level}")
        for i, point in enumerate(levels)
    )
    return StripFigure(boxes, _alarm(levels, x=x, y=y), y(1.0), _lumisections(levels, x=x), y.ticks(3))


def _alarm(levels: Sequence[LevelPoint], *, x: Axis, y: Axis) -> str:
    path, pen = "", "M"
    for i, point in enumerate(levels):
        if math.isfinite(point.alarm):
            path, pen = f"{path}{pen}{x(i + 0.5)} {y(point.alarm)}", "L"
        else:
            pen = "M"
    return path


def _lumisections(levels: Sequence[LevelPoint], *, x: Axis) -> tuple[Tick, ...]:
    every = max(1, next(step for step in (1, 5, 10, 20, 50, 100, 500, 10_000) if len(levels) / step <= 16))
    marks = [(i, point.lumisection.ls) for i, point in enumerate(levels)]
    return tuple(Tick(x(i + 0.5), str(ls)) for i, ls in marks if ls % every == 0)


def eta_phi(shown: EtaPhiMap | None, where: Where) -> MapFigure | None:
    """Return the map with the place of `where` on it; without a map the place alone; None if there is neither."""
    if shown is None and (where.eta is None or where.phi is None):
        return None
    eta_range = (shown.eta_edges[0], shown.eta_edges[-1]) if shown else (-5.0, 5.0)
    phi_range = (shown.phi_edges[0], shown.phi_edges[-1]) if shown else (-math.pi, math.pi)
    x = linear(*eta_range, start=LEFT, end=WIDTH - RIGHT)
    y = linear(*phi_range, start=HEIGHT - BOTTOM, end=TOP)
    return MapFigure(
        title=(shown.object if shown else where.object) or "all objects",
        cells=_cells(shown, x=x, y=y) if shown else (),
        place=_place(where, x=x, y=y),
        x=x.ticks(6),
        y=y.ticks(6),
    )


def _cells(shown: EtaPhiMap, *, x: Axis, y: Axis) -> tuple[Box, ...]:
    boxes = []
    for i, row in enumerate(shown.pull):
        for j, pull in enumerate(row):
            kind = "none" if pull is None else "low" if pull < 0 else "high"
            text = "no expectation" if pull is None else f"{pull:+.1f} sigma"
            box = _box(shown.eta_edges[i : i + 2], shown.phi_edges[j : j + 2], kind, text, x=x, y=y)
            boxes.append(Box(*box, strength=strength(pull)))
    return tuple(boxes)


def strength(pull: float | None) -> float:
    """Return how strongly a cell is drawn, 0..1: noise below one sigma not at all, so that a real hole stands out."""
    return round(min(max(abs(pull or 0.0) - 1.0, 0.0) / (FULL_PULL - 1.0), 1.0), 2)


def _place(where: Where, *, x: Axis, y: Axis) -> tuple[Box, ...]:
    if where.eta is None and where.phi is None:
        return ()
    eta = where.eta or (x.low, x.high)
    phi = where.phi or (y.low, y.high)
    return tuple(Box(*_box(eta, part, "place", "here", x=x, y=y)) for part in _unwrapped(phi, y))


def _unwrapped(phi: tuple[float, float], y: Axis) -> tuple[tuple[float, float], ...]:
    low, high = phi
    if high < low:
        return (low, y.high), (y.low, high)
    if high > y.high and y.high > low:
        return (low, y.high), (y.low, high - (y.high - y.low))
    return (phi,)


def _box(
    eta: Sequence[float], phi: Sequence[float], kind: str, text: str, *, x: Axis, y: Axis
) -> tuple[float, float, float, float, str, str]:
    left, right, bottom, top = x(eta[0]), x(eta[1]), y(phi[0]), y(phi[1])
    return left, top, round(right - left, 2), round(bottom - top, 2), kind, text


def bar(ratio: float) -> Box:
    """Return the bar of an evidence ratio on 0..100: the alarm line (1) is at 50, so half full is the line."""
    share = min(max(ratio, 0.0) / 2.0, 1.0) if math.isfinite(ratio) else 0.0
    kind = "act" if ratio >= 1 else "watch" if ratio >= 0.5 else "ok"
    return Box(0.0, 0.0, round(100 * share, 1), 8.0, kind, f"{ratio:.2f}")
