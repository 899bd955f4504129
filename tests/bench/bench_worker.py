"""What it costs to run a compiled emulator in a process of its own, and how soon it is back after it died.

Run: OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tests.bench.bench_worker

The other side of the comparison is the same driver with the same library in this process, where a crash would be ours.
Rounds of both take turns, and the best of each counts. Both give the same bits, which is looked at here once more.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.abi.engine import AbiEngine, driver
from emulator.abi.manifest import Manifest
from emulator.formats import Raw
from emulator.poison import Poison
from tests.bench.table import print_machine, print_row, print_titles
from tests.emulators.build import GOOD, MOODY, build, document

SIZES = (256, 4_096)
ROUNDS = 30
ENCODER: dict[str, Any] = {
    "input": {"type": "ap_fixed<18,13>", "length": 57},
    "output": {"type": "ap_ufixed<18,14,AP_TRN,AP_SAT>"},
}


class InProcess:
    """The driver and an emulator in this process."""

    def __init__(self, engine: AbiEngine) -> None:
        self._manifest = engine.manifest
        self._driver = ctypes.CDLL(str(driver()), mode=os.RTLD_NOW | os.RTLD_LOCAL)
        self._driver.trigwatch_open.restype = ctypes.c_char_p
        self._driver.trigwatch_score.restype = None
        refusal = self._driver.trigwatch_open(engine.setup.encode())
        if refusal is not None:
            raise RuntimeError(refusal.decode())
        self._done = ctypes.c_int64()
        self._driver.trigwatch_progress(ctypes.byref(self._done))

    def score(self, raw: NDArray[np.integer]) -> Raw:
        """Return raw scores int64 (n, outputs)."""
        stored = self._manifest.input.store(raw)
        answers = np.empty((len(raw), self._manifest.output.bytes), np.uint8)
        self._driver.trigwatch_score(
            ctypes.c_int64(len(raw)), ctypes.c_void_p(stored.ctypes.data), ctypes.c_void_p(answers.ctypes.data)
        )
        return self._manifest.output.raw(answers)


def main() -> None:
    print_machine("Compiled emulators: a process of their own against this process")
    with tempfile.TemporaryDirectory() as directory:
        folder = Path(directory)
        # One driver holds one model: another library in this process needs another copy of it, so only one is measured.
        _overhead(build("encoder", folder / "encoder.so", cache=folder))
        _recovery(build("moody", folder / "moody.so", cache=folder))
        _floor(build("good", folder / "good.so", cache=folder))


def _overhead(library: Path) -> None:
    print_titles("57-32-16-8 encoder, events", "here k/s", "worker k/s", "overhead", width=12)
    raw = np.random.default_rng(1).integers(-(2**17), 2**17, (max(SIZES), 57)) >> 8
    with contextlib.closing(_engine(library, ENCODER)) as worker:
        here = InProcess(worker)
        assert (here.score(raw) == worker.score(raw)).all()
        for size in SIZES:
            some = raw[:size]
            ours, theirs = _in_turns(lambda some=some: here.score(some), lambda some=some: worker.score(some))
            overhead = f"{100 * (theirs / ours - 1):+.1f} %"
            print_row(f"{size:,}", size / ours / 1e3, size / theirs / 1e3, overhead, width=12)


def _floor(library: Path) -> None:
    """Print what a batch costs where the emulator itself costs next to nothing."""
    with contextlib.closing(_engine(library, GOOD)) as worker:
        raw = np.zeros((1, 6), np.int64)
        worker.score(raw)
        took = min(_seconds(lambda: worker.score(raw)) for _ in range(300))
        print_row("a batch of one event of a tiny model", f"{1e6 * took:.0f} us", width=12)


def _recovery(library: Path) -> None:
    print()
    print_titles("the emulator … in a batch of 256", "answers in", "again after", width=12)
    for mood, name in ((2, "crashes"), (4, "calls exit()"), (3, f"hangs (deadline {MOODY['deadline']} s)")):
        raw = np.column_stack([np.arange(256) + 100, np.arange(256)])
        raw[130, 0] = mood
        with contextlib.closing(_engine(library, MOODY)) as worker:
            worker.score(raw[:100])
            begin = time.perf_counter()
            with contextlib.suppress(Poison):
                worker.score(raw)
            answered = time.perf_counter() - begin
            again = _seconds(lambda worker=worker, raw=raw: worker.score(raw[:100]))
        print_row(f"… {name}", f"{1e3 * answered:.0f} ms", f"{1e3 * again:.1f} ms", width=12)


def _engine(library: Path, fields: dict[str, Any]) -> AbiEngine:
    return AbiEngine(library, Manifest.from_json(document(library, **fields)))


def _in_turns(*works: Any) -> list[float]:
    taken = [[_seconds(work) for work in works] for _ in range(ROUNDS)]
    return [min(column) for column in zip(*taken, strict=True)]


def _seconds(work: Any) -> float:
    begin = time.perf_counter()
    work()
    return time.perf_counter() - begin


if __name__ == "__main__":
    main()
