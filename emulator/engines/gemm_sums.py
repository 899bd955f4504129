"""Plans for layers with weights or windows: Dense and convolutions, scales, pools, moves, dot products."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emulator.engines.gemm_dense import planned_dense
from emulator.engines.gemm_signal import Signal, Step, aligned, as_int64, carrier, checked, planned_cast
from emulator.formats import Integers, Overflow, Raw, cast, limited
from emulator.graph import Dense, Dot, Pool, Scale, Select, Tensor


def plan_dense(layer: Dense, source: Signal) -> tuple[Step, Signal]:
    """Plan a Dense, or one at every position of a convolution."""
    kernel, result = planned_dense(layer, source)
    if layer.gather is None:
        return kernel, result
    gather, n_in = layer.gather, layer.gather.shape[1]

    def positions(values: Integers) -> Integers:
        rows = taken(values, gather).reshape(-1, n_in)
        return kernel(rows).reshape(len(values), -1)

    return positions, result


def plan_scale(layer: Scale, source: Signal) -> tuple[Step, Signal]:
    """Plan x·factor + bias at full width."""
    product = Signal(*_ends(source, layer.factor), source.fraction + layer.factor_format.fraction)
    bias = Signal(int(layer.bias.min()), int(layer.bias.max()), layer.bias_format.fraction)
    left, right = aligned(product, bias)
    wide, offset = product.shifted(left), bias.shifted(right)
    total = checked(Signal(wide.low + offset.low, wide.high + offset.high, wide.fraction), layer.name)
    kind = carrier(wide.reach, offset.reach, total.reach, source.reach)
    repeat = layer.output.size // len(layer.factor)
    factors = np.tile(layer.factor << left, repeat).astype(kind)
    biases = np.tile(layer.bias << right, repeat).astype(kind)
    finish, result = planned_cast(total, layer.output.format, layer.name)
    return lambda values: finish(values.astype(kind, copy=False) * factors + biases), result


def plan_dot(
    layer: Dot, left: Signal, right: Signal, *, same: bool
) -> tuple[Callable[[Integers, Integers], Integers], Signal]:
    """Plan Σ a·b; `same` says that both are one tensor, so that no product is negative."""
    ends = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
    low = 0 if same else min(*ends, 0)
    product = checked(Signal(low, max(*ends, 0), left.fraction + right.fraction), layer.name)
    accumulator = layer.accumulator
    to_accumulator, term = planned_cast(product, accumulator, layer.name)
    finish, result = planned_cast(Signal.of(accumulator), layer.output.format, layer.name)

    def total(a: Integers, b: Integers) -> Integers:
        terms = as_int64(to_accumulator(as_int64(a) * as_int64(b)))
        return finish(_summed(terms, layer=layer, term=term))

    return total, result


def _summed(terms: Raw, *, layer: Dot, term: Signal) -> Raw:
    accumulator, count = layer.accumulator, terms.shape[1]
    sums = Signal(min(term.low, 0) * count, max(term.high, 0) * count, term.fraction)
    if accumulator.overflow is Overflow.WRAP or sums.fits(accumulator):
        # A product with ones, because a sum along a short last axis is three times slower.
        return limited(terms @ np.ones((count, 1), np.int64), accumulator)
    total = np.zeros((len(terms), 1), dtype=np.int64)
    for i in range(count):
        total = limited(total + terms[:, i : i + 1], accumulator)
    return total


def plan_pool(layer: Pool, source: Signal, tensor: Tensor) -> tuple[Step, Signal]:
    """Plan the largest or average element of each window, through the accumulator's format as csim does."""
    finish, result = planned_cast(Signal.of(layer.accumulator), layer.output.format, layer.name)
    if layer.operation == "max":
        # hls4ml pads with the top bit set: the lowest signed value, but half way up for an unsigned one.
        half = 1 << (tensor.format.width - 1)
        padding = -half if tensor.format.signed else half
        fraction = tensor.format.fraction
        return (
            lambda values: finish(
                cast(taken(as_int64(values), layer.gather, padding).max(axis=2), fraction, layer.accumulator)
            ),
            result,
        )
    checked(source, layer.name)
    return lambda values: finish(_average(taken(as_int64(values), layer.gather), layer, source.fraction)), result


def _average(windows: Raw, layer: Pool, fraction: int) -> Raw:
    accumulator = layer.accumulator
    left, right = aligned(Signal(0, 0, accumulator.fraction), Signal(0, 0, fraction))
    total = np.zeros(windows.shape[:2], dtype=np.int64)
    for i in range(windows.shape[2]):
        total = cast((total << left) + (windows[:, :, i] << right), fraction + right, accumulator)
    quotient: Raw = np.sign(total) * (np.abs(total) // layer.count)
    return quotient


def plan_select(layer: Select, source: Signal) -> tuple[Step, Signal]:
    """Plan elements moved, then cast."""
    reaching = source.united(Signal(0, 0, source.fraction)) if (layer.gather < 0).any() else source
    finish, result = planned_cast(reaching, layer.output.format, layer.name)
    return lambda values: finish(taken(values, layer.gather)), result


def taken(values: Integers, gather: Raw, padding: int = 0) -> Integers:
    """Return values[:, gather], `padding` where gather is -1."""
    flat = gather.reshape(-1)
    chosen = np.take(values, np.maximum(flat, 0), axis=1)
    missing = flat < 0
    if missing.any():
        chosen[:, missing] = padding
    return chosen.reshape(len(values), *gather.shape)


def _ends(source: Signal, factors: Raw) -> tuple[int, int]:
    least, most = int(factors.min()), int(factors.max())
    ends = [end * factor for end in (source.low, source.high) for factor in (least, most)]
    return min(ends), max(ends)
