"""How fast models are re-emulated, beside everything else that can rerun them: one thread, the same run, ratios.

Run: make bench-emulator

The baseline is `predict` of hls4ml, which is how its users emulate a model: a loop over events in Python around one C
call. Every engine of ours is compared with it bit for bit before it is timed; the native engine is built for several
processors, as far as this one can play them. The peers compute a network of the same shape: da4ml's interpreter of
exact integer logic, HGQ2 through Keras and JAX, onnxruntime in floating point. Rates are by the clock on the wall.
"""

from __future__ import annotations

import contextlib
import io
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from emulator.card import raw_bounds
from emulator.directed import random_inputs
from emulator.engines.csim import CsimEngine, needed_sources
from emulator.engines.csim_sources import write_sources
from emulator.engines.gemm import GemmEngine
from emulator.engines.native.engine import NativeEngine
from emulator.formats import Raw
from emulator.graph import Program
from emulator.graph_source import read_graph
from emulator.importers.hls4ml import import_graph
from tests import networks
from tests.bench import peers
from tests.bench.table import best, millions, print_machine, print_row, print_titles

NETWORKS = {
    "57-32-16-8 and Dot, 18 bits": networks.encoder,
    "57-32-16-8 and Dot, 16 bits": networks.encoder_of_16_bits,
    "57-32-16-8 and Dot, 8 bits": networks.encoder_of_8_bits,
    "16-64-32-32-5, wide accumulators": networks.wide_tagger,
    "16-64-32-32-5, default formats": networks.tagger,
    "16x16, two Conv2D": networks.images,
}
PROCESSORS = {"SSE2": "x86-64", "AVX2": "x86-64-v3", "AVX-512": "x86-64-v4", "this processor": "native"}
NEEDED = {"x86-64-v3": {"avx2", "fma", "bmi2"}, "x86-64-v4": {"avx512bw", "avx512dq", "avx512vl"}}
EVENTS, FEW = 16_384, 4_096
BATCHES = (250, 1_000, 2_000, 6_000)


def main() -> None:
    print_machine("Re-emulation: events a second by one thread, and times hls4ml's predict")
    for title, write in NETWORKS.items():
        with tempfile.TemporaryDirectory() as folder:
            file, settings = write(Path(folder))
            graph = read_graph(file, hls_config=settings)
            print()
            print_titles(title, "events/s", "x predict", width=14)
            measure(graph, import_graph(graph), file)
            if write is networks.encoder:
                by_batch(import_graph(graph))


def by_batch(program: Program) -> None:
    """Print what a batch costs before its first event."""
    low, high = raw_bounds(program.inputs)
    raw = random_inputs(low, high, events=max(BATCHES), rng=np.random.default_rng(1)).astype(np.int32)
    gemm, native = GemmEngine(program), NativeEngine(program)
    print()
    print_titles("the same, events in a batch", "gemm M/s", "native M/s", "ratio")
    for size in BATCHES:
        some = raw[:size]
        slow, fast = (best(lambda some=some, e=e: e.score(some), repeat=50).wall for e in (gemm, native))
        print_row(f"{size:,}", millions(size, slow), millions(size, fast), slow / fast)


def measure(graph: Any, program: Program, file: Path) -> None:
    low, high = raw_bounds(program.inputs)
    raw = random_inputs(low, high, events=EVENTS, rng=np.random.default_rng(1))
    raw = raw.astype(np.int16 if low.min() >= -(2**15) and high.max() < 2**15 else np.int32)
    baseline, expected = predicted(graph, program, raw[:FEW], file.parent / "project")
    print_row("hls4ml predict (csim)", f"{baseline:,.0f}", 1.0, width=14)
    for name, score, events in engines(graph, program):
        some = np.ascontiguousarray(raw[:events])
        assert (score(some[:FEW]) == expected[: min(events, FEW)]).all(), name
        told(name, events / best(lambda some=some, score=score: score(some), rounds=7).wall, baseline)
    for name, run in peers.of(file, program, raw):
        told(name, peers.EVENTS / best(run, rounds=3).wall, baseline)


def predicted(graph: Any, program: Program, raw: Raw, folder: Path) -> tuple[float, Raw]:
    """Return events a second of hls4ml's own predict, and its raw scores."""
    graph.config.config["OutputDir"] = str(folder)  # its predict reads weights from there
    with contextlib.redirect_stdout(io.StringIO()):
        graph.compile()
    (source,) = program.inputs
    physical = np.ascontiguousarray((raw * source.format.lsb).reshape(-1, *source.shape))
    took = best(lambda: graph.predict(physical), rounds=3).wall
    fractions = [tensor.format.fraction for tensor in program.output_tensors for _ in range(tensor.size)]
    scores = np.asarray(graph.predict(physical)).reshape(len(raw), -1)
    return len(raw) / took, (scores * 2.0 ** np.array(fractions)).astype(np.int64)


def engines(graph: Any, program: Program) -> Iterator[tuple[str, Callable[[Raw], Raw], int]]:
    """Yield our engines: name, score, and how many events to time."""
    sources = needed_sources(write_sources(graph))
    for name, quick in (("csim in our worker process", False), ("csim, quick build", True)):
        with contextlib.closing(CsimEngine(sources, quick=quick)) as csim:
            yield name, csim.score, FEW
    yield "gemm (numpy)", GemmEngine(program).score, EVENTS
    for name, march in PROCESSORS.items():
        if NEEDED.get(march, set()) <= flags():
            yield f"native, {name}", NativeEngine(program, march=march).score, EVENTS


def flags() -> set[str]:
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.exists() else []
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def told(name: str, rate: float, baseline: float) -> None:
    print_row(name, f"{rate:,.0f}", rate / baseline, width=14)


if __name__ == "__main__":
    os.environ.setdefault("KERAS_BACKEND", "jax")
    main()
