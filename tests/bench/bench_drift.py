"""How soon each fault is paged, how often nothing is, and what a judged lumisection costs; peers on the same streams.

    OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tests.bench.bench_drift [--seeds N] [--clean FILLS]

Simulated streams of 1,000 events a lumisection, pile-up from about 60 to about 35 over 1,000 lumisections, and benign
wobble between fills. The reference is eight other fills. Onset and place of every fault are drawn from the seed.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from emulator.detector import SCENARIOS, play, reference_fills
from emulator.detector.conditions import Beams
from emulator.detector.run import FIRST_RUN
from monitor.decide.case import Rules
from monitor.drift import mismatch
from monitor.drift.battery import Battery
from monitor.drift.budget import Budget
from monitor.drift.evidence import Completeness, Evidence
from monitor.observe.summary import Summary
from monitor.reference.learn import learn
from monitor.reference.page import Page
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import CMS
from tests.bench.faults import LUMISECTIONS, ROWS, Row
from tests.bench.table import print_machine, print_row, print_titles
from tests.unit.drift.detector import summaries

BUDGET = Budget(lumisection_seconds=CMS.lumisection_seconds)
FIRST_SEED = 7_001
MISMATCHES = ((5e-3, 500), (1e-3, 4_000), (7e-5, 60_000))
LOOKS = 100
"""Events between two looks at the mismatches."""


def judged(rows: Iterable[Summary], page: Page) -> Iterator[tuple[Evidence, float]]:
    """Yield the evidence of every lumisection, and what it cost in ms of processor time."""
    battery, state = Battery(BUDGET), None
    for row in rows:
        started = time.process_time()
        state, evidence = battery.step(state, summary=row, page=page, completeness=Completeness(row.events, row.events))
        yield evidence, 1e3 * (time.process_time() - started)


def delay(row: Row, seed: int, page: Page) -> float:
    """Return lumisections from the onset to the alarm, the first included; infinity where none comes in time."""
    scenario = row.broken(seed)
    for evidence, _ in judged(summaries(play(scenario, seed=seed)), page):
        after = evidence.lumisection.ls - scenario.onset + 1
        if after > row.longest:
            return float("inf")
        if after >= 1 and evidence.alarm >= 1:
            return after
    return float("inf")


def broken(page: Page, seeds: range) -> None:
    print_titles("fault", "to reach", "median", "worst", "best peer")
    for row in ROWS:
        found = [delay(row, seed, page) for seed in seeds]
        goal = "-" if row.goal is None else row.goal
        print_row(row.name, goal, _delay(statistics.median(found), row), _delay(max(found), row), row.peer)


def _delay(found: float, row: Row) -> str:
    return f"> {row.longest}" if found == float("inf") else f"{found:g}"


def clean(page: Page, fills: range) -> None:
    """Print how many alarms begin on fills in which nothing is broken, and what judging them costs.

    They are one stream: as in the daemon, what the detectors have seen is kept from fill to fill, and an alarm that
    goes on into the next is one page.
    """
    print_titles(f"\n{LUMISECTIONS:,} clean lumisections, seed", "pages", "over line", "highest", "river", "ms/LS")
    rows = (
        row
        for seed in fills
        for row in summaries(play(SCENARIOS["quiet"], seed=seed, lumisections=LUMISECTIONS, run=FIRST_RUN + seed))
    )
    over = np.zeros(0, np.bool_)
    for run, found in groupby(judged(rows, page), key=lambda each: each[0].lumisection.run):
        evidence, cost = zip(*found, strict=True)
        before, over = over, np.concatenate([over, [each.alarm >= 1 for each in evidence]])
        begun, beyond = pages(over) - pages(before), int(over.sum() - before.sum())
        highest, river = max(each.alarm for each in evidence), sum(bool(each.second_opinion) for each in evidence)
        # The median of the cost, because the first judgement loads the statistics.
        print_row(run - FIRST_RUN, begun, beyond, highest, river, statistics.median(cost))
    promised = f"promised are at most 1 in {BUDGET.arl0:,.0f}"
    print(f"{pages(over)} false pages in {len(over):,} clean lumisections; {promised}")


def pages(over: NDArray[np.bool_]) -> int:
    """Return how many pages that makes: one ends when the alarm has stayed under its line as long as the rules ask."""
    places = np.flatnonzero(over)
    return int((np.diff(places) > Rules().clear_after).sum()) + 1 if len(places) else 0


def mismatches(seeds: range) -> None:
    """Print after how many events each share of mismatches is over the line, looked at every `LOOKS` events."""
    print_titles("\nmismatches, share", "to reach", "median", "worst", "events")
    for share, goal in MISMATCHES:
        found = [_until(share, np.random.default_rng((seed, 99)), most=20 * goal) for seed in seeds]
        print_row(share, goal, f"{statistics.median(found):,.0f}", f"{max(found):,.0f}")


def _until(share: float, chance: np.random.Generator, *, most: int) -> float:
    state = mismatch.Mismatch.fresh()
    for look in range(1, most // LOOKS):
        state = mismatch.advance(
            state,
            compared=LOOKS,
            mismatched=int(chance.binomial(LOOKS, share)),
            floor=mismatch.USUAL_FLOOR,
            alpha=BUDGET.mismatch_alpha,
            lumisection=Lumisection(1, look),
        )
        if state.ratio(BUDGET.mismatch_alpha) >= 1:
            return look * LOOKS
    return float("inf")


def benign(page: Page, seeds: range) -> None:
    """Print the highest alarm ratio of runs in which something changes that is not a fault."""
    print_titles("\nmust stay quiet", "highest", "over line")
    for name, rows in BENIGN_RUNS.items():
        alarms = [evidence.alarm for seed in seeds for evidence, _ in judged(rows(seed), page)]
        print_row(name, float(np.nanmax(alarms)), int((np.asarray(alarms) >= 1).sum()))


def _levelled(seed: int) -> Iterator[Summary]:
    return summaries(play(SCENARIOS["quiet"], seed=seed, lumisections=400, beams=Beams(levelled=52.0)))


def _luminometer(seed: int) -> Iterator[Summary]:
    """The luminometer reads 1 % more from the middle of the run on."""
    for row in summaries(play(SCENARIOS["quiet"], seed=seed, lumisections=400)):
        tally = row.counts["tally"].copy()
        if row.key.lumisection.ls > 200:
            tally[-1] = round(1.01 * tally[-1])
        yield replace(row, counts={**row.counts, "tally": tally})


def _starts(seed: int) -> Iterator[Summary]:
    """Ten runs of forty lumisections, each a fill of its own."""
    for run in range(10):
        yield from summaries(play(SCENARIOS["quiet"], seed=seed, lumisections=40, run=402_000 + run))


def _scan(seed: int) -> Iterator[Summary]:
    """Every 25 lumisections the beams are moved apart for four: pile-up falls to three quarters and less."""
    whole = list(summaries(play(SCENARIOS["quiet"], seed=seed, lumisections=400)))
    for number, row in enumerate(whole):
        apart = number % 25 >= 21
        yield replace(whole[399 - number], key=row.key) if apart and number < 200 else row


def _trains(seed: int) -> Iterator[Summary]:
    """Runs of a hundred lumisections with trains of 48, 25 and 72 bunches; the reference's have 36."""
    for run, train in enumerate((48, 25, 72), 403_000):
        yield from summaries(play(SCENARIOS["quiet"], seed=seed, lumisections=100, run=run, beams=Beams(train=train)))


def _short_trains(seed: int) -> Iterator[Summary]:
    """A run with trains of 8 bunches: more than a third of them are heads, whose pulses nothing has piled up on."""
    return summaries(play(SCENARIOS["quiet"], seed=seed, lumisections=100, beams=Beams(train=8)))


def _prescales(seed: int) -> Iterator[Summary]:
    """The prescale column changes every fifty lumisections, and the menu once."""
    for row in summaries(play(SCENARIOS["quiet"], seed=seed, lumisections=400)):
        step = row.key.lumisection.ls // 50
        epoch = replace(row.key.epoch, prescale_column=f"{step % 2}", menu=f"menu_{step // 4}")
        yield replace(row, key=replace(row.key, epoch=epoch))


BENIGN_RUNS: dict[str, Callable[[int], Iterator[Summary]]] = {
    "luminosity levelling": _levelled,
    "luminometer jumps by 1 %": _luminometer,
    "run starts": _starts,
    "emittance scans": _scan,
    "trains of 25, 48, 72 bunches": _trains,
    "trains of 8 bunches": _short_trains,
    "prescale columns and menus": _prescales,
}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.bench.bench_drift", description=__doc__)
    parser.add_argument("--seeds", type=int, default=10, help="seeds per fault")
    parser.add_argument("--clean", type=int, default=20, help="clean fills of 1,000 lumisections")
    chosen = parser.parse_args()
    seeds = range(FIRST_SEED, FIRST_SEED + chosen.seeds)
    print_machine(f"Drift: 57 inputs, 1,000 events a lumisection, seeds {seeds.start} to {seeds.stop - 1}")
    started = time.process_time()
    page = next(iter(learn(summaries(reference_fills(seed=1000, fills=8, lumisections=100)))))
    print(f"reference: {page.lumisections} lumisections of {page.fills} fills, {page.live.sum()} live quantities,")
    print(f"{len(page.to_bytes()) / 1e3:.0f} kB, made in {time.process_time() - started:.0f} s with the simulation\n")
    broken(page, seeds)
    mismatches(seeds)
    benign(page, seeds)
    clean(page, range(FIRST_SEED + 1000, FIRST_SEED + 1000 + chosen.clean))


if __name__ == "__main__":
    main()
