"""Plans for layers with weights or windows: Dense and convolutions, scales, pools, moves, dot products."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from emulator.engines.gemm_dense import planned_dense
from emulator.engines.gemm_signal import Signal, Step, aligned, as_int64, carrier, checked, planned_cast
from emulator.formats import Integers, Overflow, Raw, Rounding, cast, limited
from emulator.graph import Dense, Dot, Pool, Scale, Select, Tensor

_SHIFTING = (Rounding.TRN, Rounding.RND, Rounding.RND_MIN_INF)
"""Roundings that give the same when a whole number is added before or after."""


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
    """Plan Σ a·b; `same` says that both are one tensor."""
    product, accumulator = product_of(layer, left, right, same=same), layer.accumulator
    finish, result = planned_cast(Signal.of(accumulator), layer.output.format, layer.name)
    summed = _whole(layer, product) if layer.whole else _by_product(layer, product)

    def total(a: Integers, b: Integers) -> Integers:
        return finish(summed(_placed(a, layer.left) * _placed(b, layer.right)))

    return total, result


def product_of(layer: Dot, left: Signal, right: Signal, *, same: bool) -> Signal:
    """Return what is known of a·b; a square is never negative."""
    ends = [a * b for a in (left.low, left.high) for b in (right.low, right.high)]
    square = same and layer.left is None and layer.right is None
    return checked(Signal(0 if square else min(*ends, 0), max(*ends, 0), left.fraction + right.fraction), layer.name)


def running(layer: Dot, product: Signal) -> tuple[int, int, Signal]:
    """Return by how many bits to shift the sum and a product left, and what is then known of them added."""
    held = Signal.of(layer.accumulator)
    up, product_up = aligned(held, product)
    a, b = held.shifted(up), product.shifted(product_up)
    return up, product_up, checked(Signal(a.low + b.low, a.high + b.high, a.fraction), layer.name)


def _placed(values: Integers, gather: Raw | None) -> Raw:
    """Return (events, positions, n)."""
    wide = as_int64(values)
    return wide[:, None] if gather is None else wide[:, gather]


def _by_product(layer: Dot, product: Signal) -> Step:
    """Return the sum of products that are cast one by one."""
    accumulator = layer.accumulator
    to_accumulator, term = planned_cast(product, accumulator, layer.name)

    def summed(products: Integers) -> Integers:
        terms = as_int64(to_accumulator(products))
        count = terms.shape[2]
        sums = Signal(min(term.low, 0) * count, max(term.high, 0) * count, term.fraction)
        if accumulator.overflow is Overflow.WRAP or sums.fits(accumulator):
            # A product with ones, because a sum along a short last axis is three times slower.
            return limited(terms @ np.ones(count, np.int64), accumulator)
        total = np.zeros(terms.shape[:2], dtype=np.int64)
        for i in range(count):
            total = limited(total + terms[:, :, i], accumulator)
        return total

    return summed


def _whole(layer: Dot, product: Signal) -> Step:
    """Return the sum that is cast after every product."""
    accumulator = layer.accumulator
    up, product_up, whole = running(layer, product)
    if accumulator.overflow is Overflow.WRAP and (up == 0 or accumulator.rounding in _SHIFTING):
        # The sum has no bits that are cut, and nothing but the last bits counts: a product may be cast by itself.
        return _by_product(layer, product)

    def summed(products: Integers) -> Integers:
        total = np.zeros(products.shape[:2], dtype=np.int64)
        for i in range(products.shape[2]):
            total = cast((total << up) + (products[:, :, i] << product_up), whole.fraction, accumulator)
        return total

    return summed


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
