"""What every benchmark here shares: how time is taken, which machine it was, how a table looks."""

from __future__ import annotations

import gc
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")


@dataclass(frozen=True, slots=True)
class Took:
    """Seconds by the clock on the wall, and of processor time of this process, all its threads together.

    On a machine that others use too, processor time is the one to compare.
    """

    wall: float
    processor: float


def taken(work: Callable[[], object]) -> Took:
    """Do `work` once."""
    wall, processor = time.perf_counter(), time.process_time()
    work()
    return Took(time.perf_counter() - wall, time.process_time() - processor)


def best(work: Callable[[], object], *, rounds: int = 5, repeat: int = 1) -> Took:
    """Do `work` `rounds` times `repeat` times; return the best of each clock, for one `work`."""
    gc.collect()
    found = [taken(lambda: [work() for _ in range(repeat)]) for _ in range(rounds)]
    return Took(min(each.wall for each in found) / repeat, min(each.processor for each in found) / repeat)


def print_machine(about: str) -> None:
    """Say what is measured and on what; refuse to measure with several threads."""
    if any(os.environ.get(name) != "1" for name in THREADS):
        sys.exit(f"one thread is measured: {'=1 '.join(THREADS)}=1 python {sys.argv[0]}, or: make bench")
    load = os.getloadavg()[0]
    where = f"{_processor()}, {os.cpu_count()} cores, load {load:.1f}"
    print(f"\n{about}\n{where}; Python {platform.python_version()}, numpy {np.__version__}; one thread\n", flush=True)


def print_row(first: object, *cells: object, width: int = 11) -> None:
    """Print a line of a table: the first column to the left, the others to the right; numbers with three digits."""
    print(f"{first!s:34}" + "".join(f"{_text(cell):>{width}}" for cell in cells), flush=True)


def print_titles(first: str, *titles: str, width: int = 11) -> None:
    """Print the first line of a table, and a rule."""
    print_row(first, *titles, width=width)
    print("-" * (34 + width * len(titles)))


def millions(events: int, seconds: float) -> float:
    """Return events a second, in millions."""
    return events / seconds / 1e6


def percent(part: float, whole: float) -> str:
    """Return part of a whole."""
    return f"{100 * part / whole:.0f} %"


def _text(cell: object) -> str:
    if not isinstance(cell, float):
        return str(cell)
    return f"{cell:.0f}" if abs(cell) >= 100 else f"{cell:.3g}"


def _processor() -> str:
    names = [line for line in _lines(Path("/proc/cpuinfo")) if line.startswith("model name")]
    return names[0].partition(":")[2].strip() if names else platform.processor() or platform.machine()


def _lines(path: Path) -> Sequence[str]:
    return path.read_text().splitlines() if path.exists() else []
