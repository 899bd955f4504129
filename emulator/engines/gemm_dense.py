"""Σ x·w + b as csim's accumulator does it, event by event the same, in whichever way is proven exact and fastest.

Three ways (nnet_dense_latency.h, nnet_dense_resource.h):

1. The accumulator keeps all bits of the products and wraps, or cannot overflow: the sum is linear modulo 2^W, any order
   gives the same, so a BLAS product is exact as long as every partial sum is a whole number that the float holds:
   Σ|w|·max|x| < 2^24 in float32, < 2^53 in float64; int64 beyond.
2. It drops bits of each product, and wraps or cannot overflow: products are cast one by one, sums are free.
3. It saturates and may: cast and add step by step, in the order in which csim visits the inputs.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.engines.gemm_signal import Carrier, Signal, Step, as_int64, carrier, checked, planned_cast
from emulator.formats import Format, Integers, Overflow, Raw, Rounding, cast, limited, rounded
from emulator.graph import Dense

_FLOAT32, _FLOAT64 = 1 << 24, 1 << 53
_CACHED = 1 << 14

Sum = Callable[[Integers], Integers]


@dataclass(frozen=True, slots=True)
class Products:
    """Range of every single product x·w (n_in, n_out), as Python integers in object arrays."""

    low: NDArray[Any]
    high: NDArray[Any]

    @classmethod
    def of(cls, source: Signal, weights: Raw) -> Products:
        """Products of anything in `source` (0 included: padding) with the weights."""
        exact = weights.astype(object)
        ends = exact * min(source.low, 0), exact * max(source.high, 0)
        return cls(np.minimum(*ends), np.maximum(*ends))

    @property
    def reach(self) -> int:
        """Largest magnitude of one product."""
        return max(int(-self.low.min()), int(self.high.max()))

    def partial_sums(self, bias: Raw) -> tuple[int, int]:
        """Lowest and highest value that any product and any partial sum, in any order, can take."""
        start = bias.astype(object)
        low, high = (self.low.sum(axis=0) + start).min(), (self.high.sum(axis=0) + start).max()
        return int(min(low, self.low.min())), int(max(high, self.high.max()))


def planned_dense(layer: Dense, source: Signal) -> tuple[Step, Signal]:
    """Plan (rows, n_in) -> (rows, n_out), the final cast included; raises NotExact where int64 is too narrow."""
    accumulator = layer.accumulator
    bias = cast(layer.bias, layer.bias_format.fraction, accumulator)
    drop = source.fraction + layer.weight_format.fraction - accumulator.fraction
    products = Products.of(source, layer.weights)
    checked(Signal(-products.reach, products.reach, 0), layer.name)
    if drop <= 0:
        total, signal = _keeping_all_bits(layer, source, bias, -drop)
    else:
        total, signal = _dropping_bits(layer, products, bias, drop)
    finish, result = planned_cast(signal, layer.output.format, layer.name)
    return lambda rows: finish(total(rows)), result


def _keeping_all_bits(layer: Dense, source: Signal, bias: Raw, left: int) -> tuple[Sum, Signal]:
    accumulator = layer.accumulator
    exact = [[int(weight) << left for weight in row] for row in layer.weights.tolist()]
    products = Products.of(source, np.array(exact, dtype=object).reshape(layer.weights.shape))
    low, high = products.partial_sums(bias)
    sums = checked(Signal(low, high, accumulator.fraction), layer.name)
    checked(Signal(-products.reach, products.reach, 0), layer.name)
    if accumulator.overflow is not Overflow.WRAP and not sums.fits(accumulator):
        return _saturating(layer, bias, lambda product: product << left)
    # The bits that every sum has as zeros need not be carried.
    spare = trailing_zeros(bias, left)
    weights = layer.weights << (left - spare)
    linear = _linear(weights, bias >> spare, reach=reach_of(products, bias) >> spare)
    if sums.fits(accumulator):
        return linear, Signal(low >> spare, high >> spare, accumulator.fraction - spare)
    return _wrapping(linear, accumulator, spare=spare, sums=sums)


def _wrapping(linear: Sum, accumulator: Format, *, spare: int, sums: Signal) -> tuple[Sum, Signal]:
    if accumulator.width <= spare:
        return lambda rows: limited(as_int64(linear(rows)) << spare, accumulator), Signal.of(accumulator)
    narrow = Format(accumulator.signed, accumulator.width - spare, accumulator.integer)
    kind = carrier(sums.reach >> spare, narrow.high)
    return lambda rows: limited(linear(rows).astype(kind, copy=False), narrow), Signal.of(narrow)


def _linear(weights: Raw, bias: Raw, *, reach: int) -> Sum:
    """Return the exact integer product; `reach` bounds every partial sum, bias included."""
    kind = carrier(reach)
    offset = bias.astype(kind)
    if reach >= _FLOAT64:
        return lambda rows: as_int64(rows) @ weights + offset
    real: type[np.floating[Any]] = np.float32 if reach < _FLOAT32 else np.float64
    matrix = np.ascontiguousarray(weights, dtype=real)

    def product(rows: Integers) -> Integers:
        total = (rows.astype(real) @ matrix).astype(kind)
        total += offset
        return total

    return product


def _dropping_bits(layer: Dense, products: Products, bias: Raw, drop: int) -> tuple[Sum, Signal]:
    accumulator = layer.accumulator

    def kept(values: NDArray[Any]) -> NDArray[Any]:
        return rounded(values.astype(np.int64), drop, accumulator.rounding).astype(object)

    cut = Products(kept(products.low), kept(products.high))
    low, high = cut.partial_sums(bias)
    sums = checked(Signal(low, high, accumulator.fraction), layer.name)
    if accumulator.overflow is not Overflow.WRAP and not sums.fits(accumulator):
        return _saturating(layer, bias, lambda product: rounded(product, drop, accumulator.rounding))
    total = _cutting(layer, bias, drop, kind=carrier(products.reach + 1, sums.reach) if drop < 31 else np.int64)
    if sums.fits(accumulator):
        return total, sums
    wrap = carrier(sums.reach, accumulator.high)
    return lambda rows: limited(total(rows).astype(wrap, copy=False), accumulator), Signal.of(accumulator)


def _cutting(layer: Dense, bias: Raw, drop: int, *, kind: Carrier) -> Sum:
    """Return the sum of products that are rounded one by one; few rows at a time, so that they stay in the cache."""
    weights, offset = layer.weights.astype(kind)[:, :, None], bias.astype(kind)[:, None]
    few = max(64, _CACHED // len(offset))

    def summed(columns: Integers) -> Integers:
        # Events lie along the last axis: the inner loop is long however few outputs there are.
        result: Integers = np.broadcast_to(offset, (len(offset), columns.shape[1])).copy()
        product = np.empty_like(result)
        for column, weight in zip(columns, weights, strict=True):
            np.multiply(weight, column, out=product)
            if layer.accumulator.rounding is Rounding.TRN:
                np.right_shift(product, drop, out=product)
                result += product
            else:
                result += rounded(product, drop, layer.accumulator.rounding)
        return result

    def total(rows: Integers) -> Integers:
        columns = np.ascontiguousarray(rows.T, dtype=kind)
        parts = [summed(columns[:, start : start + few]) for start in range(0, len(rows), few)]
        return np.concatenate(parts, axis=1).T

    return total


def _saturating(layer: Dense, bias: Raw, kept: Step) -> tuple[Sum, Signal]:
    accumulator, order, weights = layer.accumulator, layer.order.tolist(), layer.weights

    def total(rows: Integers) -> Integers:
        columns = as_int64(rows)
        result: Integers = np.broadcast_to(bias, (len(rows), len(bias))).copy()
        for i in order:
            product = limited(kept(columns[:, i : i + 1] * weights[i]), accumulator)
            result = limited(result + product, accumulator)
        return result

    return total, Signal.of(accumulator)


def reach_of(products: Products, bias: Raw) -> int:
    """Return a bound of the magnitude of every partial sum, in any order, bias included."""
    largest = np.maximum(-products.low, products.high).sum(axis=0) + abs(bias.astype(object))
    return int(largest.max())


def trailing_zeros(values: Raw, most: int) -> int:
    """Return how many low bits are zero in all of `values`, at most `most`."""
    together = int(np.bitwise_or.reduce(values)) if values.size else 0
    return most if together == 0 else min(most, (together & -together).bit_length() - 1)
