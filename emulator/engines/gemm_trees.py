"""Plan for ensembles of decision trees: level by level, all trees and events at once."""

from __future__ import annotations

import numpy as np

from emulator.engines.gemm_activations import tree_of_sums
from emulator.engines.gemm_signal import Signal, Step, as_int64
from emulator.formats import Integers, limited
from emulator.graph import Trees


def plan_trees(layer: Trees, source: Signal, elements: int) -> tuple[Step, Signal]:
    """Plan the walk from the root to a leaf, and the sums; raises ValueError where arrays do not fit together."""
    layer.check(elements)
    target, limits, nodes = layer.output.format, layer.limits(source.fraction), layer.feature.shape[1]
    trees = np.arange(len(layer.value))

    def walked(values: Integers) -> Integers:
        x = as_int64(values)
        events, place = np.arange(len(x))[:, None], np.zeros((len(x), len(trees)), np.int64)
        for _ in range(layer.depth):
            place = 2 * place + 1 + (x[events, layer.feature[trees, place]] > limits[trees, place])
        leaves = layer.value[trees, place - nodes]
        columns = [
            limited(layer.start[j] + tree_of_sums(leaves[:, layer.owner == j], target), target)
            for j in range(layer.output.size)
        ]
        return np.stack(columns, axis=1)

    return walked, Signal.of(target)
