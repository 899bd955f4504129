"""Inputs that reach every node of a decision tree and meet its threshold: a wrong comparison shows at the tie only."""

from __future__ import annotations

import numpy as np

from emulator.formats import Raw
from emulator.graph import Program, Trees


def at_thresholds(program: Program, low: Raw, high: Raw, rng: np.random.Generator) -> Raw:
    """Return int64 (n, inputs): for every node two rows that lead there, one at its limit and one just above.

    Only trees on the model's own inputs are met; what leads to a node is as near to its ancestors' limits as it can be.
    """
    starts = np.cumsum([0, *(tensor.size for tensor in program.inputs)])
    first = {tensor.name: int(start) for tensor, start in zip(program.inputs, starts, strict=False)}
    fractions = {tensor.name: tensor.format.fraction for tensor in program.inputs}
    rows = [np.zeros((0, len(low)), np.int64)]
    for layer in program.layers:
        if isinstance(layer, Trees) and layer.sources[0] in first:
            source = layer.sources[0]
            rows.append(_met(layer, fractions[source], first[source], rng.integers(low, high, endpoint=True)))
    return np.clip(np.vstack(rows), low, high)


def _met(layer: Trees, fraction: int, first: int, row: Raw) -> Raw:
    limits, columns = layer.limits(fraction), layer.feature + first
    trees, nodes = columns.shape
    # What led to a node: a copy of what led to its parent, with the parent's element on the right side of its limit.
    led = np.empty((trees, nodes, len(row)), np.int64)
    led[:, 0] = row
    every = np.arange(trees)
    for node in range(1, nodes):
        parent, right = (node - 1) // 2, node % 2 == 0
        led[:, node] = led[:, parent]
        led[every, node, columns[:, parent]] = limits[:, parent] + right
    met = np.repeat(led[:, :, None], 2, axis=2)
    grid = np.ix_(every, np.arange(nodes))
    for above in (0, 1):
        met[(*grid, above, columns)] = limits + above
    return met.reshape(-1, len(row))
