"""How fast a batch is decoded with every check, beside what Arrow alone needs without any.

Run: python tests/bench/bench_codec.py
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa

from monitor.stream.codec import decode, encode
from monitor.stream.columns import Limits
from monitor.stream.record import Record
from monitor.trigger.batch import Batch, Place
from monitor.trigger.header import Header

INPUTS = 57


def batch(events: int) -> Batch:
    random = np.random.default_rng(1)
    return Batch(
        header=Header("l1", "model_v1", "menu", "fw", "column", "producer", 0),
        run=np.full(events, 400_000, np.uint32),
        ls=np.full(events, 7, np.uint32),
        orbit=np.arange(events, dtype=np.uint32),
        event=np.arange(events, dtype=np.uint64),
        bx=random.integers(0, 3564, events).astype(np.uint16),
        pileup=random.normal(50, 3, events).astype(np.float32),
        inputs=random.integers(-200, 2000, (events, INPUTS)).astype(np.int16),
        score=random.integers(0, 4000, (events, 1)),
        accept=random.random(events) < 0.01,
    )


def seconds(work: Callable[[], object], *, repeat: int) -> float:
    best = float("inf")
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(repeat):
            work()
        best = min(best, (time.perf_counter() - start) / repeat)
    return best


def arrow_alone(value: bytes) -> object:
    return pa.ipc.open_stream(pa.py_buffer(value)).read_next_batch()


def main() -> None:
    print(f"{'events':>8} {'kB':>6} {'decode M/s':>11} {'arrow M/s':>10} {'ratio':>6} {'encode M/s':>11}")
    for events in (250, 1_000, 1_600, 6_000, 20_000):
        sent = batch(events)
        headers, value = encode(sent)
        record = Record(Place("t", 0, 0), 0.0, value, headers)
        ours = seconds(lambda record=record: decode(record, limits=Limits(crossings=3564)), repeat=200)  # type: ignore[misc]
        theirs = seconds(lambda value=value: arrow_alone(value), repeat=200)  # type: ignore[misc]
        back = seconds(lambda sent=sent: encode(sent), repeat=50)  # type: ignore[misc]
        rates = [events / each / 1e6 for each in (ours, theirs, back)]
        print(
            f"{events:8} {len(value) // 1000:6} {rates[0]:11.1f} {rates[1]:10.1f} {ours / theirs:6.2f} {rates[2]:11.1f}"
        )


if __name__ == "__main__":
    main()
