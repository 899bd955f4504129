"""Layers without weights, or with one for each element, as C++: casts, rectifiers, scales, tables, windows, merges."""

from __future__ import annotations

import numpy as np

from emulator.engines.gemm_merges import joined_range
from emulator.engines.gemm_signal import Signal, aligned
from emulator.engines.gemm_sums import product_of, running
from emulator.engines.native.unit import Casting, Unit, cast_signal, wider, working
from emulator.formats import Format, cast
from emulator.graph import (
    Cast,
    Concatenate,
    Curve,
    Dot,
    Hard,
    Layer,
    Merge,
    Pool,
    Quantiser,
    Rectifier,
    Scale,
    Select,
    Sign,
    Table,
)

_JOINS = {
    "add": "{a} + {b}",
    "subtract": "{a} - {b}",
    "multiply": "{a} * {b}",
    "average": "{a} + {b}",
    "maximum": "std::max({a}, {b})",
    "minimum": "std::min({a}, {b})",
}


def emit_cast(layer: Cast, source: Signal, unit: Unit) -> None:
    """Write a cast."""
    casting = Casting.of(source, layer.output.format, layer.name)
    _map(layer, unit, casting.kind, f"{casting.call}(v)")


def emit_quantiser(layer: Quantiser, source: Signal, unit: Unit) -> None:
    """Write every element through its own format, format by format."""
    for fmt, elements in layer.groups().items():
        places = unit.places(elements, min(layer.output.size, unit.tensors[layer.sources[0]][2]))
        if fmt is None:
            kind, result = "int32_t", "v * 0"
        else:
            inner = Casting.of(source, fmt, layer.name)
            outer = Casting.of(cast_signal(source, fmt, layer.name), layer.output.format, layer.name)
            kind = wider(inner.kind, outer.kind)
            result = f"{outer.call}({inner.call}(v))"
        unit.say(
            f"spread<{kind}, {len(elements)}>({_in(layer, unit)}, {places}, {places}, {_out(layer, unit)}, "
            f"{unit.function('auto v', result)});"
        )


def emit_rectifier(layer: Rectifier, source: Signal, unit: Unit) -> None:
    """Write relu and its kin."""
    target, name = layer.output.format, layer.name
    if layer.ceiling is not None:
        up = max(0, -source.fraction)
        wide = source.shifted(up)
        top = layer.ceiling << wide.fraction
        casting = Casting.of(Signal(0, min(max(wide.high, 0), top), wide.fraction), target, name)
        kind = wider(casting.kind, working(wide.reach, top))
        _map(layer, unit, kind, f"{casting.call}(std::clamp<{kind}>(v << {up}, 0, {top}))")
    elif layer.threshold == 0 and not layer.slope.any():
        casting = Casting.of(Signal(max(source.low, 0), max(source.high, 0), source.fraction), target, name)
        kind = wider(casting.kind, working(source.reach))
        _map(layer, unit, kind, f"{casting.call}(std::max<{kind}>(v, 0))")
    else:
        _emit_sloped(layer, source, unit)


def _emit_sloped(layer: Rectifier, source: Signal, unit: Unit) -> None:
    ends = [end * int(slope) for end in (source.low, source.high) for slope in layer.slope]
    product = Signal(min(ends), max(ends), source.fraction + layer.slope_format.fraction)
    up, product_up = aligned(source, product)
    x_up, cut_up = aligned(source, Signal(0, 0, layer.threshold_format.fraction))
    casting = Casting.of(source.shifted(up).united(product.shifted(product_up)), layer.output.format, layer.name)
    slopes = unit.array("int64_t", np.resize(layer.slope << product_up, layer.output.size))
    chosen = f"(v << {x_up}) > {layer.threshold << cut_up}LL ? v << {up} : v * {slopes}[i]"
    _map(layer, unit, "int64_t", f"{casting.call}({chosen})")


def emit_scale(layer: Scale, source: Signal, unit: Unit) -> None:
    """Write x·factor + bias."""
    ends = [end * int(factor) for end in (source.low, source.high) for factor in layer.factor]
    product = Signal(min(ends), max(ends), source.fraction + layer.factor_format.fraction)
    bias = Signal(int(layer.bias.min()), int(layer.bias.max()), layer.bias_format.fraction)
    left, right = aligned(product, bias)
    wide, offset = product.shifted(left), bias.shifted(right)
    total = Signal(wide.low + offset.low, wide.high + offset.high, wide.fraction)
    casting = Casting.of(total, layer.output.format, layer.name)
    factor = layer.factor << left
    kind = wider(casting.kind, working(wide.reach, offset.reach, total.reach, source.reach, int(np.abs(factor).max())))
    factors = unit.array(kind, np.resize(factor, layer.output.size))
    biases = unit.array(kind, np.resize(layer.bias << right, layer.output.size))
    _map(layer, unit, kind, f"{casting.call}({kind}(v * {factors}[i] + {biases}[i]))")


def emit_table(layer: Table, source: Signal, unit: Unit) -> None:
    """Write a table over -span/2..span/2."""
    entries = cast(layer.table, layer.table_format.fraction, layer.output.format)
    index, kind = index_of("v", source, len(entries), layer.span)
    kept = unit.tensors[layer.output.name][1]
    table, last = unit.array(kept, entries), len(entries) - 1
    place = f"std::clamp<{kind}>({index} + {len(entries) // 2}, 0, {last})"
    _map(layer, unit, kind, f"{table}[{place}]")


def emit_curve(layer: Curve, source: Signal, unit: Unit) -> None:
    """Write a line above 0, a table below."""
    target = layer.output.format
    below = cast(layer.table * layer.below, layer.table_format.fraction + layer.below_format.fraction, target)
    line = [0, max(source.high, 0) * layer.above]
    straight = Signal(min(line), max(line), source.fraction + layer.above_format.fraction)
    casting = Casting.of(straight, target, layer.name)
    index, _ = index_of("v", source, len(below), layer.span)
    table = unit.array("int64_t", below)
    place = f"std::clamp<int64_t>(-({index}), 0, {len(below) - 1})"
    above = f"{casting.call}(std::max<int64_t>(v, 0) * {layer.above}LL)"
    _map(layer, unit, "int64_t", f"v >= 0 ? {above} : {table}[{place}]")


def index_of(value: str, source: Signal, entries: int, span: int) -> tuple[str, str]:
    """Return trunc(value·entries / span) as C++, towards zero as C++ divides, and the type that it needs."""
    up = max(0, -source.fraction)
    divisor = span << max(0, source.fraction)
    kind = working(source.shifted(up).reach * entries, divisor, 2 * entries)
    quotient = f"({kind}({value}) * {entries} / {kind}({divisor}))"
    return f"({quotient} * {1 << up})" if up else quotient, kind


def emit_hard(layer: Hard, source: Signal, unit: Unit) -> None:
    """Write hard sigmoid and hard tanh."""
    product_fraction = source.fraction + layer.slope_format.fraction
    up, shift_up = aligned(Signal(0, 0, product_fraction), Signal(0, 0, layer.shift_format.fraction))
    slope, shift, fraction = layer.slope << up, layer.shift << shift_up, product_fraction + up
    one = 1 << fraction
    casting = Casting.of(Signal(-one if layer.symmetric else 0, one, fraction), layer.output.format, layer.name)
    inside = f"std::clamp<int64_t>(v * {slope}LL + {shift}LL, 0, {one}LL)"
    _map(layer, unit, "int64_t", f"{casting.call}({f'2 * {inside} - {one}LL' if layer.symmetric else inside})")


def emit_sign(layer: Sign, source: Format, unit: Unit) -> None:
    """Write binary and ternary tanh."""
    target = layer.output.format
    one_bit = not target.signed and target.width == target.integer == 1
    minus, zero, plus = cast([-1, 0, 1], 0, target).tolist()
    if layer.levels == 2:
        _map(layer, unit, "int64_t", f"v >= 0 ? {plus} : {zero if one_bit else minus}")
        return
    doubled = Signal.of(source)
    casting = Casting.of(Signal(2 * doubled.low, 2 * doubled.high, source.fraction), source, layer.name)
    twice, one = f"({casting.call}(2 * v) << {max(0, -source.fraction)})", 1 << max(0, source.fraction)
    _map(layer, unit, "int64_t", f"{twice} > {one} ? {plus} : {twice} > {-one} ? {zero} : {minus}")


def emit_select(layer: Select, source: Signal, unit: Unit) -> None:
    """Write elements moved, then cast."""
    casting = Casting.of(source.united(Signal(0, 0, source.fraction)), layer.output.format, layer.name)
    places = unit.places(layer.gather, unit.tensors[layer.sources[0]][2])
    call = f"select<{casting.kind}, {layer.output.size}>"
    finish = unit.function("auto v", f"{casting.call}(v)")
    unit.say(f"{call}({_in(layer, unit)}, {places}, {_out(layer, unit)}, {finish});")


def emit_pool(layer: Pool, source: Signal, fmt: Format, unit: Unit) -> None:
    """Write the largest or the average element of each window."""
    windows, window = layer.gather.shape
    places = unit.places(layer.gather, unit.tensors[layer.sources[0]][2])
    finish = f"{Casting.of(Signal.of(layer.accumulator), layer.output.format, layer.name).call}(int64_t({{}}))"
    if layer.operation == "max":
        half = 1 << (fmt.width - 1)  # hls4ml pads with the top bit set
        padding = -half if fmt.signed else half
        widened = Signal.of(fmt).united(Signal(padding, padding, fmt.fraction))
        into = f"{Casting.of(widened, layer.accumulator, layer.name).call}(v)"
        call = f"largest<int64_t, {windows}, {window}, {padding}LL>"
        largest = unit.function("int64_t v", finish.format(into))
        unit.say(f"{call}({_in(layer, unit)}, {places}, {_out(layer, unit)}, {largest});")
        return
    left, right = aligned(Signal(0, 0, layer.accumulator.fraction), Signal(0, 0, source.fraction))
    sums = Signal.of(layer.accumulator).shifted(left), source.shifted(right)
    partial = Signal(sums[0].low + min(sums[1].low, 0), sums[0].high + max(sums[1].high, 0), source.fraction + right)
    add = f"{Casting.of(partial, layer.accumulator, layer.name).call}((sum << {left}) + (v << {right}))"
    counts = unit.array("int64_t", layer.count)
    unit.say(
        f"average<{windows}, {window}>({_in(layer, unit)}, {places}, {counts}, {_out(layer, unit)}, "
        f"{unit.function('int64_t sum, int64_t v', add)}, "
        f"{unit.function('int64_t sum, int64_t count', finish.format('sum / count'))});"
    )


def emit_merge(layer: Merge, left: Signal, right: Signal, unit: Unit) -> None:
    """Write two sources joined element by element."""
    up, other_up, whole = joined_range(layer, left, right)
    casting = Casting.of(whole, layer.output.format, layer.name)
    kind = wider(casting.kind, working(whole.reach, left.shifted(up).reach, right.shifted(other_up).reach))
    joined = _JOINS[layer.operation].format(a=f"(a << {up})", b=f"(b << {other_up})")
    first, second = (unit.tensors[name][2] for name in layer.sources)
    unit.say(
        f"join<{kind}, {layer.output.size}, {first}, {second}>({unit.place(layer.sources[0])}, "
        f"{unit.place(layer.sources[1])}, {_out(layer, unit)}, "
        f"{unit.function(f'{kind} a, {kind} b, int', f'{casting.call}({kind}({joined}))')});"
    )


def emit_concatenate(layer: Concatenate, unit: Unit) -> None:
    """Write sources laid end to end and moved, each cast from its own format."""
    ends = np.cumsum([unit.tensors[name][2] for name in layer.sources])
    owner = np.searchsorted(ends, layer.gather, side="right")
    for number, name in enumerate(layer.sources):
        ours = np.flatnonzero(owner == number)
        if not len(ours):
            continue
        size = unit.tensors[name][2]
        casting = Casting.of(unit.signals[name], layer.output.format, layer.name)
        places = unit.places(layer.gather[ours] - (ends[number] - size), size)
        into = unit.places(ours, layer.output.size)
        unit.say(
            f"spread<{casting.kind}, {len(ours)}>({unit.place(name)}, {places}, {into}, {_out(layer, unit)}, "
            f"{unit.function('auto v', f'{casting.call}(v)')});"
        )


def emit_dot(layer: Dot, left: Signal, right: Signal, unit: Unit) -> None:
    """Write Σ a·b, step by step in the accumulator."""
    product = product_of(layer, left, right, same=layer.sources[0] == layer.sources[-1])
    accumulator, size = layer.accumulator, unit.tensors[layer.sources[0]][2]
    kind, add = (_added_whole if layer.whole else _added)(layer, product)
    finish = Casting.of(Signal.of(accumulator), layer.output.format, layer.name)
    kind = wider(kind, finish.kind, working(product.reach, left.reach, right.reach))
    positions, count = (1, size) if layer.left is None else layer.left.shape
    both = zip(layer.sources, (layer.left, layer.right), strict=True)
    sources = ", ".join(
        f"{unit.place(name)}, {'nullptr' if gather is None else unit.places(gather, unit.tensors[name][2])}"
        for name, gather in both
    )
    unit.say(
        f"dot<{kind}, {positions}, {count}>({sources}, {_out(layer, unit)}, "
        f"{unit.function('auto sum, auto v', add.format(kind=kind))}, {unit.function('auto v', f'{finish.call}(v)')});"
    )


def _added(layer: Dot, product: Signal) -> tuple[str, str]:
    """Return the type for, and the C++ of, the next sum where a product is cast before it is added."""
    accumulator = layer.accumulator
    term = Casting.of(product, accumulator, layer.name)
    low, high = (2 * end for end in (Signal.of(accumulator).low, accumulator.high))
    add = Casting.of(Signal(low, high, accumulator.fraction), accumulator, layer.name)
    return wider(term.kind, add.kind), f"{add.call}({{kind}}(sum + {{kind}}({term.call}(v))))"


def _added_whole(layer: Dot, product: Signal) -> tuple[str, str]:
    """Return the same where a product is added at full width."""
    up, product_up, whole = running(layer, product)
    add = Casting.of(whole, layer.accumulator, layer.name)
    return wider(add.kind, working(whole.reach)), f"{add.call}({{kind}}((sum << {up}) + (v << {product_up})))"


def _map(layer: Layer, unit: Unit, kind: str, body: str) -> None:
    call = f"map<{kind}, {layer.output.size}>({_in(layer, unit)}, {_out(layer, unit)}"
    unit.say(f"{call}, {unit.function(f'{kind} v, [[maybe_unused]] int i', body)});")


def _in(layer: Layer, unit: Unit) -> str:
    return unit.place(layer.sources[0])


def _out(layer: Layer, unit: Unit) -> str:
    return unit.place(layer.output.name)
