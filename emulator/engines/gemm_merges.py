"""Plans for layers with several sources (nnet_merge.h)."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import numpy as np

from emulator.engines.gemm_signal import Signal, aligned, as_int64, checked, planned_cast
from emulator.formats import Integers
from emulator.graph import Concatenate, Merge

Join = Callable[..., Integers]


def plan_merge(layer: Merge, left: Signal, right: Signal) -> tuple[Join, Signal]:
    """Plan a merge element by element; the shorter source repeats."""
    up, other_up, whole = joined_range(layer, left, right)
    finish, result = planned_cast(whole, layer.output.format, layer.name)
    size, join = layer.output.size, _JOINS[layer.operation]

    def merged(first: Integers, second: Integers) -> Integers:
        return finish(join(_repeated(first, size) << up, _repeated(second, size) << other_up))

    return merged, result


def joined_range(layer: Merge, left: Signal, right: Signal) -> tuple[int, int, Signal]:
    """Return by how many bits to shift both sources left, and what is then known of them joined, before the cast."""
    up, other_up = aligned(left, right)
    a, b = checked(left.shifted(up), layer.name), checked(right.shifted(other_up), layer.name)
    if layer.operation == "multiply":
        up = other_up = 0
        a, b = left, right
    return up, other_up, checked(_range(layer.operation, a, b), layer.name)


_JOINS: dict[str, Join] = {
    "add": np.add,
    "subtract": np.subtract,
    "multiply": np.multiply,
    "average": np.add,
    "maximum": np.maximum,
    "minimum": np.minimum,
}


def _range(operation: str, a: Signal, b: Signal) -> Signal:
    match operation:
        case "add":
            return Signal(a.low + b.low, a.high + b.high, a.fraction)
        case "average":  # the half is one more fraction bit
            return Signal(a.low + b.low, a.high + b.high, a.fraction + 1)
        case "subtract":
            return Signal(a.low - b.high, a.high - b.low, a.fraction)
        case "multiply":
            ends = [x * y for x in (a.low, a.high) for y in (b.low, b.high)]
            return Signal(min(ends), max(ends), a.fraction + b.fraction)
        case _:  # maximum, minimum
            return a.united(b)


def plan_concatenate(layer: Concatenate, sources: Sequence[Signal]) -> tuple[Join, Signal]:
    """Plan all cast, then laid end to end and moved."""
    casts, signals = zip(*(planned_cast(source, layer.output.format, layer.name) for source in sources), strict=True)

    def joined(*parts: Integers) -> Integers:
        whole = [as_int64(cast_part(part)) for cast_part, part in zip(casts, parts, strict=True)]
        return np.concatenate(whole, axis=1)[:, layer.gather]

    return joined, functools.reduce(Signal.united, signals)


def _repeated(values: Integers, size: int) -> Integers:
    wide = as_int64(values)
    return wide if wide.shape[1] == size else np.tile(wide, (1, -(-size // wide.shape[1])))[:, :size]
