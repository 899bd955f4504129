"""Inputs that a proof of exactness needs: random ones alone let wrong saturations and dropped wraps survive.

Every cast inside the network is driven to its extremes, to rounding ties and over the edges of its range: candidates
are run, the ones nearest to each goal are kept and varied, and so on for a few rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.cast_points import CastPoint, cast_points
from emulator.formats import Raw, Rounding
from emulator.graph import Dense, Program
from emulator.tree_paths import at_thresholds

_ROUNDS = 4
_ELEMENTS_PER_LAYER = 48
_KEPT_PER_GOAL = 2
_LARGEST_POOL = 6000
_VALUES_IN_MEMORY = 2 * 10**7


class Tracer(Protocol):
    """Runs candidates; returns the output of every layer of the program, in order."""

    def trace(self, raw: Raw) -> list[tuple[str, Raw]]:
        """Return (name, int64 (n, …)) for every layer."""
        ...


def random_inputs(low: Raw, high: Raw, *, events: int, rng: np.random.Generator) -> Raw:
    """Return int64 (events, inputs) within [low, high]: full range, scaled down at random, and sparse, a third each.

    Full-range values saturate deep layers almost always; physics is small numbers and zeros.
    """
    rows = rng.integers(low, high, (events, len(low)), endpoint=True, dtype=np.int64)
    kind = np.arange(events) % 3
    shift = rng.integers(0, 16, (events, 1))
    rows[kind == 1] >>= shift[kind == 1]
    sparse = rng.random(rows.shape) < rng.uniform(0.3, 0.95, (events, 1))
    rows = np.where((kind == 2)[:, None], np.where(sparse, 0, rows >> (shift // 2)), rows)
    return np.clip(rows, low, high)


def corners(low: Raw, high: Raw) -> Raw:
    """Return zero, all lowest, all highest, alternating, and every input alone at its lowest, highest, 1 and -1."""
    n = len(low)
    checkered = np.where(np.arange(n) % 2, low, high)
    alone = [np.diag(values) for values in (low, high, np.ones(n, np.int64), -np.ones(n, np.int64))]
    rows = np.vstack([np.zeros(n, np.int64), low, high, checkered, low + high - checkered, *alone])
    return np.unique(np.clip(rows, low, high), axis=0)


def directed_inputs(program: Program, tracer: Tracer, *, low: Raw, high: Raw, rng: np.random.Generator) -> Raw:
    """Return int64 (n, inputs): the corners, thresholds of trees met, every cast as near to its edges as was found."""
    per_event = max(1, sum(tensor.size for tensor in program.tensors().values()))
    size = int(np.clip(_VALUES_IN_MEMORY // per_event, 300, _LARGEST_POOL))
    fixed = corners(low, high)
    some = fixed[rng.permutation(len(fixed))[: size // 4]]
    steep = _steepest(program, low, high)
    steep = steep[rng.permutation(len(steep))[: size // 4]]
    pool = np.vstack([some, steep, random_inputs(low, high, events=size // 2, rng=rng)])
    kept = [fixed, at_thresholds(program, low, high, rng)]
    for turn in range(_ROUNDS):
        best = np.unique(pool[_nearest(program, tracer.trace(pool), pool, np.random.default_rng(turn))], axis=0)
        kept.append(best)
        pool = np.vstack([best, _varied(best, size, low, high, rng)])[: 2 * size]
    return np.unique(np.vstack(kept), axis=0)


def _steepest(program: Program, low: Raw, high: Raw) -> Raw:
    """Return the rows that drive each sum over the model's own inputs to its largest and its smallest value."""
    starts = np.cumsum([0, *(tensor.size for tensor in program.inputs)])
    first = {tensor.name: int(start) for tensor, start in zip(program.inputs, starts, strict=False)}
    rows = [np.zeros((0, len(low)), np.int64)]
    for layer in program.layers:
        if not isinstance(layer, Dense) or layer.gather is not None or layer.sources[0] not in first:
            continue
        columns = slice(first[layer.sources[0]], first[layer.sources[0]] + len(layer.weights))
        up = np.zeros((layer.weights.shape[1], len(low)), np.int64)
        down = up.copy()
        up[:, columns] = np.where(layer.weights.T > 0, high[columns], low[columns])
        down[:, columns] = np.where(layer.weights.T > 0, low[columns], high[columns])
        rows += [up, down]
    return np.vstack(rows)


def _varied(best: Raw, count: int, low: Raw, high: Raw, rng: np.random.Generator) -> Raw:
    """Return `count` rows, each a kept one with one to four inputs moved: by a step, by a power of two, or anywhere."""
    rows = best[rng.integers(0, len(best), count)].copy()
    for _ in range(4):
        who = np.flatnonzero(rng.random(count) < 0.6)
        column = rng.integers(0, rows.shape[1], len(who))
        step = np.left_shift(1, rng.integers(0, 12, len(who))) * rng.choice([-1, 1], len(who))
        moved = np.where(rng.random(len(who)) < 0.5, rows[who, column] + rng.choice([-1, 1], len(who)), 0)
        leap = rng.integers(low[column], high[column], endpoint=True)
        edge = np.where(rng.random(len(who)) < 0.5, low[column], high[column])
        choice = rng.integers(0, 4, len(who))
        rows[who, column] = np.choose(choice, [moved, rows[who, column] + step, leap, edge])
    return np.clip(rows, low, high)


def _nearest(program: Program, traced: list[tuple[str, Raw]], pool: Raw, rng: np.random.Generator) -> NDArray[np.intp]:
    """Return the rows of `pool` that come nearest to each goal of each cast."""
    rows = [np.zeros(0, np.intp)]
    for point in cast_points(program, traced, pool):
        elements = rng.permutation(point.values.shape[1])[:_ELEMENTS_PER_LAYER]
        values = point.values[:, elements]
        for goal in (-values, values, *_distances(values, point)):
            # Many rows may be equally near: chance picks, or the first one would always win.
            rows += [(goal + rng.uniform(0, 0.5, goal.shape)).argmin(axis=0) for _ in range(_KEPT_PER_GOAL)]
    return np.unique(np.concatenate(rows))


def _distances(values: NDArray[np.float64], point: CastPoint) -> Iterator[NDArray[np.float64]]:
    """Yield, for every goal, how far each value is from it."""
    for target in point.formats:
        unit = 2.0 ** (point.fraction - target.fraction)
        for edge in (target.high, target.high + 1, target.low, target.low - 1):
            yield np.abs(values - edge * unit)
        if unit > 1:
            from_tie = np.abs(np.mod(values, unit) - unit / 2)
            yield np.where(values >= 0, from_tie, np.inf)
            yield np.where(values < 0, from_tie, np.inf)
            if target.rounding is not Rounding.TRN:  # ties go to even or odd: both must be met
                even = np.mod(np.floor(values / unit), 2) == 0
                yield np.where(even, from_tie, np.inf)
                yield np.where(even, np.inf, from_tie)
