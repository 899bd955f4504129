"""Ensembles of decision trees as C++: every comparison of a tree at once, then the leaves chosen from the bottom up."""

from __future__ import annotations

import numpy as np

from emulator.engines.compiler import NotCompiled
from emulator.engines.gemm_signal import Signal
from emulator.engines.native.unit import Unit, limit
from emulator.formats import Overflow, Raw
from emulator.graph import Trees

_DEEPEST = 10
_RANGE = {"int16_t": 1 << 15, "int32_t": 1 << 31}


def emit_trees(layer: Trees, source: Signal, unit: Unit) -> None:
    """Write the trees of every output."""
    if layer.depth > _DEEPEST:
        raise NotCompiled(
            f"{layer.name}: trees of depth {layer.depth} are too deep to be compared whole, at most {_DEEPEST}"
        )
    limits = layer.limits(source.fraction)
    name = layer.sources[0]
    kind = _kind(layer, source, limits)
    rows, size = unit.place(name), unit.tensors[name][2]
    if unit.tensors[name][1] != kind:
        rows = unit.workspace(kind, size + 1)
        unit.say(f"convert<{size}, 0>({unit.place(name)}, {rows});")
    half = _RANGE.get(kind, 1 << 62)
    kept = np.clip(limits, -half, half - 1)
    target = layer.output.format
    join = unit.function("auto sum", f"{limit(target)}(sum)")
    free = "true" if target.overflow is Overflow.WRAP or _never_overflows(layer) else "false"
    for output in range(layer.output.size):
        ours = layer.owner == output
        arrays = (
            unit.array("uint32_t", layer.feature[ours]),
            unit.array(kind, kept[ours]),
            unit.array(kind, layer.value[ours]),
        )
        call = f"trees<{kind}, {layer.depth}, {int(ours.sum())}, {free}>"
        unit.say(
            f"{call}({rows}, {', '.join(arrays)}, {int(layer.start[output])}LL, "
            f"{unit.place(layer.output.name)} + {output}, {join});"
        )


def _kind(layer: Trees, source: Signal, limits: Raw) -> str:
    """Return the narrowest type for elements, limits, leaves and sums.

    A limit below the type's range must still send everything right: there must be a smaller number than any element.
    """
    leaves = int(np.abs(layer.value).max()) + int(np.abs(layer.start).max())
    total = 2 * max(leaves, Signal.of(layer.output.format).reach)
    for kind, half in _RANGE.items():
        lowest_is_free = source.low > -half or int(limits.min()) >= -half
        if source.reach < half and total < half and lowest_is_free:
            return kind
    return "int64_t"


def _never_overflows(layer: Trees) -> bool:
    """Whether no partial sum, in any order, leaves the output's format."""
    fmt = layer.output.format
    for output in range(layer.output.size):
        leaves, start = layer.value[layer.owner == output], int(layer.start[output])
        low = int(np.minimum(leaves, 0).min(axis=1).sum()) + min(start, 0)
        high = int(np.maximum(leaves, 0).max(axis=1).sum()) + max(start, 0)
        if low < fmt.low or high > fmt.high:
            return False
    return True
