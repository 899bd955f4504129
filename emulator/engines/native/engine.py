"""The native engine: a program as compiled C++, in this process, over events in SIMD lanes and in threads."""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.engines.bounds import Bounds
from emulator.engines.compiler import Compiler, installed, library_of
from emulator.engines.gemm import GemmEngine
from emulator.engines.native.source import RAW_TYPES, write_sources
from emulator.engines.native.unit import Target
from emulator.formats import Integers, Raw
from emulator.graph import Program

# Integers wrap as ap_fixed's do, and a row of raw numbers is read as whatever type it has.
FLAGS = ("-O3", "-fwrapv", "-fno-strict-aliasing", "-fPIC", "-shared", "-fvisibility=hidden")
STANDARDS = ("-std=c++17",)
_WIDE = ("-mprefer-vector-width=512",)
_PER_THREAD = 4096
_READ_AS_THEY_ARE = frozenset(name.removesuffix("_t") for name in RAW_TYPES)


class NativeEngine:
    """Runs a program as machine code; scores are those of the gemm engine, bit for bit.

    Parameters
    ----------
    program
        What to run.
    threads
        How many threads share the events of one call.
    march
        The processor to compile for, as g++ spells it; "native" is this one.
    cache
        Where compiled libraries are kept; by default `trigwatch/native` in the user's cache directory.

    Raises
    ------
    NotExact
        An intermediate value needs more than 63 bits.
    NotCompiled
        There is no C++ compiler, or it refuses the code.
    """

    name = "native"

    def __init__(self, program: Program, *, threads: int = 1, march: str = "native", cache: Path | None = None) -> None:
        if threads < 1:
            raise ValueError(f"{threads} threads cannot run a model: give 1 or more")
        # numpy notices arrays that do not fit together; compiled code would read beyond them without a word.
        GemmEngine(program).trace(np.zeros((1, program.n_inputs), np.int64))
        self._layers = program.layers
        self._bounds = Bounds.of(program.inputs)
        self._outputs = program.n_outputs
        self._library = ctypes.CDLL(str(_built(program, march, cache)))
        self._threads = threads
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="emulator") if threads > 1 else None

    def score(self, raw: Integers) -> Raw:
        """Return the raw outputs, int64 (n, outputs), of raw inputs, any integers (n, inputs).

        Raises
        ------
        ValueError
            Wrong shape, or an input that its format cannot hold (first offender named).
        """
        return self._run("score", raw, self._outputs)

    def trace(self, raw: Integers) -> list[tuple[str, Raw]]:
        """Return every layer's raw output (n, …shape), in the order in which they run; raises as `score`."""
        sizes = [layer.output.size for layer in self._layers]
        flat = self._run("trace", raw, sum(sizes))
        parts = np.split(flat, np.cumsum(sizes)[:-1], axis=1)
        return [
            (layer.name, part.reshape(-1, *layer.output.shape)) for layer, part in zip(self._layers, parts, strict=True)
        ]

    def close(self) -> None:
        """End the threads; idempotent."""
        if self._pool is not None:
            self._pool.shutdown()

    def _run(self, what: str, raw: Integers, width: int) -> Raw:
        self._bounds.check_shape(raw)
        if raw.dtype.name not in _READ_AS_THEY_ARE:
            self._bounds.check(raw)  # before a wide unsigned number wraps
            raw = raw.astype(np.int64)
        raw = np.ascontiguousarray(raw, raw.dtype.newbyteorder("="))
        result = np.empty((len(raw), width), np.int64)
        function = getattr(self._library, f"trigwatch_{what}_{raw.dtype.name}_t")
        function.restype = ctypes.c_int64
        parts = self._shares(len(raw))

        def part(rows: slice) -> int:
            first = function(_address(raw[rows]), ctypes.c_int64(rows.stop - rows.start), _address(result[rows]))
            return -1 if first < 0 else rows.start + int(first)

        # ctypes lets go of the interpreter while C++ runs: threads really run side by side.
        misfits = [part(parts[0])] if self._pool is None or len(parts) == 1 else list(self._pool.map(part, parts))
        for first in misfits:
            if first >= 0:
                self._bounds.check(raw[first:], first=first)
        return result

    def _shares(self, events: int) -> list[slice]:
        """Return slices of events, one a thread, none of them small."""
        count = max(1, min(self._threads, events // _PER_THREAD))
        ends = np.linspace(0, events, count + 1).astype(int).tolist()
        return [slice(start, stop) for start, stop in itertools.pairwise(ends)]


def target_of(macros: Mapping[str, str]) -> Target:
    """Return the processor that a compiler's macros describe."""
    wide = {"__AVX512BW__", "__AVX512DQ__"} <= macros.keys()
    bytewise = ("__AVX512VNNI__" if wide else "__AVXVNNI__") in macros
    return Target(register=64 if wide else 32 if "__AVX2__" in macros else 16, bytewise=bytewise)


def _compiler(march: str) -> tuple[Compiler, Mapping[str, str]]:
    """Return the compiler for a processor, and what it says of it. Raises `NotCompiled` where there is none."""
    flags = (*FLAGS, f"-march={march}")
    tool = installed(flags, standards=STANDARDS)
    macros = tool.defined()
    if target_of(macros).register == 64:
        return installed(flags + _WIDE, standards=STANDARDS), macros
    return tool, macros


def _built(program: Program, march: str, cache: Path | None) -> Path:
    tool, macros = _compiler(march)
    sources = write_sources(program, target_of(macros))
    return library_of(sources, unit="network.cpp", kind="native", tool=tool, machine=macros, cache=cache)


def _address(array: NDArray[Any]) -> ctypes.c_void_p:
    return ctypes.c_void_p(array.ctypes.data)
