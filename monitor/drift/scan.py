"""Poisson scan: an e-detector for every window of every eta-phi grid.

With X objects seen in a window, e expected from the rest of its rows (`reference.places`), tolerance t and noise phi,
the bet on a rate that is higher by r > 1 is

    L = exp((X ln r - e (1 + t) (r - 1)) / phi)

and downwards with r < 1 and (1 - t). Given the objects in the rows X is binomial, and E[r^X] = (1 + p (r - 1))^N is at
most exp(N p (r - 1)): E[L] <= 1 as for a Poisson count, without knowing the rate. Every window has its own
Shiryaev-Roberts e-detector M = (M + 1) L per bet and direction (see `edetector`), kept as a number, not as a
logarithm: there are hundreds of thousands of them.

A window whose M rises above `NOTICED` is followed as a `Sighting`: what has been seen and expected there since. Which
window describes a fault best is decided by its likelihood ratio X ln(X/e) - (X - e) (Kulldorff, Comm. Stat. Theory
Methods 26 (1997) 1481); a window that overlaps a better one is not told.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from monitor.drift.evidence import Shift, Where
from monitor.observe.grid import MOST_COLUMNS
from monitor.observe.summary import Summary
from monitor.observe.windows import Windows, windows
from monitor.reference.page import RARE, Page
from monitor.reference.places import PSEUDO, counted_in
from monitor.trigger.lumisection import Lumisection

Floats = NDArray[np.float64]
Singles = NDArray[np.float32]

BETS = (0.8, 1.8, 4.0)
"""Bet sizes in standard deviations of a reference lumisection's count."""
STEEPEST = 64.0
WIDTHS = 4.0
"""Standard deviations of the fills' wobble, and of the reference's own error, that are benign."""
MOST_TOLERANCE = 1.0  # then nothing at all is benign too, and no downward bet can win
FEWEST = 0.02
NOTICED = 6.0
PROOF = 7.0
MARGIN = 3.0
MOST_SIGHTINGS = 512
MOST_TOLD = 8
_BLOCK = 8192
_RUN_SHIFT = 32


@dataclass(frozen=True, slots=True, eq=False)
class Stakes:
    """What a page makes of the bets: ln L = gain X - loss e upwards, and -gain X - loss e downwards.

    `gain` is (b, w), `loss` (b, 2, w).
    `share` (w,) are the weights of the windows among each other, of sum 1; `tolerance` is (2, w), `noise` (w,).
    """

    gain: Singles
    loss: Singles
    share: Singles
    tolerance: Floats
    noise: Floats


@dataclass(frozen=True, slots=True, eq=False)
class Sightings:
    """Windows that are being followed, (s,) each.

    Attributes
    ----------
    window, direction : int32
        Index among the windows; 0 upwards, 1 downwards.
    start : int64
        Lumisection in which it was noticed, run << 32 | ls.
    level : float32
        ln M when it was noticed.
    length : int32
        Lumisections since then.
    seen, expected : float64
        Objects in them.
    back : float32
        Evidence that the window has come back (see `trail`).
    """

    window: NDArray[np.int32]
    direction: NDArray[np.int32]
    start: NDArray[np.int64]
    level: Singles
    length: NDArray[np.int32]
    seen: Floats
    expected: Floats
    back: Singles

    @classmethod
    def none(cls) -> Sightings:
        """Return no sightings."""
        return cls(
            np.zeros(0, np.int32),
            np.zeros(0, np.int32),
            np.zeros(0, np.int64),
            np.zeros(0, np.float32),
            np.zeros(0, np.int32),
            np.zeros(0),
            np.zeros(0),
            np.zeros(0, np.float32),
        )

    def __len__(self) -> int:
        return len(self.window)

    def chosen(self, which: NDArray[np.bool_] | NDArray[np.intp]) -> Sightings:
        """Return some of the sightings."""
        return Sightings(*(getattr(self, name)[which] for name in self.__slots__))

    def joined(self, other: Sightings) -> Sightings:
        """Return the sightings of both."""
        pairs = ((getattr(self, name), getattr(other, name)) for name in self.__slots__)
        return Sightings(*(np.concatenate(pair) for pair in pairs))

    def likelihood(self) -> Floats:
        """Return ln of the likelihood ratio of the rate seen against the one expected (s,)."""
        return _likelihood(self.seen, self.expected)


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """M (b, 2, w) of all windows, and the sightings; a value."""

    m: Singles
    sightings: Sightings

    @classmethod
    def fresh(cls, count: int) -> Scan:
        """Return the scan of `count` windows that have seen nothing."""
        return cls(np.zeros((len(BETS), 2, count), np.float32), Sightings.none())

    def average(self, staked: Stakes) -> float:
        """Return ln of the weighted average of all M."""
        total = float((_flat(self.m) @ staked.share).mean())
        return float(np.log(total)) if total > 0 else float("-inf")


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """One lumisection's counts: seen and expected (w,), of `events` events.

    `hoped` (w,) is what is expected, and never less than `FEWEST`: what a ratio may be taken to.
    """

    seen: Singles
    expected: Singles
    hoped: Singles
    events: int

    @classmethod
    def of(cls, seen: Singles, expected: Singles, events: int) -> Look:
        """Return what was seen and expected."""
        return cls(seen, expected, np.maximum(expected, np.float32(FEWEST)), events)


def look(summary: Summary, page: Page, *, dark: NDArray[np.bool_] | None = None) -> Look:
    """Count every window of `summary`, and what is expected there of as many objects in the same rows.

    Cells that are `dark`, because something is known there, are left out of their rows.
    """
    panes, towers = windows(summary.shape), summary.counts["towers"]
    if not panes.panes:  # a model without a layout has no places
        return Look.of(np.zeros(0, np.float32), np.zeros(0, np.float32), summary.events)
    hoped = page.places.shared(summary.shape, towers, dark=dark)
    both = np.stack([towers, hoped], dtype=np.float32, casting="same_kind")
    seen, expected = counted_in(panes, both)
    return Look.of(seen, expected, summary.events)


@lru_cache(maxsize=16)
def stakes(page: Page) -> Stakes:
    """Return the bets that a page allows; remembered by the page itself, which never changes."""
    panes, places = windows(page.shape), page.places
    learnt = counted_in(panes, places.towers)
    sizes = [len(pane) for pane in panes.panes]
    wobble, noise = np.repeat(places.wobble, sizes), np.repeat(places.noise, sizes)
    benign = WIDTHS * wobble * np.sqrt(1 + 1 / places.fills)
    # Over the upper limit of a count of n at four sigmas, also where nothing was seen: n + 4 sqrt(n + 1) + 6.
    scarce = np.stack([(WIDTHS * np.sqrt(noise * (learnt + 1)) + RARE * noise), WIDTHS * np.sqrt(noise * learnt)])
    tolerance = np.hypot(benign, scarce / np.maximum(learnt, PSEUDO / MOST_COLUMNS))
    usual = np.maximum(learnt / places.lumisections, FEWEST)
    steep = np.asarray(BETS)[:, None] * np.sqrt(noise / usual)
    rise = np.minimum(steep, np.log(STEEPEST))[:, None]
    logs = np.concatenate([rise, -rise], axis=1)
    edge = np.stack([1 + tolerance[0], 1 - np.minimum(tolerance[1], MOST_TOLERANCE)])
    return Stakes(
        gain=(rise[:, 0] / noise).astype(np.float32),
        loss=(edge * np.expm1(logs) / noise).astype(np.float32),
        share=_shares(panes).astype(np.float32),
        tolerance=tolerance,
        noise=noise,
    )


def families(page: Page) -> int:
    """Return how many families the windows of a page make up."""
    return len({pane.family for pane in windows(page.shape).panes})


def advance(
    scan: Scan,
    seen: Look,
    staked: Stakes,
    *,
    line: float,
    lumisection: Lumisection,
    void: NDArray[np.bool_] | None = None,
) -> Scan:
    """Return the scan after one lumisection; `line` is ln of the level at which the average of all alarms.

    Windows of `void` (w,) are emptied.
    """
    cap = np.exp(line + MARGIN + np.log(len(BETS) * 2 / staked.share.min(initial=1.0)))
    m = _grown(scan.m, staked, seen, cap=float(cap))
    followed = _followed(scan.sightings, seen)
    back = followed.back >= PROOF
    m[:, followed.direction[back], followed.window[back]] = 0.0
    if void is not None:
        m[:, :, void] = 0.0
    return Scan(m, _noticed(m, followed.chosen(~back), seen, lumisection))


def shifts(scan: Scan, seen: Look, page: Page, *, line: float, least: float) -> list[tuple[float, Shift]]:
    """Return (likelihood, case) of the windows whose average M is at least `least`, best first, none overlapping."""
    panes, staked, sighted = windows(page.shape), stakes(page), scan.sightings
    mixed = scan.m[:, :, sighted.window].mean(axis=(0, 1), dtype=np.float64)
    able = np.flatnonzero(mixed * staked.share[sighted.window] >= least)
    size = sighted.likelihood()
    told: list[tuple[float, Shift]] = []
    kept: list[int] = []
    for i in able[np.argsort(-size[able], kind="stable")].tolist():
        window = int(sighted.window[i])
        if any(panes.overlap(window, other) for other in kept):
            continue
        kept.append(window)
        told.append((float(size[i]), _shift(i, scan, seen, panes, staked, ratio=float(np.log(mixed[i])) / line)))
        if len(told) == MOST_TOLD:
            break
    return told


def _grown(m: Singles, staked: Stakes, seen: Look, *, cap: float) -> Singles:
    """Return (M + 1) L, at most `cap`; a block at a time, which stays in the cache."""
    # A rise of what is expected makes the upward bet dearer, and would make the downward one gain.
    x, e = seen.seen, np.stack([seen.hoped, seen.expected])
    grown = np.empty_like(m)
    with np.errstate(over="ignore"):  # what is beyond a single is beyond the cap
        for start in range(0, m.shape[-1], _BLOCK):
            part = np.s_[..., start : start + _BLOCK]
            won = staked.gain[part] * x[part]
            step = staked.loss[part] * e[part]
            np.subtract(won, step[:, 0], out=step[:, 0])
            np.subtract(-won, step[:, 1], out=step[:, 1])
            np.exp(step, out=step)
            step *= m[part] + np.float32(1.0)
            np.minimum(step, np.float32(cap), out=grown[part])
    return grown


def _flat(m: Singles) -> Singles:
    return m.reshape(m.shape[0] * m.shape[1], m.shape[2])


def _mixed(m: Singles) -> Singles:
    """Return the average of M over bets and directions (w,)."""
    flat = _flat(m)
    return np.full(len(flat), 1 / len(flat), np.float32) @ flat


def _followed(sighted: Sightings, seen: Look) -> Sightings:
    """Return the sightings with one lumisection more."""
    x, e = seen.seen[sighted.window], seen.hoped[sighted.window]
    total, hoped = sighted.seen + x, sighted.expected + e
    rate = np.maximum(total, 0.5) / hoped
    # For "as expected" against "at the rate seen": the sum may not fall below nothing.
    back = np.maximum(sighted.back + e * (rate - 1) - x * np.log(rate), 0).astype(np.float32)
    return replace(sighted, length=sighted.length + np.int32(1), seen=total, expected=hoped, back=back)


def _noticed(m: Singles, sighted: Sightings, seen: Look, lumisection: Lumisection) -> Sightings:
    """Return the sightings without those that have faded, and with what has newly risen."""
    mixed = _mixed(m)
    high = mixed >= np.float32(np.exp(NOTICED))
    kept = sighted.chosen(high[sighted.window])
    high[kept.window] = False
    fresh = np.flatnonzero(high)
    fresh = fresh[np.argsort(-mixed[fresh], kind="stable")][: MOST_SIGHTINGS - len(kept)]
    mark = np.int64((lumisection.run << _RUN_SHIFT) | lumisection.ls)
    count = len(fresh)
    return kept.joined(
        Sightings(
            window=fresh.astype(np.int32),
            direction=m[:, :, fresh].sum(axis=0).argmax(axis=0).astype(np.int32),
            start=np.full(count, mark),
            level=np.log(mixed[fresh]),
            length=np.ones(count, np.int32),
            seen=seen.seen[fresh].astype(np.float64),
            expected=seen.hoped[fresh].astype(np.float64),
            back=np.zeros(count, np.float32),
        )
    )


def _shift(i: int, scan: Scan, seen: Look, panes: Windows, staked: Stakes, *, ratio: float) -> Shift:
    sighted = scan.sightings
    window, direction = int(sighted.window[i]), int(sighted.direction[i])
    pane, region = panes.pane_of(window), panes.region(window)
    expected, events = float(seen.expected[window]), max(seen.events, 1)
    return Shift(
        quantity=panes.name(window),
        family=pane.family,
        ratio=max(0.0, ratio),
        direction=(1, -1)[direction],
        observed=float(seen.seen[window]) / events,
        expected=expected / events,
        sigma=float(np.sqrt(staked.noise[window] * expected)) / events,
        tolerance=float(staked.tolerance[direction, window]) * expected / events,
        since=began(sighted, i),
        where=Where(object=region.object, eta=region.eta, phi=region.phi),
        within=before(sighted, i),
    )


def began(sighted: Sightings, i: int) -> Lumisection:
    """Return when it began: as far before it was noticed as its growth since then takes to reach that height."""
    mark = int(sighted.start[i])
    run, ls = mark >> _RUN_SHIFT, mark & ((1 << _RUN_SHIFT) - 1)
    return Lumisection(run, max(1, ls - before(sighted, i)))


def before(sighted: Sightings, i: int) -> int:
    """Return how many lumisections before it was noticed a window began to move; it may be wrong by as many."""
    growth = _likelihood(sighted.seen[i : i + 1], sighted.expected[i : i + 1])[0] / sighted.length[i]
    return int(sighted.level[i] / growth) if growth > 0 else 0


def _likelihood(seen: Floats, expected: Floats) -> Floats:
    ratio = np.maximum(seen, 1e-12) / expected
    return np.asarray(np.maximum(seen * np.log(ratio) - seen + expected, 0.0))


def _shares(panes: Windows) -> Floats:
    """Families share equally, in a family panes do, in a pane its windows."""
    names = [pane.family for pane in panes.panes]
    count = {name: names.count(name) for name in names}
    each = [1.0 / (len(count) * count[pane.family] * len(pane)) for pane in panes.panes]
    return np.repeat(each, [len(pane) for pane in panes.panes]) if each else np.zeros(0)
