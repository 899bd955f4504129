"""What river, frouros, evidently and nannyml make of the drift benchmark's streams: false alarms and delays.

    python -m tests.bench.bench_drift_peers --environments .venv-peers [--seeds N]

Every peer runs in an environment of its own (`make bench-drift-peers` makes them) on the same files. A method's line is
its documented default; where that alarms on clean data more often than once in a hundred lumisections, a line is taken
from a clean fill that it does not see otherwise: the highest score of it. Ours gets no such help.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from emulator.detector import SCENARIOS, Block, End, play, reference_fills
from tests.bench.faults import LUMISECTIONS, ROWS
from tests.bench.table import print_machine, print_row, print_titles

PEERS = ("river", "frouros", "nannyml", "evidently")
SCRIPTS = Path(__file__).parent / "drift_peers"
FIRST_SEED = 7_001
CLEAN = 300
BEFORE, AFTER = 30, 120
OFTEN = 0.01

Scores = dict[str, dict[str, list[float]]]


def write(
    path: Path, blocks: Iterable[Block | End], *, first: int = 1, last: int = LUMISECTIONS, every: int = 1
) -> None:
    """Write the lumisections `first` to `last` of a run, every so many-th, as peers read them."""
    inputs: dict[tuple[int, int], list[np.ndarray]] = {}
    pileup: dict[tuple[int, int], list[float]] = {}
    for block in blocks:
        if isinstance(block, Block):
            if block.ls > last and first > 1:
                break
            if first <= block.ls <= last and block.ls % every == 0:
                inputs.setdefault((block.run, block.ls), []).append(block.inputs)
                pileup.setdefault((block.run, block.ls), []).append(float(block.pileup.mean()))
    np.savez(
        path,
        inputs=np.stack([np.concatenate(each) for each in inputs.values()]),
        pileup=np.asarray([np.mean(each) for each in pileup.values()]),
    )


def streams(folder: Path, seeds: range) -> None:
    """Write the reference, two clean fills and every fault with every seed."""
    clean = SCENARIOS["quiet"]
    write(folder / "reference.npz", reference_fills(seed=1000, fills=8, lumisections=100, scored=False), every=4)
    for name, seed in (("calibration", 9001), ("clean", 9002)):
        write(folder / f"{name}.npz", play(clean, seed=seed, lumisections=CLEAN, scored=False))
    for row in ROWS:
        for seed in seeds:
            scenario = row.broken(seed)
            last = scenario.onset + min(row.longest, AFTER) - 1
            blocks = play(scenario, seed=seed, scored=False)
            write(folder / f"{row.name.replace('/', '-')}~{seed}.npz", blocks, first=scenario.onset - BEFORE, last=last)


def judged(peer: str, python: Path, folder: Path) -> Scores:
    """Run a peer over all streams of `folder`."""
    quiet = {"NML_DISABLE_USAGE_LOGGING": "1", "DO_NOT_TRACK": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    done = subprocess.run(
        [python, SCRIPTS / f"by_{peer}.py", folder],
        env={**os.environ, **quiet},
        cwd=SCRIPTS,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{peer} failed:\n{done.stderr[-2000:]}")
    found: Scores = json.loads(done.stdout[done.stdout.index("{") :])
    return found


def lines(scores: Scores) -> dict[str, tuple[float, str]]:
    """Return every method's line, and how it was found."""
    found = {}
    for method, streams_of in scores.items():
        calibration = np.asarray(streams_of["calibration"])
        if (calibration >= 1).mean() <= OFTEN:
            found[method] = 1.0, "default"
        else:
            found[method] = float(np.nextafter(calibration.max(), np.inf)), "calibrated"
    return found


def delay(scores: list[float], line: float) -> float:
    """Return lumisections from the onset to the first score over the line; infinity for none."""
    over = np.flatnonzero(np.asarray(scores[BEFORE:]) >= line)
    return float(over[0]) + 1 if len(over) else float("inf")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_drift_peers", description=__doc__)
    parser.add_argument("--environments", type=Path, default=Path(".venv-peers"))
    parser.add_argument("--seeds", type=int, default=3, help="seeds per fault")
    parser.add_argument("--peer", choices=PEERS, action="append", help="default: all")
    chosen = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + chosen.seeds)
    print_machine(f"Peers: 57 inputs, 1,000 events a lumisection, seeds {seeds.start} to {seeds.stop - 1}")
    scores: Scores = {}
    with tempfile.TemporaryDirectory() as place:
        streams(Path(place), seeds)
        for peer in chosen.peer or PEERS:
            scores |= judged(peer, chosen.environments / peer / "bin" / "python", Path(place))
    found = lines(scores)
    methods = list(scores)
    print_titles("", *methods, width=20)
    print_row("line", *(how for _, how in found.values()), width=20)
    clean = [1000 * float((np.asarray(scores[m]["clean"]) >= found[m][0]).mean()) for m in methods]
    print_row("alarms per 1,000 clean", *clean, width=20)
    for row in ROWS:
        cells = []
        for method in methods:
            each = [delay(scores[method][f"{row.name.replace('/', '-')}~{seed}"], found[method][0]) for seed in seeds]
            median = statistics.median(each)
            cells.append(f"> {min(row.longest, AFTER)}" if median == float("inf") else f"{median:g}")
        print_row(row.name, *cells, width=20)


if __name__ == "__main__":
    main()
