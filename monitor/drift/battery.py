"""All statistics on one stream: (state, summary, page) -> (state, evidence)."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from monitor.drift import mismatch, scan, second_opinion
from monitor.drift.anchor import Anchor
from monitor.drift.bench import Bench
from monitor.drift.budget import Budget
from monitor.drift.combine import FALSE_DISCOVERIES
from monitor.drift.covered import Covered, covered_by
from monitor.drift.edetector import BETS, EMPTY
from monitor.drift.evidence import Agreement, Completeness, Evidence, Shift
from monitor.drift.judgement import Judgement, Reading, accept_rate, judge, read
from monitor.drift.mismatch import USUAL_FLOOR
from monitor.drift.second_opinion import Opinion
from monitor.drift.state import BatteryState
from monitor.observe.components import FAMILY as COMPONENTS
from monitor.observe.quantities import catalogue, measure
from monitor.observe.summary import Summary
from monitor.observe.windows import windows
from monitor.reference.page import Page
from monitor.trigger.known import Known

Floats = NDArray[np.float64]

MOST_SHOWN = 24
SUSPICIOUS = 4.0
"""ln of a quantity's evidence from which on its run no longer teaches what is normal."""


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """One lumisection as the three sets of detectors see it."""

    reading: Reading
    steady: Judgement
    anchored: Judgement
    look: scan.Look


class Battery:
    """The statistics with their promise; holds settings only, so that one instance serves every stream."""

    def __init__(self, budget: Budget, *, mismatch_floor: float = USUAL_FLOOR) -> None:
        self.budget = budget
        self._alpha = budget.mismatch_alpha
        self._floor = mismatch_floor
        self._bets = np.asarray(BETS)
        self._river: second_opinion.Detectors | None = None

    def step(
        self,
        state: BatteryState | None,
        *,
        summary: Summary,
        page: Page | None,
        completeness: Completeness,
        floor: float | None = None,
        unjudged: str | None = None,
        known: tuple[Known, ...] = (),
    ) -> tuple[BatteryState, Evidence]:
        """Judge one lumisection.

        Parameters
        ----------
        state
            What the last step of this stream returned; None at the first.
        page
            What is normal here, or None; then `unjudged` says why.
        floor
            Declared share of mismatches of this stream, instead of the battery's own.
        known
            What is known to be going on: it silences what it covers, and agreement never.
        """
        state = self._of_epoch(state, summary)
        trains = state.filling.trains(summary.key.lumisection.run)
        state = replace(state, filling=state.filling.taught(summary))
        floor = self._floor if floor is None else floor
        state = replace(state, mismatch=self._agree(state, summary, floor))
        ratio = state.mismatch.ratio(self._alpha)
        # While hardware and emulation disagree the third question is not asked: what a broken model says of its scores
        # is no evidence on the detector, and must not be left over as such once the model is mended.
        broken = ratio >= 1.0
        reason = (unjudged or "no reference") if page is None else page.unjudged(summary)
        reason = next((f"{each.kind} is known" for each in known if each.whole), reason)
        if page is None or reason is not None:
            reading, alarm = None, float("nan")
            shifts: tuple[Shift, ...] = ()
            state = replace(state, opinion=self._heard(state.opinion, summary, None))
        else:
            reading = read(summary, page, trains)
            state = _on_page(state, page, reading, run=summary.key.lumisection.run)
            covered = covered_by(known, page.shape)
            judged = self._judge(state, reading, page, summary, covered)
            state = self._detect(state, judged, page, summary, covered, broken=broken)
            alarm, shifts = (0.0, ()) if broken else self._case(state, judged, page)
        return state, Evidence(
            stream=summary.key.stream,
            lumisection=summary.key.lumisection,
            epoch=summary.key.epoch,
            completeness=completeness,
            agreement=_agreement(state, summary, floor=floor, ratio=ratio),
            pileup=summary.pileup,
            reference=page.id if page is not None and reason is None else None,
            unjudged=reason,
            alarm=alarm,
            shifts=shifts,
            accept=None if reading is None else accept_rate(reading, summary),
            second_opinion=self._second(state, summary),
            known=tuple(each.kind for each in known),
        )

    def _of_epoch(self, state: BatteryState | None, summary: Summary) -> BatteryState:
        if state is not None and state.epoch == summary.key.epoch:
            return state
        watched = len(second_opinion.chosen(catalogue(summary.shape)))
        filling = None if state is None else state.filling
        return BatteryState.begin(summary.key.epoch, watched=watched, filling=filling)

    def _agree(self, state: BatteryState, summary: Summary, floor: float) -> mismatch.Mismatch:
        return mismatch.advance(
            state.mismatch,
            compared=summary.compared,
            mismatched=summary.mismatched,
            floor=floor,
            alpha=self._alpha,
            lumisection=summary.key.lumisection,
        )

    def _judge(self, state: BatteryState, reading: Reading, page: Page, summary: Summary, covered: Covered) -> _Judged:
        centre, tolerance = state.anchor.null(reading, page)
        # A page of one fill is anchored already; without pile-up, its decay would look like a change within the run.
        settled = state.anchor.settled & (page.fills > 1) & np.isfinite(summary.pileup) & ~page.scarce[reading.index]
        settled &= ~reading.catalogue.mixed[reading.index]
        anchored = judge(reading, self._bets, centre=centre, tolerance=tolerance)
        anchored = replace(
            anchored,
            log_l=np.where(settled, anchored.log_l, float(EMPTY)),
            excess=np.where(settled, anchored.excess, np.nan),
        )
        return _Judged(reading, judge(reading, self._bets), anchored, scan.look(summary, page, dark=covered.cells))

    def _detect(
        self,
        state: BatteryState,
        judged: _Judged,
        page: Page,
        summary: Summary,
        covered: Covered,
        *,
        broken: bool,
    ) -> BatteryState:
        """Advance all detectors by one lumisection."""
        line, lumisection = self._line(page, judged.reading), summary.key.lumisection
        silent = covered.quantities[judged.reading.index] | broken
        steady = state.steady.advanced(judged.steady, line=line, lumisection=lumisection, void=silent)
        anchored = state.anchored.advanced(judged.anchored, line=line, lumisection=lumisection, void=silent)
        scanned = scan.advance(
            state.scan,
            judged.look,
            scan.stakes(page),
            line=line,
            lumisection=lumisection,
            void=covered.windows | broken if broken or covered.windows.any() else None,
        )
        suspicious = np.maximum(steady.evidence(), anchored.evidence()) >= SUSPICIOUS
        return replace(
            state,
            age=state.age + 1,
            steady=steady,
            anchored=anchored,
            scan=scanned,
            anchor=state.anchor.taught(judged.reading, held=suspicious, void=silent | ~np.isfinite(summary.pileup)),
            opinion=self._heard(state.opinion, summary, judged.reading),
        )

    def _line(self, page: Page, reading: Reading) -> float:
        """Return ln of the level at which one set of families alone alarms: it is one of several in the average."""
        families = len(np.unique(reading.family))
        return self.budget.line + float(np.log((2 * families + scan.families(page)) / max(families, 1)))

    def _case(self, state: BatteryState, judged: _Judged, page: Page) -> tuple[float, tuple[Shift, ...]]:
        """Return the alarm ratio and the quantities behind it."""
        line, families, looked = self.budget.line, len(np.unique(judged.reading.family)), scan.families(page)
        parts = [
            (families, state.steady.average(judged.steady)),
            (families, state.anchored.average(judged.anchored)),
            (looked, state.scan.average(scan.stakes(page))),
        ]
        alarm = float(np.logaddexp.reduce([np.log(n) + e for n, e in parts if n])) - np.log(2 * families + looked)
        # What alarms is told, however long the detectors have run.
        least = min(state.age / FALSE_DISCOVERIES, self.budget.arl0)
        found = [
            *state.steady.shifts(judged.steady, line=line, age=state.age),
            *state.anchored.shifts(judged.anchored, line=line, age=state.age),
            *scan.shifts(state.scan, judged.look, page, line=line, least=least),
        ]
        return float(alarm) / line, _ordered(found)

    def _heard(self, opinion: Opinion, summary: Summary, reading: Reading | None) -> Opinion:
        """Return river's window with this lumisection: in sigmas of the page, or raw where there is none."""
        watched = np.asarray(second_opinion.chosen(catalogue(summary.shape)), dtype=np.int64)
        mismatched = summary.mismatched if summary.compared else None
        if reading is None:
            seen = measure(summary)
            rate = np.where(catalogue(summary.shape).counted, seen.value / np.maximum(seen.exposure, 1), seen.value)
            return opinion.seen(rate[watched], mismatched)
        place = np.clip(np.searchsorted(reading.index, watched), 0, max(len(reading.index) - 1, 0))
        found = reading.index[place] == watched
        z = (reading.observed - reading.centre) / np.maximum(reading.sigma, 1e-300)
        return opinion.seen(np.where(found, z[place], 0.0), mismatched)

    def _second(self, state: BatteryState, summary: Summary) -> tuple[str, ...]:
        if self._river is None:
            self._river = second_opinion.detectors()
        names = catalogue(summary.shape).names
        return state.opinion.fired([names[i] for i in second_opinion.chosen(catalogue(summary.shape))], self._river)


def _agreement(state: BatteryState, summary: Summary, *, floor: float, ratio: float) -> Agreement:
    return Agreement(
        compared=summary.compared,
        mismatched=summary.mismatched,
        ratio=ratio,
        since=state.mismatch.since,
        floor=floor,
        not_comparable=dict(summary.not_comparable),
    )


def _on_page(state: BatteryState, page: Page, reading: Reading, *, run: int) -> BatteryState:
    """Return the state for `page` and `run`: as it is, or begun anew where it was about another."""
    live = len(reading.index)
    if state.page != page.id:
        state = replace(
            state,
            page=page.id,
            age=0,
            steady=Bench.fresh(live),
            anchored=Bench.fresh(live),
            scan=scan.Scan.fresh(len(windows(page.shape))),
            anchor=Anchor.fresh(live, run),
            opinion=Opinion(state.opinion.residuals[:0], state.opinion.mismatches),
        )
    if state.anchor.run != run:
        state = replace(state, anchored=Bench.fresh(live), anchor=Anchor.fresh(live, run))
    return state


def _ordered(found: list[tuple[float, Shift]]) -> tuple[Shift, ...]:
    """Return the cases, over the line first, and then by how much has moved: detectors at their cap are equal.

    A component mixes all inputs, so whatever points somewhere is told before it. A quantity that has moved both from
    its page and within its run is told once.
    """
    best: dict[str, tuple[float, Shift]] = {}
    order = sorted(found, key=lambda each: (-min(each[1].ratio, 1.0), each[1].family == COMPONENTS, -each[0]))
    for size, shift in order:
        best.setdefault(shift.quantity, (size, shift))
    return tuple(shift for _, shift in best.values())[:MOST_SHOWN]
