"""How long it takes to try every single weight bit on a sample of mismatching events.

Run: OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python tests/bench/bench_explain.py

Beside it, what the same costs when every flip is a whole program of its own: timed on some flips, and multiplied.
"""

from __future__ import annotations

import numpy as np

from emulator import card_files
from emulator.detector import MODELS, SCENARIOS, play
from emulator.detector.run import Block
from emulator.engines.gemm import GemmEngine
from emulator.explain import Flip, search_upsets, with_flip
from emulator.formats import Raw
from emulator.graph import Program
from tests.bench.table import best, print_machine, print_row, print_titles

EVENTS = (16, 32, 64)
_SOME = 20


def main() -> None:
    print_machine("Every bit of every weight and bias: 57 inputs, an encoder of 32, 16 and 8 neurons")
    program = card_files.read(MODELS / "l1anomaly_v2").program
    if program is None:
        raise SystemExit("l1anomaly_v2 has no integer program: import it again")
    blocks = play(SCENARIOS["quiet"], seed=1, lumisections=1, events_per_lumisection=4000, partitions=1)
    raw = np.concatenate([block.inputs for block in blocks if isinstance(block, Block)]).astype(np.int64)
    flip = Flip("encode1", "weights", (3, 0), 12)
    hardware = GemmEngine(with_flip(program, flip)).score(raw)
    differs = (hardware != GemmEngine(program).score(raw)).any(axis=1)
    raw, hardware = raw[differs], hardware[differs]
    assert len(raw) >= max(EVENTS), "the flip shows too seldom: choose another"
    print_titles("events", "flips", "best", "search s", "singly s")
    for size in EVENTS:
        found = search_upsets(program, raw[:size], hardware[:size])
        assert flip in found.best
        fast = best(lambda size=size: search_upsets(program, raw[:size], hardware[:size]), rounds=3).wall
        slow = best(lambda size=size: _one_by_one(program, flip, raw[:size]), rounds=3).wall / _SOME * found.tried
        print_row(size, found.tried, len(found.best), fast, slow)


def _one_by_one(program: Program, flip: Flip, raw: Raw) -> None:
    for _ in range(_SOME):
        GemmEngine(with_flip(program, flip)).score(raw)


if __name__ == "__main__":
    main()
