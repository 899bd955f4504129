"""How fast a model is re-emulated by the exact integer program, beside the C++ that it replaces.

Run: OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/bench/bench_emulate.py

csim is hls4ml's own C++, compiled once and run in a process of its own, event by event: its time is by the clock on the
wall. Both give the same bits, which is looked at here once more.
"""

from __future__ import annotations

import numpy as np

import emulator
from emulator.detector import MODELS, SCENARIOS, play
from emulator.detector.run import Block
from tests.bench.table import best, millions, print_machine, print_row, print_titles

SIZES = (250, 1_000, 2_000, 6_000)


def main() -> None:
    print_machine("Re-emulation: 57 inputs, an encoder of 32, 16 and 8 neurons, bit for bit")
    blocks = play(SCENARIOS["quiet"], seed=1, lumisections=1, events_per_lumisection=max(SIZES), partitions=1)
    raw = np.concatenate([block.inputs for block in blocks if isinstance(block, Block)])
    (card,) = emulator.Registry(MODELS).by_label("l1anomaly_v1")
    print_titles("events in a batch", "gemm M/s", "us/batch", "csim M/s", "ratio")
    with emulator.load(card.path, "gemm") as ours, emulator.load(card.path, "csim") as csim:
        assert (ours.score(raw) == csim.score(raw)).all()
        for size in SIZES:
            some = np.ascontiguousarray(raw[:size])
            fast = best(lambda some=some: ours.score(some), repeat=50).wall
            slow = best(lambda some=some: csim.score(some), rounds=3).wall
            print_row(f"{size:,}", millions(size, fast), 1e6 * fast, millions(size, slow), slow / fast)


if __name__ == "__main__":
    main()
