"""All statistics on one stream: (state, summary, page) -> (state, evidence)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from monitor.drift import edetector, mismatch, second_opinion
from monitor.drift.budget import Budget
from monitor.drift.combine import combined, discovered, weights
from monitor.drift.edetector import BETS
from monitor.drift.evidence import Agreement, Completeness, Evidence, Shift
from monitor.drift.judgement import Judgement, accept_rate, judge
from monitor.drift.second_opinion import Opinion
from monitor.drift.state import BatteryState
from monitor.drift.trail import Trail, follow, forget, returned
from monitor.observe.quantities import catalogue, measure
from monitor.observe.summary import Summary
from monitor.reference.page import Page

Floats = NDArray[np.float64]

SHOWN = 5
MOST_SHOWN = 24
CAP_MARGIN = 3.0
SMALLEST_FLOOR = 1e-6


class Battery:
    """The statistics with their promise; holds settings only, so that one instance serves every stream."""

    def __init__(self, budget: Budget, *, mismatch_alpha: float = 1e-6, mismatch_floor: float = SMALLEST_FLOOR) -> None:
        self.budget = budget
        self._alpha = mismatch_alpha
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
        """
        state = self._of_epoch(state, summary)
        floor = self._floor if floor is None else floor
        state = replace(state, mismatch=self._agree(state, summary, floor))
        reason = (unjudged or "no reference") if page is None else page.unjudged(summary)
        if page is None or reason is not None:
            judgement, alarm = None, float("nan")
            shifts: tuple[Shift, ...] = ()
            state = replace(state, opinion=self._heard(state.opinion, summary, None))
        else:
            judgement = judge(summary, page, self._bets)
            state = self._detect(state, judgement, page, summary)
            alarm, shifts = (0.0, ()) if self._is_broken(state) else self._case(state, judgement)
        return state, Evidence(
            stream=summary.key.stream,
            lumisection=summary.key.lumisection,
            epoch=summary.key.epoch,
            completeness=completeness,
            agreement=self._agreement(state, summary, floor),
            pileup=summary.pileup,
            reference=page.id if page is not None and reason is None else None,
            unjudged=reason,
            alarm=alarm,
            shifts=shifts,
            accept=None if judgement is None else accept_rate(judgement, summary),
            second_opinion=self._second(state, summary),
        )

    def _of_epoch(self, state: BatteryState | None, summary: Summary) -> BatteryState:
        if state is not None and state.epoch == summary.key.epoch:
            return state
        watched = len(second_opinion.chosen(catalogue(summary.shape)))
        return BatteryState.begin(summary.key.epoch, watched=watched)

    def _agree(self, state: BatteryState, summary: Summary, floor: float) -> mismatch.Mismatch:
        return mismatch.advance(
            state.mismatch,
            compared=summary.compared,
            mismatched=summary.mismatched,
            floor=floor,
            alpha=self._alpha,
            lumisection=summary.key.lumisection,
        )

    def _agreement(self, state: BatteryState, summary: Summary, floor: float) -> Agreement:
        return Agreement(
            compared=summary.compared,
            mismatched=summary.mismatched,
            ratio=state.mismatch.ratio(self._alpha),
            since=state.mismatch.since,
            floor=floor,
            not_comparable=dict(summary.not_comparable),
        )

    def _is_broken(self, state: BatteryState) -> bool:
        return state.mismatch.ratio(self._alpha) >= 1.0

    def _detect(self, state: BatteryState, judgement: Judgement, page: Page, summary: Summary) -> BatteryState:
        """Advance the e-detectors and the trail by one lumisection."""
        state = _on_page(state, page, judgement)
        share = weights(judgement.catalogue.family[judgement.index])
        # One quantity alone must be able to raise the alarm from the cap; above that, height only delays the way back.
        cap = self.budget.line + float(np.log(2 * len(BETS) / share.min(initial=1.0))) + CAP_MARGIN
        log_m = edetector.advance(state.log_m, judgement.log_l, cap=cap)
        trail = follow(state.trail, judgement.excess, lumisection=summary.key.lumisection)
        # While hardware and emulation disagree the third question is not asked: what a broken model says of its scores
        # is no evidence on the detector, and must not be left over as such once the model is mended.
        back = returned(trail) | self._is_broken(state)
        return replace(
            state,
            page=page.id,
            age=state.age + 1,
            log_m=np.where(back, edetector.EMPTY, log_m),
            trail=forget(trail, back),
            opinion=self._heard(state.opinion, summary, judgement),
        )

    def _case(self, state: BatteryState, judgement: Judgement) -> tuple[float, tuple[Shift, ...]]:
        """Return the alarm ratio and the quantities behind it."""
        log_e = edetector.mixed(state.log_m)
        alarm = combined(log_e, weights(judgement.catalogue.family[judgement.index])) / self.budget.line
        moved = discovered(log_e, age=state.age)
        few = min(SHOWN, len(log_e))
        listed = moved if len(moved) else np.argpartition(-log_e, few - 1)[:few] if few else moved
        size = state.trail.likelihood()
        # Detectors at the cap are equal: how much has moved, without any cap, orders them.
        order = np.lexsort((-size[:, listed].max(axis=0), -np.minimum(log_e[listed], self.budget.line)))
        line, direction = self.budget.line, size.argmax(axis=0)
        return alarm, tuple(
            judgement.shift(i, ratio=float(log_e[i]) / line, direction=int(direction[i]), trail=state.trail)
            for i in listed[order].tolist()[:MOST_SHOWN]
        )

    def _heard(self, opinion: Opinion, summary: Summary, judgement: Judgement | None) -> Opinion:
        """Return river's window with this lumisection: in sigmas of the page, or raw where there is none."""
        watched = np.asarray(second_opinion.chosen(catalogue(summary.shape)), dtype=np.int64)
        mismatched = summary.mismatched if summary.compared else None
        if judgement is None:
            seen = measure(summary)
            rate = np.where(catalogue(summary.shape).counted, seen.value / np.maximum(seen.exposure, 1), seen.value)
            return opinion.seen(rate[watched], mismatched)
        place = np.clip(np.searchsorted(judgement.index, watched), 0, max(len(judgement.index) - 1, 0))
        found = judgement.index[place] == watched
        z = (judgement.observed - judgement.expected) / np.maximum(judgement.sigma, 1e-300)
        return opinion.seen(np.where(found, z[place], 0.0), mismatched)

    def _second(self, state: BatteryState, summary: Summary) -> tuple[str, ...]:
        if self._river is None:
            self._river = second_opinion.detectors()
        names = catalogue(summary.shape).names
        return state.opinion.fired([names[i] for i in second_opinion.chosen(catalogue(summary.shape))], self._river)


def _on_page(state: BatteryState, page: Page, judgement: Judgement) -> BatteryState:
    """Return the state for `page`: as it is, or with new detectors if it was judged by another page before."""
    if state.page == page.id:
        return state
    live = len(judgement.index)
    opinion = Opinion(state.opinion.residuals[:0], state.opinion.mismatches)
    return replace(state, page=page.id, age=0, log_m=edetector.fresh(live), trail=Trail.fresh(live), opinion=opinion)
