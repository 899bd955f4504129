"""From an integer program to one C++ translation unit that runs it over many events."""

from __future__ import annotations

from pathlib import Path

from emulator.engines.gemm import planned
from emulator.engines.gemm_signal import Signal
from emulator.engines.native.dense import emit_dense
from emulator.engines.native.elements import (
    emit_cast,
    emit_concatenate,
    emit_curve,
    emit_dot,
    emit_hard,
    emit_merge,
    emit_pool,
    emit_quantiser,
    emit_rectifier,
    emit_scale,
    emit_select,
    emit_sign,
    emit_table,
)
from emulator.engines.native.softmax import emit_softmax
from emulator.engines.native.trees import emit_trees
from emulator.engines.native.unit import Target, Unit
from emulator.formats import Format
from emulator.graph import (
    Cast,
    Concatenate,
    Curve,
    Dense,
    Dot,
    Hard,
    Layer,
    Merge,
    Pool,
    Program,
    Quantiser,
    Rectifier,
    Scale,
    Select,
    Sign,
    Softmax,
    Table,
    Trees,
)

HEADERS = ("lanes.h", "sums.h", "elements.h", "trees.h")
RAW_TYPES = ("int16_t", "uint16_t", "int32_t", "int64_t")
"""Of the raw inputs that the compiled program reads as they are."""

_CACHE = 192 * 1024
_EVENTS = (64, 32)


def write_sources(program: Program, target: Target) -> dict[str, bytes]:
    """Return the C++ of a program: path -> content, with `network.cpp` as its only translation unit.

    It exports, for each T of `RAW_TYPES`, `int64_t trigwatch_score_T(const T *raw, int64_t events, int64_t *scores)`
    and `trigwatch_trace_T` alike. They return -1, or the first event of a block with a value that its format does not
    hold.

    Raises
    ------
    NotExact
        An intermediate value needs more than 63 bits.
    """
    unit = Unit(target)
    for tensor in program.inputs:
        unit.tensor(tensor.name, Signal.of(tensor.format), tensor.size)
    tensors = program.tensors()
    for layer in program.layers:
        sources = [(tensors[name], unit.signals[name]) for name in layer.sources]
        _, signal = planned(layer, sources)
        unit.tensor(layer.output.name, signal, layer.output.size)
        emit(layer, unit, tensors[layer.sources[0]].format)
    here = Path(__file__).parent
    headers = {header: (here / header).read_bytes() for header in HEADERS}
    return headers | {"network.cpp": _unit(program, unit).encode()}


def emit(layer: Layer, unit: Unit, fmt: Format) -> None:  # noqa: C901, PLR0912 - one line a kind
    """Write a layer; `fmt` is the format of its first source."""
    source, other = unit.signals[layer.sources[0]], unit.signals[layer.sources[-1]]
    match layer:
        case Cast():
            emit_cast(layer, source, unit)
        case Concatenate():
            emit_concatenate(layer, unit)
        case Curve():
            emit_curve(layer, source, unit)
        case Dense():
            emit_dense(layer, source, unit)
        case Dot():
            emit_dot(layer, source, other, unit)
        case Hard():
            emit_hard(layer, source, unit)
        case Merge():
            emit_merge(layer, source, other, unit)
        case Pool():
            emit_pool(layer, source, fmt, unit)
        case Quantiser():
            emit_quantiser(layer, source, unit)
        case Rectifier():
            emit_rectifier(layer, source, unit)
        case Scale():
            emit_scale(layer, source, unit)
        case Select():
            emit_select(layer, source, unit)
        case Sign():
            emit_sign(layer, fmt, unit)
        case Softmax():
            emit_softmax(layer, source, fmt, unit)
        case Table():
            emit_table(layer, source, unit)
        case Trees():
            emit_trees(layer, source, unit)


def _unit(program: Program, unit: Unit) -> str:
    per_event = unit.bytes_per_event + unit.room
    events = next((n for n in _EVENTS if n * per_event <= _CACHE), _EVENTS[-1])
    outputs = [(name, unit.tensors[name][2]) for name in program.outputs]
    traced = [(layer.output.name, layer.output.size) for layer in program.layers]
    return "\n".join(
        [
            f"#define TRIGWATCH_EVENTS {events}",
            f"#define TRIGWATCH_TOGETHER {unit.target.together}",
            *(f'#include "{header}"' for header in HEADERS),
            '#define EXPORTED __attribute__((visibility("default")))',
            "using namespace lanes;",
            "namespace {",
            *unit.constants,
            "struct Network {",
            f"    static constexpr int INPUTS = {program.n_inputs}, OUTPUTS = {program.n_outputs};",
            f"    static constexpr int TRACED = {sum(size for _, size in traced)};",
            "    struct Tensors {",
            *(f"        {member}" for member in unit.members),
            f"        alignas(64) unsigned char workspace[{max(1, unit.room)} * EVENTS];",
            "    };",
            *_load(program, unit),
            "    __attribute__((noinline)) static void compute(Tensors &t) {",
            *(f"        {statement}" for statement in unit.statements),
            "    }",
            *_store("store", "OUTPUTS", outputs, unit),
            *_store("trace", "TRACED", traced, unit),
            "};",
            "} // namespace",
            'extern "C" {',
            *(_export(name, kind) for name in ("score", "trace") for kind in RAW_TYPES),
            "}",
            "",
        ]
    )


def _load(program: Program, unit: Unit) -> list[str]:
    lines = ["    template <class S> static bool load(const S *raw, Tensors &t) {", "        bool fit = true;"]
    column = 0
    for tensor in program.inputs:
        low, high = tensor.format.low, tensor.format.high
        call = f"lanes::load<{tensor.size}, INPUTS, {low}LL, {high}LL>"
        lines.append(f"        fit &= {call}(raw + {column}, {unit.place(tensor.name)});")
        column += tensor.size
    return [*lines, "        return fit;", "    }"]


def _store(name: str, width: str, tensors: list[tuple[str, int]], unit: Unit) -> list[str]:
    # Not inlined: there are as many callers as there are types of raw inputs.
    lines = [f"    __attribute__((noinline)) static void {name}(const Tensors &t, int64_t *out, int64_t events) {{"]
    column = 0
    for tensor, size in tensors:
        lines.append(f"        lanes::store({unit.place(tensor)}, {size}, {width}, out + {column}, events);")
        column += size
    return [*lines, "    }"]


def _export(name: str, kind: str) -> str:
    trace = "true" if name == "trace" else "false"
    return (
        f"EXPORTED int64_t trigwatch_{name}_{kind}(const {kind} *raw, int64_t events, int64_t *out) "
        f"{{ return run<Network, {trace}>(raw, events, out); }}"
    )
