"""How many events a second are summarised, beside numpy's and the bare histograms; what a summary costs after that.

Run: OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tests.bench.bench_observe
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emulator.detector import L1_LAYOUT
from monitor.app.counting import counting
from monitor.observe.binning import BINS
from monitor.observe.quantities import catalogue, measure
from monitor.observe.summariser import Summariser
from monitor.observe.summary import Summary
from tests.bench.table import best, millions, print_machine, print_row, print_titles
from tests.unit.observe.crossings import batch, key

SIZES = (1_000, 2_000, 6_000)
INPUTS = 57


def histograms(bins: NDArray[np.uint8]) -> list[NDArray[np.intp]]:
    """Count every column of bins that are known already: what numpy needs for the histograms alone."""
    return [np.bincount(row, minlength=BINS + 1) for row in np.ascontiguousarray(bins.T)]


def main() -> None:
    print_machine(f"Summaries: {INPUTS} inputs of 16 bits, all quantities, scores compared")
    rng = np.random.default_rng(1)
    summariser = Summariser(L1_LAYOUT, INPUTS, 1, 2000, library=counting())
    plain = Summariser(L1_LAYOUT, INPUTS, 1, 2000)
    print_titles("events in a batch", "M/s", "us/batch", "numpy M/s", "bare M/s", "ratio")
    for size in SIZES:
        inputs = (rng.integers(0, 140, (size, INPUTS)) * (rng.random((size, INPUTS)) < 0.6)).astype(np.int16)
        some = batch(inputs, rng.integers(0, 4000, (size, 1)))
        bins = (inputs % BINS).astype(np.uint8)
        ours = best(lambda some=some: summariser.summarise(key(), some, some.score), repeat=50).processor
        numpys = best(lambda some=some: plain.summarise(key(), some, some.score), repeat=50).processor
        bare = best(lambda bins=bins: histograms(bins), repeat=50).processor
        columns = (millions(size, ours), 1e6 * ours, millions(size, numpys), millions(size, bare), ours / bare)
        print_row(f"{size:,}", *columns)
    print()
    summary = summariser.summarise(key(), some, some.score)
    content = summary.to_bytes()
    print_titles("a summary", "us")
    for name, work in (
        ("add to another", lambda: summary + summary),
        (f"to bytes ({len(content):,} of them)", summary.to_bytes),
        ("from bytes", lambda: Summary.from_bytes(content)),
        (f"measure {len(catalogue(summary.shape)):,} quantities", lambda: measure(summary)),
    ):
        print_row(name, 1e6 * best(work, repeat=50).processor)


if __name__ == "__main__":
    main()
