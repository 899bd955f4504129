"""False alarms on clean runs, delays on broken ones, and what a judged lumisection costs.

Run: OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tests.bench.bench_drift [seeds] [clean lumisections]
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Iterable

import numpy as np

from emulator.detector import SCENARIOS, play, reference_fills
from monitor.drift.battery import Battery
from monitor.drift.budget import Budget
from monitor.drift.evidence import Completeness, Evidence
from monitor.observe.summary import Summary
from monitor.reference.learn import learn
from monitor.reference.page import Page
from monitor.trigger.site import CMS
from tests.bench.table import print_machine, print_row, print_titles
from tests.unit.drift.detector import summaries

BROKEN = ("dead-region", "jet-scale", "hot-tower", "ageing", "noise-burst")


def judge(rows: Iterable[Summary], page: Page) -> tuple[list[Evidence], float]:
    """Return the evidence of every lumisection, and the median cost of judging one in ms of processor time."""
    battery, state = Battery(Budget(lumisection_seconds=CMS.lumisection_seconds)), None
    found, spent = list[Evidence](), list[float]()  # the median, because the first judgement loads the statistics
    for row in rows:
        started = time.process_time()
        state, evidence = battery.step(state, summary=row, page=page, completeness=Completeness(row.events, row.events))
        spent.append(time.process_time() - started)
        found.append(evidence)
    return found, 1e3 * statistics.median(spent)


def clean(page: Page, *, seeds: range, lumisections: int) -> None:
    print_titles(f"\n{lumisections:,} clean lumisections, seed", "alarms", "episodes", "highest", "river", "ms/LS")
    for seed in seeds:
        found, cost = judge(summaries(play(SCENARIOS["quiet"], seed=seed, lumisections=lumisections)), page)
        alarms = [i for i, each in enumerate(found) if each.alarm >= 1]
        episodes = sum(1 for i in alarms if i - 1 not in alarms)
        highest = float(np.nanmax([each.alarm for each in found]))
        river = sum(bool(each.second_opinion) for each in found)
        print_row(seed, len(alarms), episodes, highest, river, cost)


def broken(page: Page, *, seeds: range) -> None:
    print_titles("\nfault, seed", "delay", "river", "   largest shift ten lumisections after the alarm")
    for name in BROKEN:
        for seed in seeds:
            found, _ = judge(summaries(play(SCENARIOS[name], seed=seed)), page)
            onset = SCENARIOS[name].onset
            delay = next((e.lumisection.ls - onset + 1 for e in found if e.alarm >= 1), None)
            river = next((e.lumisection.ls - onset + 1 for e in found[onset - 1 :] if e.second_opinion), None)
            after = found[min(onset + (delay or 0) + 8, len(found) - 1)]
            top = f"{after.shifts[0].quantity}, since {after.shifts[0].since}" if after.shifts else ""
            print_row(f"{name}, {seed}", delay or "-", river or "-", f"   {top}")


def main() -> None:
    seeds = range(1, 1 + int(sys.argv[1])) if len(sys.argv) > 1 else range(1, 6)
    lumisections = int(sys.argv[2]) if len(sys.argv) > 2 else 1000
    print_machine("Battery: 57 inputs, 1,000 events a lumisection; delays in lumisections, cost in processor time")
    started = time.process_time()
    page = next(iter(learn(summaries(reference_fills(seed=1000, fills=8, lumisections=100)))))
    print(f"reference: {page.lumisections} lumisections of {page.fills} fills, {page.live.sum()} live quantities,")
    print(f"{len(page.to_bytes()) / 1e3:.0f} kB, made in {time.process_time() - started:.0f} s with the simulation")
    clean(page, seeds=seeds, lumisections=lumisections)
    broken(page, seeds=range(1, 4))


if __name__ == "__main__":
    main()
