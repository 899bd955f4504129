"""The numpy engine: an integer program run in blocks of events, exact by proof and not by luck.

Every layer is planned once: the range of its input gives the narrowest integer or float in which nothing can be lost.
A layer for which int64 is too narrow raises `NotExact` when the engine is made. BLAS may use threads of its own:
the process that runs this pins them to one (OPENBLAS_NUM_THREADS=1 before numpy is imported).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.engines.bounds import Bounds
from emulator.engines.gemm_activations import (
    plan_curve,
    plan_hard,
    plan_quantiser,
    plan_rectifier,
    plan_sign,
    plan_softmax,
    plan_table,
)
from emulator.engines.gemm_merges import plan_concatenate, plan_merge
from emulator.engines.gemm_signal import Signal, carrier, planned_cast
from emulator.engines.gemm_sums import plan_dense, plan_dot, plan_pool, plan_scale, plan_select
from emulator.engines.gemm_trees import plan_trees
from emulator.formats import Integers, Raw
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
    Tensor,
    Trees,
)

BLOCK = 2048
"""Events run through all layers at once: the arrays between two layers stay in the cache."""

_ELEMENTS = 1 << 19

Run = Callable[..., Integers]


class GemmEngine:
    """Runs a program on raw integers.

    Parameters
    ----------
    program
        What to run.

    Raises
    ------
    NotExact
        An intermediate value needs more than 63 bits.
    """

    name = "gemm"

    def __init__(self, program: Program) -> None:
        self._program = program
        tensors = program.tensors()
        signals = {tensor.name: Signal.of(tensor.format) for tensor in program.inputs}
        self._runs: list[tuple[Layer, Run]] = []
        for layer in program.layers:
            sources = [(tensors[name], signals[name]) for name in layer.sources]
            run, signals[layer.output.name] = planned(layer, sources)
            self._runs.append((layer, run))
        self._block = max(1, min(BLOCK, _ELEMENTS // max((_elements(layer) for layer in program.layers), default=1)))
        self._carrier = carrier(*(signals[tensor.name].reach for tensor in program.inputs))
        self._bounds = Bounds.of(program.inputs)
        # What every input can hold: one look at the whole block is eight times cheaper than one at every input.
        self._everywhere = int(self._bounds.low.max()), int(self._bounds.high.min())

    def score(self, raw: NDArray[np.integer[Any]]) -> Raw:
        """Return the raw outputs, int64 (n, outputs), of raw inputs, any integers (n, inputs).

        Raises
        ------
        ValueError
            Wrong shape, or an input that its format cannot hold (first offender named).
        """
        self._bounds.check_shape(raw)
        result = np.empty((len(raw), self._program.n_outputs), dtype=np.int64)
        for rows, tensors in self._blocks(raw):
            column = 0
            for name in self._program.outputs:
                values = tensors[name]
                result[rows, column : column + values.shape[1]] = values
                column += values.shape[1]
        return result

    def trace(self, raw: NDArray[np.integer[Any]]) -> list[tuple[str, Raw]]:
        """Return every layer's raw output (n, …shape), in the order in which they run; raises as `score`."""
        self._bounds.check_shape(raw)
        layers = self._program.layers
        results = [np.empty((len(raw), layer.output.size), dtype=np.int64) for layer in layers]
        for rows, tensors in self._blocks(raw):
            for layer, result in zip(layers, results, strict=True):
                result[rows] = tensors[layer.output.name]
        return [
            (layer.name, result.reshape(-1, *layer.output.shape)) for layer, result in zip(layers, results, strict=True)
        ]

    def close(self) -> None:
        """Nothing is held; here so that all engines close alike."""

    def _blocks(self, raw: Integers) -> Iterator[tuple[slice, dict[str, Integers]]]:
        for start in range(0, len(raw), self._block):
            rows = slice(start, start + self._block)
            tensors = self._inputs(self._checked(raw[rows], start))
            for layer, run in self._runs:
                tensors[layer.output.name] = run(*(tensors[name] for name in layer.sources))
            yield rows, tensors

    def _inputs(self, raw: Integers) -> dict[str, Integers]:
        tensors: dict[str, Integers] = {}
        column = 0
        for tensor in self._program.inputs:
            tensors[tensor.name] = raw[:, column : column + tensor.size]
            column += tensor.size
        return tensors

    def _checked(self, block: Integers, start: int) -> Integers:
        """Return the block as its carrier; `start` is the number of its first event."""
        if not (self._everywhere[0] <= block.min() and block.max() <= self._everywhere[1]):
            self._bounds.check(block, first=start)
        return block.astype(self._carrier, copy=False)


def planned(layer: Layer, sources: list[tuple[Tensor, Signal]]) -> tuple[Run, Signal]:  # noqa: C901, PLR0911, PLR0912 - one line a kind
    """Return how to run a layer on (n, elements) arrays, and what is known of its output."""
    tensor, signal = sources[0]
    other = sources[-1][1]
    match layer:
        case Cast():
            return planned_cast(signal, layer.output.format, layer.name)
        case Concatenate():
            return plan_concatenate(layer, [each for _, each in sources])
        case Curve():
            return plan_curve(layer, signal)
        case Dense():
            return plan_dense(layer, signal)
        case Dot():
            return plan_dot(layer, signal, other, same=layer.sources[0] == layer.sources[-1])
        case Hard():
            return plan_hard(layer, signal)
        case Merge():
            return plan_merge(layer, signal, other)
        case Pool():
            return plan_pool(layer, signal, tensor)
        case Quantiser():
            return plan_quantiser(layer, signal)
        case Rectifier():
            return plan_rectifier(layer, signal)
        case Scale():
            return plan_scale(layer, signal)
        case Select():
            return plan_select(layer, signal)
        case Sign():
            return plan_sign(layer, signal, tensor)
        case Softmax():
            return plan_softmax(layer, signal, tensor)
        case Table():
            return plan_table(layer, signal)
        case Trees():
            return plan_trees(layer, signal, tensor.size)


def _elements(layer: Layer) -> int:
    gathers = [getattr(layer, name, None) for name in ("gather", "left")]
    return max(layer.output.size, *(0 if gather is None else int(gather.size) for gather in gathers))
