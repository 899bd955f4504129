"""hls4ml's own compiled C++ as an engine: the reference that the other engines are certified against.

It needs a C++ compiler once (the library is cached by digest, compiler and flags) and runs in a process of its own.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emulator.engines.bounds import Bounds
from emulator.engines.compiler import FLAGS, Compiler, installed, library_of, unpack_sources
from emulator.formats import Format
from emulator.graph.tensor import Tensor
from emulator.worker import Worker

INCLUDES = ("-Ifirmware", "-Ifirmware/ap_types")

_UNUSED_BITS = re.compile(rb"(INLINE void clearUnusedBits\(void\)) volatile\b(.*?\n  \}\n)", re.DOTALL)
"""The function of ap_types, twice in its header, that every assignment calls; it ends with a brace of its own depth."""


class CsimEngine:
    """A compiled hls4ml project in a worker process.

    Parameters
    ----------
    sources
        What `emulator.engines.csim_sources.write_sources` returned: path -> content.
    quick
        True: compile what `quickened` makes of the sources, which takes a third to a tenth of the time for an event.
        False: the sources as they are, which is what a proof compares with.
    cache
        Where compiled libraries are kept; by default `trigwatch/csim` in the user's cache directory.
    deadline
        Seconds that 4,096 events may take before the worker is ended.

    Attributes
    ----------
    inputs, outputs, layers
        The tensors in order; `layers` is what `trace` returns.
    """

    name = "csim"

    def __init__(
        self,
        sources: Mapping[str, bytes],
        *,
        quick: bool = False,
        cache: Path | None = None,
        deadline: float = 60.0,
    ) -> None:
        library = compiled(quickened(sources) if quick else sources, cache=cache)
        self._worker = Worker(library, deadline=deadline)
        tensors = [_tensor(line) for line in self._worker.description.splitlines()]
        self.inputs = tuple(tensor for role, tensor in tensors if role == "input")
        self.outputs = tuple(tensor for role, tensor in tensors if role == "output")
        self.layers = tuple(tensor for role, tensor in tensors if role == "layer")
        # Set as they are, bits beyond the format would be lost in silence.
        self._bounds = Bounds.of(self.inputs)

    @property
    def restarts(self) -> int:
        """How often a dead worker was replaced."""
        return self._worker.restarts

    def score(self, raw: NDArray[np.integer]) -> NDArray[np.int64]:
        """Return raw scores int64 (n, outputs) of raw inputs (n, inputs); raises WorkerDied or WorkerHung."""
        return self._worker.run(self._checked(raw), width=sum(tensor.size for tensor in self.outputs))

    def trace(self, raw: NDArray[np.integer]) -> list[tuple[str, NDArray[np.int64]]]:
        """Return every fixed-point layer's raw output (n, …), in the order of computation."""
        flat = self._worker.run(self._checked(raw), width=sum(tensor.size for tensor in self.layers), operation="trace")
        traced, column = [], 0
        for tensor in self.layers:
            values = flat[:, column : column + tensor.size].reshape(len(flat), *tensor.shape)
            traced.append((tensor.name, values))
            column += tensor.size
        return traced

    def close(self) -> None:
        """End the worker process; idempotent."""
        self._worker.close()

    def _checked(self, raw: NDArray[np.integer]) -> NDArray[np.int64]:
        self._bounds.check_shape(raw)
        self._bounds.check(raw)
        return np.ascontiguousarray(raw, np.int64)


def compiled(sources: Mapping[str, bytes], *, cache: Path | None = None) -> Path:
    """Return the shared library of `sources`, compiling it where the cache has none. Raises `NotCompiled`."""
    return library_of(sources, unit="bridge.cpp", kind="csim", tool=csim_compiler(), cache=cache)


def quickened(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the sources with ap_types' `clearUnusedBits` a second time, for objects that are not volatile.

    ap_types has this function for volatile objects only, and every assignment calls it: each intermediate value is
    written to memory and read back, which is most of what csim does. That is slower, and the value is the same. Headers
    that look otherwise stay as they are.
    """
    return {
        path: _UNUSED_BITS.sub(rb"\1\2\n  \1 volatile\2", content) if path.endswith("ap_private.h") else content
        for path, content in sources.items()
    }


def needed_sources(sources: Mapping[str, bytes]) -> dict[str, bytes]:
    """Return the files that the compiler really reads: hls4ml writes many headers that a model does not use."""
    with tempfile.TemporaryDirectory(prefix="trigwatch-csim-") as build:
        unpack_sources(sources, Path(build))
        said = csim_compiler().run("-MM", "bridge.cpp", directory=Path(build))
    names = said.replace("\\\n", " ").split(":", 1)[1].split()
    wanted = {os.path.normpath(name) for name in names}
    return {path: content for path, content in sources.items() if path in wanted}


def csim_compiler() -> Compiler:
    """Return the compiler that builds hls4ml's C++. Raises `NotCompiled` where there is none."""
    return installed((*FLAGS, *INCLUDES))


def _tensor(line: str) -> tuple[str, Tensor]:
    role, name, shape, spelling = line.split()
    return role, Tensor(name, tuple(int(size) for size in shape.split("x")), Format.parse(spelling))
