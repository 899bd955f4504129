"""How long it takes to name the flipped bit of a weight: every bit of every weight and bias of an encoder is tried.

Run: OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tests.bench.bench_explain
"""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np

from emulator.card import raw_bounds
from emulator.directed import random_inputs
from emulator.engines.gemm import GemmEngine
from emulator.explain.bits import search
from emulator.graph import Dense, Program
from emulator.graph_source import read_graph
from emulator.importers.hls4ml import import_graph
from tests import networks
from tests.bench.table import print_machine, print_row, print_titles, taken

EVENTS = 32
FLIPS = {"d0": ((11, 7), 3), "d1": ((20, 3), 6), "d2": ((5, 4), 1)}


def main() -> None:
    print_machine(f"The flipped weight bit of a network, found among all from {EVENTS} events")
    print_titles("network, layer of the flip", "bits", "s", "bits/s", "answers")
    for write in (networks.encoder, networks.default_encoder):
        with tempfile.TemporaryDirectory() as folder:
            file, settings = write(Path(folder))
            program = import_graph(read_graph(file, hls_config=settings))
        for layer, (index, bit) in FLIPS.items():
            measure(f"{write.__name__}, {layer}", program, layer, index, bit)


def measure(title: str, program: Program, name: str, index: tuple[int, int], bit: int) -> None:
    broken = Program(
        program.inputs,
        tuple(flipped(layer, index, bit) if layer.name == name else layer for layer in program.layers),
        program.outputs,
    )
    raw = random_inputs(*raw_bounds(program.inputs), events=4000, rng=np.random.default_rng(2))
    right, wrong = GemmEngine(program).score(raw), GemmEngine(broken).score(raw)
    ours = np.flatnonzero((right != wrong).any(axis=1))[:EVENTS]
    answers = []
    took = taken(lambda: answers.extend(search(program, raw[ours], wrong[ours])))
    assert (name, index, bit) in [(flip.layer, flip.index, flip.bit) for flip in answers]
    sums = [layer for layer in program.layers if isinstance(layer, Dense)]
    bits = sum(
        layer.weights.size * layer.weight_format.width + layer.bias.size * layer.bias_format.width for layer in sums
    )
    print_row(title, f"{bits:,}", took.processor, bits / took.processor, len(answers))


def flipped(layer: Dense, index: tuple[int, int], bit: int) -> Dense:
    weights = layer.weights.copy()
    weights[index] = int(weights[index]) ^ (1 << bit)
    return dataclasses.replace(layer, weights=weights)


if __name__ == "__main__":
    main()
