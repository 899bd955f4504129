"""How fast a batch is decoded with every check, beside what Arrow alone needs without any.

Run: OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tests.bench.bench_codec
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from monitor.stream.codec import decode, encode
from monitor.stream.columns import Limits
from monitor.stream.record import Record
from monitor.trigger.batch import Batch, Place
from monitor.trigger.header import Header
from monitor.trigger.site import CMS
from tests.bench.table import best, millions, print_machine, print_row, print_titles

INPUTS = 57
SIZES = (250, 1_000, 2_000, 6_000, 20_000)


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


def arrow_alone(value: bytes) -> object:
    return pa.ipc.open_stream(pa.py_buffer(value)).read_next_batch()


def main() -> None:
    print_machine(f"Codec: batches of {INPUTS} inputs of 16 bits, every check, beside Arrow without any")
    limits = Limits(crossings=CMS.crossings)
    print_titles("events in a batch", "kB", "decode M/s", "us/batch", "Arrow M/s", "ratio", "encode M/s")
    for events in SIZES:
        sent = batch(events)
        headers, value = encode(sent)
        record = Record(Place("t", 0, 0), 0.0, value, headers)
        ours = best(lambda record=record: decode(record, limits=limits), repeat=200).processor
        theirs = best(lambda value=value: arrow_alone(value), repeat=200).processor
        back = best(lambda sent=sent: encode(sent), repeat=50).processor
        rates = [millions(events, each) for each in (ours, theirs, back)]
        print_row(f"{events:,}", len(value) // 1000, rates[0], 1e6 * ours, rates[1], ours / theirs, rates[2])


if __name__ == "__main__":
    main()
