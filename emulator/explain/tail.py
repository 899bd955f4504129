"""The layers behind one layer, run on their own."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from emulator.engines.gemm import GemmEngine
from emulator.formats import Raw
from emulator.graph import Program


class Tail:
    """Everything that a program does after one of its layers.

    Parameters
    ----------
    after
        Number of the layer; the tail reads its output and whatever earlier tensors are still needed.

    Raises
    ------
    NotExact
        A later layer needs more than 63 bits.
    """

    def __init__(self, program: Program, after: int) -> None:
        tensors, layers = program.tensors(), program.layers[after + 1 :]
        written = {layer.output.name for layer in layers}
        read = {name for layer in layers for name in layer.sources} | set(program.outputs)
        self._changed = program.layers[after].output.name
        self._inputs = [tensors[name] for name in sorted(read - written)]
        self._outputs = program.outputs
        self._engine = GemmEngine(Program(tuple(self._inputs), layers, program.outputs)) if layers else None

    def score(self, tensors: Mapping[str, Raw], events: Raw, changed: Raw) -> Raw:
        """Return raw scores, int64 (r, outputs), where the layer had written something else.

        Parameters
        ----------
        tensors
            Every tensor as the program makes it, (n, elements).
        events
            (r,): which event each row is.
        changed
            (r, elements): what the layer writes instead.
        """

        def rows(name: str) -> Raw:
            return changed if name == self._changed else tensors[name][events]

        if self._engine is None:
            return np.concatenate([rows(name) for name in self._outputs], axis=1)
        return self._engine.score(np.concatenate([rows(each.name) for each in self._inputs], axis=1))
