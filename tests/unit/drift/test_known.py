"""What is known is silent, exactly where it is known."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from functools import lru_cache
from itertools import takewhile
from math import tau
from pathlib import Path
from textwrap import dedent

import numpy as np

from emulator.detector import SCENARIOS, play
from emulator.detector.faults import DeadRegion, Fault, Region
from monitor.drift.battery import Battery
from monitor.drift.budget import Budget
from monitor.drift.covered import covered_by
from monitor.drift.evidence import Completeness, Evidence
from monitor.drift.state import BatteryState
from monitor.observe.quantities import catalogue
from monitor.observe.summary import Summary
from monitor.observe.windows import windows
from monitor.trigger.known import Known, KnownConditions
from monitor.trigger.lumisection import Lumisection
from tests.unit.drift.detector import summaries
from tests.unit.drift.test_battery import ONSET, page, run

BATTERY = Battery(Budget(lumisection_seconds=23.3))
DEAD = {"eta": (-3.1, -1.2), "phi": (4.6, 5.5)}
MOVED = ("met*", "*harmonic*", "score*", "correlation*", "accept rate", "* pt *", "* multiplicity", "* present")
DOCUMENT = Path(__file__).parents[3] / "docs" / "reference" / "known-conditions.md"
START = Lumisection(0, 1)


def judged(rows: tuple[Summary, ...], *known: Known) -> list[Evidence]:
    conditions, state, found = KnownConditions(known), None, list[Evidence]()
    for row in rows:
        whole = Completeness(row.events, row.events)
        here = conditions.of(row.key.stream, row.key.lumisection)
        state, evidence = BATTERY.step(state, summary=row, page=page(), completeness=whole, known=here)
        found.append(evidence)
    assert isinstance(state, BatteryState)
    return found


def test_a_condition_holds_from_its_first_to_its_last_lumisection_and_for_its_stream():
    known = Known("scan", Lumisection(5, 10), Lumisection(6, 3), stream="a")
    assert [known.holds("a", Lumisection(*ls)) for ls in ((5, 9), (5, 10), (5, 900), (6, 3), (6, 4))] == [
        False,
        True,
        True,
        True,
        False,
    ]
    assert not known.holds("b", Lumisection(5, 11))
    assert Known("scan", Lumisection(5, 10)).holds("b", Lumisection(9, 1))


def test_places_meet_where_they_share_something_also_around_the_back():
    known = Known("off", START, object="jet", eta=(-3.0, -1.3), phi=(6.0, 6.5))
    assert known.meets("jet", (-1.4, 0.0), (0.0, 0.1))
    assert known.meets("jet", (-1.4, 0.0), None)
    assert known.meets(None, (-5.0, 5.0), (5.9, 6.01))
    assert known.meets("jet", None, (-0.1, 0.0))
    assert not known.meets("egamma", (-1.4, 0.0), (6.1, 6.2))
    assert not known.meets("jet", (-1.3, 0.0), (6.1, 6.2))
    assert not known.meets("jet", (-1.4, 0.0), (6.5 - tau, 5.9))
    assert not known.meets("jet", None, None)
    assert Known("off", START, object="jet").meets("jet", None, None)
    assert not Known("off", START, object="jet").meets("muon", (0.0, 1.0), None)


def test_a_masked_place_silences_its_windows_rings_and_sectors_and_nothing_else():
    shape = page().shape
    covered, quantities, panes = covered_by((Known("off", START, **DEAD),), shape), catalogue(shape), windows(shape)
    silent = {quantities.families[f] for f in quantities.family[covered.quantities]}
    assert silent == {"ring", "sector", "component"}
    for window in np.random.default_rng(1).integers(0, len(panes), 300).tolist():
        region = panes.region(window)
        assert region.phi is not None
        apart = region.eta is not None and (region.eta[1] <= -3.1 or region.eta[0] >= -1.2)
        around = (region.phi[0] - 4.6) % tau
        apart |= around >= 0.9 and around + region.phi[1] - region.phi[0] <= tau
        assert covered.windows[window] != apart


def test_a_dead_region_that_is_known_calls_nobody_and_the_next_fault_does():
    known = Known("HEM off", START, quantities=MOVED, **DEAD)
    assert max(each.alarm for each in judged(run("dead-region"))[ONSET:]) > 1
    quiet = judged(run("dead-region"), known)
    assert max(each.alarm for each in quiet) < 0.5
    assert quiet[-1].known == ("HEM off",)
    hot = judged(run("hot-tower"), known)
    assert next(each.lumisection.ls for each in hot if each.alarm >= 1) <= ONSET + 3


@lru_cache(maxsize=2)
def run_with(fault: Fault) -> tuple[Summary, ...]:
    return tuple(summaries(play(replace(SCENARIOS["quiet"], fault=fault, onset=ONSET + 1), seed=1, lumisections=80)))


def wedge() -> Known:
    """The wedge of the page on known conditions, as it is written there."""
    lines = DOCUMENT.read_text(encoding="utf-8").split("\n")
    start = next(number for number, line in enumerate(lines) if '"wedge 14 off"' in line)
    table = takewhile(lambda line: line.startswith("    "), lines[start:])
    found = tomllib.loads(dedent("\n".join(table)))
    return Known(found["kind"], START, phi=tuple(found["phi"]), quantities=tuple(found["quantities"]))


def test_a_dead_wedge_that_is_known_as_the_page_says_calls_nobody_and_a_hot_tower_elsewhere_does():
    known = wedge()
    assert known.phi is not None
    dead = DeadRegion(Region((-5.2, 5.2), known.phi))
    assert max(each.alarm for each in judged(run_with(dead))[ONSET:]) > 1
    assert max(each.alarm for each in judged(run_with(dead), known)) < 0.5
    hot = judged(run("hot-tower"), known)
    assert next(each.lumisection.ls for each in hot if each.alarm >= 1) <= ONSET + 3


def test_a_window_is_covered_by_its_name_too():
    shape, panes = page().shape, windows(page().shape)
    covered = covered_by((Known("off", START, quantities=("met region *", "jet tower * phi [0.00, *")),), shape)
    names = {panes.name(window) for window in np.flatnonzero(covered.windows).tolist()}
    assert {" ".join(name.split(" ")[:2]) for name in names} == {"met region", "jet tower"}
    assert not covered.quantities.any()


def test_a_scan_is_not_judged_but_agreement_is():
    rows = run("quiet", seed=3, lumisections=140)[:6]
    tally = rows[4].counts["tally"].copy()
    tally[3:5] = rows[4].events, 5
    broken = Summary(rows[4].key, rows[4].shape, {**rows[4].counts, "tally": tally}, {}, rows[4].sample)
    scan = Known("emittance scan", rows[4].key.lumisection, rows[4].key.lumisection)
    found = judged((*rows[:4], broken, rows[5]), scan)
    assert (found[4].reference, found[4].unjudged) == (None, "emittance scan is known")
    assert found[4].agreement.mismatched == 5
    assert found[4].agreement.ratio > 1
    assert found[3].unjudged is None
    assert found[5].known == ()


def test_a_name_with_brackets_is_itself_and_no_choice_of_characters():
    known = Known("calibration", START, quantities=("jet[0] pt (log mean)", "egamma[?] pt*"))
    assert known.names("jet[0] pt (log mean)")
    assert known.names("egamma[2] pt (log mean)")
    assert not known.names("jet0 pt (log mean)")
