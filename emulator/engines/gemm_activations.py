"""Plans for layers that treat every element alone, and for softmax (nnet_activation.h)."""

from __future__ import annotations

import numpy as np

from emulator.engines.gemm_signal import Signal, Step, aligned, as_int64, carrier, checked, planned_cast
from emulator.formats import Format, Integers, Raw, Rounding, cast, limited, rounded
from emulator.graph import Curve, Hard, NotExact, Quantiser, Rectifier, Sign, Softmax, Table, Tensor

_INT = 1 << 31


def plan_quantiser(layer: Quantiser, source: Signal) -> tuple[Step, Signal]:
    """Plan every element through its own format."""
    target, steps, whole = layer.output.format, [], Signal(0, 0, layer.output.format.fraction)
    for fmt, elements in layer.groups().items():
        if fmt is None:
            continue
        inner, held = planned_cast(source, fmt, layer.name)
        outer, result = planned_cast(held, target, layer.name)
        steps.append((elements, inner, outer))
        whole = whole.united(result)
    kind = carrier(whole.reach)

    def quantised(values: Integers) -> Integers:
        chosen = np.zeros((len(values), layer.output.size), dtype=kind)
        for elements, inner, outer in steps:
            chosen[:, elements] = outer(inner(values[:, elements]))
        return chosen

    return quantised, whole


def plan_rectifier(layer: Rectifier, source: Signal) -> tuple[Step, Signal]:
    """Plan x above the threshold, slope·x below, at most the ceiling."""
    if layer.ceiling is not None:
        return _plan_capped(layer, source, layer.ceiling)
    if not layer.slope.any() and layer.threshold == 0:
        positive = Signal(max(source.low, 0), max(source.high, 0), source.fraction)
        finish, result = planned_cast(positive, layer.output.format, layer.name)
        return lambda values: finish(np.maximum(values, 0)), result
    return _plan_sloped(layer, source)


def _plan_capped(layer: Rectifier, source: Signal, ceiling: int) -> tuple[Step, Signal]:
    up = max(0, -source.fraction)
    wide = checked(source.shifted(up), layer.name)
    top = ceiling << wide.fraction
    kind = carrier(wide.reach, top)
    inside = Signal(0, min(max(wide.high, 0), top), wide.fraction)
    finish, result = planned_cast(inside, layer.output.format, layer.name)
    return lambda values: finish(np.clip(values.astype(kind, copy=False) << up, 0, top)), result


def _plan_sloped(layer: Rectifier, source: Signal) -> tuple[Step, Signal]:
    slopes = [int(slope) for slope in layer.slope]
    ends = [end * slope for end in (source.low, source.high) for slope in slopes]
    product = Signal(min(ends), max(ends), source.fraction + layer.slope_format.fraction)
    up, product_up = aligned(source, product)
    whole = checked(source.shifted(up).united(product.shifted(product_up)), layer.name)
    x_up, cut_up = aligned(source, Signal(0, 0, layer.threshold_format.fraction))
    checked(source.shifted(x_up), layer.name)
    cut, slope = layer.threshold << cut_up, layer.slope << product_up
    finish, result = planned_cast(whole, layer.output.format, layer.name)

    def rectified(values: Integers) -> Integers:
        x = as_int64(values)
        return finish(np.where((x << x_up) > cut, x << up, x * slope))

    return rectified, result


def plan_table(layer: Table, source: Signal) -> tuple[Step, Signal]:
    """Plan a table over -span/2..span/2."""
    entries = cast(layer.table, layer.table_format.fraction, layer.output.format)
    index = planned_index(source, len(entries), layer.span, layer.name)
    middle, last = len(entries) // 2, len(entries) - 1
    return lambda values: entries[np.clip(index(values) + middle, 0, last)], _signal(entries, layer.output.format)


def plan_curve(layer: Curve, source: Signal) -> tuple[Step, Signal]:
    """Plan a line above 0, a table below."""
    target = layer.output.format
    below = cast(layer.table * layer.below, layer.table_format.fraction + layer.below_format.fraction, target)
    line = [0, max(source.high, 0) * layer.above]
    straight = Signal(min(line), max(line), source.fraction + layer.above_format.fraction)
    finish, above = planned_cast(straight, target, layer.name)
    index = planned_index(source, len(below), layer.span, layer.name)

    def bent(values: Integers) -> Integers:
        x = as_int64(values)
        positive = finish(np.maximum(x, 0) * layer.above)
        return np.where(x >= 0, positive, below[np.clip(-index(x), 0, len(below) - 1)])

    return bent, _signal(below, target).united(above)


def planned_index(source: Signal, entries: int, span: int, layer: str) -> Step:
    """Plan trunc(x·entries / span), towards zero, as C++ computes it from an ap_fixed into an int.

    The quotient has as many fraction bits as x: where those are fewer than none, it is a multiple of x's own unit.
    """
    up = max(0, -source.fraction)
    checked(Signal(source.low * entries, source.high * entries, 0), layer)
    divisor = span << max(0, source.fraction)
    if (source.reach * entries // divisor) << up >= _INT:
        raise NotExact(layer, f"the index x*{entries}/{span} may not fit a C++ int")
    if divisor & (divisor - 1) == 0 and divisor > 1:
        bits = divisor.bit_length() - 1
        return lambda values: rounded(as_int64(values) * entries, bits, Rounding.TRN_ZERO) << up

    def index(values: Integers) -> Integers:
        scaled = as_int64(values) * entries
        return np.asarray(np.sign(scaled) * (np.abs(scaled) // divisor) << up)

    return index


def plan_hard(layer: Hard, source: Signal) -> tuple[Step, Signal]:
    """Plan slope·x + shift kept between 0 and 1."""
    ends = source.low * layer.slope, source.high * layer.slope
    product = Signal(min(ends), max(ends), source.fraction + layer.slope_format.fraction)
    up, shift_up = aligned(product, Signal(0, 0, layer.shift_format.fraction))
    wide, shift = product.shifted(up), layer.shift << shift_up
    if wide.fraction < 0:
        raise NotExact(layer.name, "1 is below the last bit of slope*x")
    checked(Signal(wide.low + shift, wide.high + shift, wide.fraction), layer.name)
    one, slope = 1 << wide.fraction, layer.slope << up
    inside = Signal(-one if layer.symmetric else 0, one, wide.fraction)
    finish, result = planned_cast(inside, layer.output.format, layer.name)

    def kept(values: Integers) -> Integers:
        s = np.clip(as_int64(values) * slope + shift, 0, one)
        return finish(2 * s - one if layer.symmetric else s)

    return kept, result


def plan_sign(layer: Sign, source: Signal, tensor: Tensor) -> tuple[Step, Signal]:
    """Plan binary and ternary tanh."""
    target = layer.output.format
    one_bit = not target.signed and target.width == target.integer == 1
    minus, zero, plus = cast([-1, 0, 1], 0, target).tolist()
    result = Signal(min(minus, zero, plus), max(minus, zero, plus), target.fraction)
    if layer.levels == 2:
        return lambda values: np.where(values >= 0, plus, zero if one_bit else minus), result
    one_up, fraction = max(0, -tensor.format.fraction), max(0, tensor.format.fraction)
    checked(source.shifted(1 + one_up), layer.name)

    def ternary(values: Integers) -> Integers:
        twice = cast(2 * as_int64(values), tensor.format.fraction, tensor.format) << one_up
        return np.asarray(np.where(twice > 1 << fraction, plus, np.where(twice > -(1 << fraction), zero, minus)))

    return ternary, result


def plan_softmax(layer: Softmax, source: Signal, tensor: Tensor) -> tuple[Step, Signal]:
    """Plan softmax by any of csim's four methods."""
    checked(Signal(2 * source.low, 2 * source.high, 0), layer.name)
    method = {"stable": _tabled, "latency": _tabled, "legacy": _legacy, "argmax": _argmax}[layer.method]
    target = layer.output.format

    def by_slice(values: Integers) -> Integers:
        cube = as_int64(values).reshape(-1, layer.outer, layer.slices, layer.inner).swapaxes(2, 3)
        rows = method(layer, cube.reshape(-1, layer.slices), tensor.format)
        return rows.reshape(cube.shape).swapaxes(2, 3).reshape(len(values), -1)

    return by_slice, Signal.of(target)


def _tabled(layer: Softmax, rows: Raw, fmt: Format) -> Raw:
    index_format, index = fmt, rows
    if layer.norm_format is not None:
        index_format = layer.norm_format
        index = cast(rows.max(axis=1, keepdims=True) - rows, fmt.fraction, index_format)
    exponentials = cast(layer.exp_table, layer.exp_format.fraction, layer.accumulator)
    terms = exponentials[_top_bits(index, index_format, len(exponentials))]
    total = cast(tree_of_sums(terms, layer.accumulator), layer.accumulator.fraction, layer.sum_format)
    inverse = layer.inv_table[_top_bits(total, layer.sum_format, len(layer.inv_table))]
    fraction = layer.accumulator.fraction + layer.inv_format.fraction
    return cast(terms * inverse[:, None], fraction, layer.output.format)


def _top_bits(raw: Raw, fmt: Format, entries: int) -> Raw:
    """Return the index that csim slices from a value: its highest bits, as an unsigned number."""
    return (raw >> (fmt.width - (entries.bit_length() - 1))) & (entries - 1)


def tree_of_sums(terms: Raw, accumulator: Format) -> Raw:
    """nnet::reduce: a left half of the largest power of two below the count, every sum cast to the accumulator."""
    count = terms.shape[1]
    if count == 1:
        return terms[:, 0]
    left = 1 << ((count - 1).bit_length() - 1)
    return limited(tree_of_sums(terms[:, :left], accumulator) + tree_of_sums(terms[:, left:], accumulator), accumulator)


def _legacy(layer: Softmax, rows: Raw, fmt: Format) -> Raw:
    table = layer.exp_format
    entries, inverses = len(layer.exp_table), len(layer.inv_table)
    span = Signal(-(1 << fmt.width), 1 << fmt.width, fmt.fraction)
    index, one = planned_index(span, entries, 16, layer.name), int(cast(1, 0, table))
    total = np.full(rows.shape, one)
    for i in range(rows.shape[1]):
        others = np.delete(rows, i, axis=1) - rows[:, i : i + 1]
        terms = layer.exp_table[np.clip(index(others) + entries // 2, 0, entries - 1)]
        total[:, i] += terms.sum(axis=1)
    sums = limited(total, table)
    place = planned_index(Signal.of(table), inverses, 64, layer.name)(sums)
    inverse = layer.inv_table[np.clip(place, 0, inverses - 1)]
    return cast(inverse, layer.inv_format.fraction, layer.output.format)


def _argmax(layer: Softmax, rows: Raw, fmt: Format) -> Raw:  # noqa: ARG001 - one signature for all methods
    zero, one = cast([0, 1], 0, layer.output.format).tolist()
    result = np.full(rows.shape, zero)
    result[np.arange(len(rows)), rows.argmax(axis=1)] = one
    return result


def _signal(entries: Raw, fmt: Format) -> Signal:
    return Signal(int(entries.min()), int(entries.max()), fmt.fraction)
