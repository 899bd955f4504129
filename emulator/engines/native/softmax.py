"""Softmax as C++, by each of csim's four methods (nnet_activation.h)."""

from __future__ import annotations

from emulator.engines.gemm_signal import Signal
from emulator.engines.native.elements import index_of
from emulator.engines.native.unit import Casting, Unit, limit, wider, working
from emulator.formats import Format, cast
from emulator.graph import Softmax


def emit_softmax(layer: Softmax, source: Signal, fmt: Format, unit: Unit) -> None:
    """Write a softmax of a source of format `fmt`."""
    {"stable": _emit_tabled, "latency": _emit_tabled, "legacy": _emit_legacy, "argmax": _emit_argmax}[layer.method](
        layer, source, fmt, unit
    )


def _emit_tabled(layer: Softmax, source: Signal, fmt: Format, unit: Unit) -> None:
    exponentials = cast(layer.exp_table, layer.exp_format.fraction, layer.accumulator)
    index, read = "v", fmt
    kind = working(2 * source.reach)
    if layer.norm_format is not None:
        apart = Casting.of(Signal(0, source.high - source.low, source.fraction), layer.norm_format, layer.name)
        index, read, kind = f"{apart.call}({{kind}}(most - v))", layer.norm_format, wider(kind, apart.kind)
    doubled = Signal(2 * Signal.of(layer.accumulator).low, 2 * Signal.of(layer.accumulator).high, 0)
    whole = Casting.of(Signal.of(layer.accumulator), layer.sum_format, layer.name)
    inverse_reach = Signal.of(layer.inv_format).reach
    kind = wider(kind, working(doubled.reach), whole.kind, working(Signal.of(read).reach), working(inverse_reach))
    index, join = index.replace("{kind}", kind), f"{limit(layer.accumulator)}({kind}(a + b))"
    ends = [a * b for a in _ends(layer.accumulator) for b in _ends(layer.inv_format)]
    product = Signal(min(ends), max(ends), layer.accumulator.fraction + layer.inv_format.fraction)
    finish = Casting.of(product, layer.output.format, layer.name)
    wide = wider(finish.kind, working(product.reach))
    unit.say(
        f"softmax<{_shape(layer)}, {kind}>({unit.place(layer.sources[0])}, "
        f"{unit.array(kind, exponentials)}, {unit.array(kind, layer.inv_table)}, {unit.place(layer.output.name)}, "
        f"{unit.function(f'{kind} v, [[maybe_unused]] {kind} most', _top_bits(index, read, len(exponentials)))}, "
        f"{unit.function(f'{kind} a, {kind} b', join)}, "
        f"{unit.function(f'{kind} sum', _top_bits(f'{whole.call}(sum)', layer.sum_format, len(layer.inv_table)))}, "
        f"{unit.function(f'{kind} a, {kind} b', f'{finish.call}({wide}(a) * {wide}(b))')});"
    )


def _top_bits(value: str, fmt: Format, entries: int) -> str:
    """Return the index that csim slices from a value: its highest bits, as an unsigned number."""
    return f"({value} >> {fmt.width - (entries.bit_length() - 1)}) & {entries - 1}"


def _emit_legacy(layer: Softmax, source: Signal, fmt: Format, unit: Unit) -> None:  # noqa: ARG001 - one signature
    entries, inverses, table = len(layer.exp_table), len(layer.inv_table), layer.exp_format
    span = Signal(-(1 << fmt.width), 1 << fmt.width, fmt.fraction)
    index, _ = index_of("v", span, entries, 16)
    place, _ = index_of("v", Signal.of(table), inverses, 64)
    finish = Casting.of(Signal.of(layer.inv_format), layer.output.format, layer.name)
    one = int(cast(1, 0, table))
    unit.say(
        f"softmax_legacy<{_shape(layer)}>({unit.place(layer.sources[0])}, {unit.array('int64_t', layer.exp_table)}, "
        f"{unit.array('int64_t', layer.inv_table)}, {unit.place(layer.output.name)}, {one}, "
        f"{unit.function('int64_t v', f'std::clamp<int64_t>({index} + {entries // 2}, 0, {entries - 1})')}, "
        f"{unit.function('int64_t v', f'{limit(table)}(v)')}, "
        f"{unit.function('int64_t v', f'std::clamp<int64_t>({place}, 0, {inverses - 1})')}, "
        f"{unit.function('int64_t v', f'{finish.call}(v)')});"
    )


def _emit_argmax(layer: Softmax, source: Signal, fmt: Format, unit: Unit) -> None:  # noqa: ARG001 - one signature
    zero, one = cast([0, 1], 0, layer.output.format).tolist()
    places = f"{unit.place(layer.sources[0])}, {unit.place(layer.output.name)}"
    unit.say(f"argmax<{_shape(layer)}>({places}, {zero}, {one});")


def _shape(layer: Softmax) -> str:
    return f"{layer.outer}, {layer.slices}, {layer.inner}"


def _ends(fmt: Format) -> tuple[int, int]:
    signal = Signal.of(fmt)
    return signal.low, signal.high
