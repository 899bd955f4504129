"""How many events a second are summarised, added up, and measured.

Run: OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tests.bench.bench_observe
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np

from emulator.detector import L1_LAYOUT
from monitor.observe.quantities import catalogue, measure
from monitor.observe.summariser import Summariser
from monitor.observe.summary import Summary
from tests.unit.observe.crossings import batch, key


def milliseconds(work: Callable[[], object], *, repeat: int = 50) -> float:
    work()
    best = float("inf")
    for _ in range(5):
        started = time.process_time()
        for _ in range(repeat):
            work()
        best = min(best, (time.process_time() - started) / repeat)
    return 1e3 * best


def main() -> None:
    rng = np.random.default_rng(1)
    summariser = Summariser(L1_LAYOUT, 57, 1, 2000)
    for events in (1000, 2000, 6000):
        inputs = (rng.integers(0, 140, (events, 57)) * (rng.random((events, 57)) < 0.6)).astype(np.int16)
        some = batch(inputs, rng.integers(0, 4000, (events, 1)))
        took = milliseconds(lambda some=some: summariser.summarise(key(), some, some.score))
        print(f"summarise {events:5} events of 57 inputs: {took:6.3f} ms, {events / took / 1e3:5.2f} M events/s")
    summary = summariser.summarise(key(), some, some.score)
    content = summary.to_bytes()
    print(f"add two summaries     {1e3 * milliseconds(lambda: summary + summary):7.1f} us")
    print(f"to_bytes, {len(content):6} B   {1e3 * milliseconds(summary.to_bytes):7.1f} us")
    print(f"from_bytes            {1e3 * milliseconds(lambda: Summary.from_bytes(content)):7.1f} us")
    print(
        f"measure {len(catalogue(summary.shape)):4} quantities {1e3 * milliseconds(lambda: measure(summary)):7.1f} us"
    )


if __name__ == "__main__":
    main()
