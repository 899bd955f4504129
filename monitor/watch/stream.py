"""One stream being judged: its roll call, its conditions, its episodes and its silence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from emulator.explain import Flip
from emulator.pack import Unreadable, pack, unpack
from monitor.decide.action import Action
from monitor.decide.announce import conclude, new_epoch
from monitor.decide.blame import explains
from monitor.decide.case import Case
from monitor.decide.judge import Judgement, judge
from monitor.decide.standing import Standing
from monitor.decide.table import Question
from monitor.drift.evidence import Agreement, Completeness, Evidence
from monitor.observe.summary import Summary
from monitor.reference.page import Page
from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection
from monitor.watch.closed import PartitionClosed
from monitor.watch.conditions import Conditions
from monitor.watch.court import Court
from monitor.watch.dossier import capsules, details
from monitor.watch.effect import for_training
from monitor.watch.judged import Judged
from monitor.watch.rollcall import RollCall, completeness, merge, rejections
from monitor.watch.suspects import Suspects, suspects

SCHEMA = "stream-watch/1"
NOBODY = Epoch("", "", "", "", "")
NEVER = Lumisection(0, 0)
Ruling = tuple[Judged, tuple[Action, ...]]
Model = tuple[str, str]


@dataclass(frozen=True, slots=True)
class _Sitting:
    """One lumisection on the table: what all of its epochs share."""

    lumisection: Lumisection
    arrived: Completeness
    now: float
    skipped: int = 0
    rejected: dict[str, int] = field(default_factory=dict)


class StreamWatch:
    """The state of one stream; everything in it goes through `to_bytes`."""

    def __init__(self, name: str, *, expected: frozenset[int], floor: float | None) -> None:
        self.name = name
        self._calls = RollCall(expected)
        self._conditions = Conditions(name, floor=floor)
        self._standings: dict[Model, Standing] = {}
        self._absent: dict[Model, int] = {}
        self._flips: dict[Model, tuple[Flip, ...]] = {}
        self._epochs: tuple[Epoch, ...] = ()
        self._heard: float | None = None
        self._silent = False

    def page(self, epoch: Epoch, court: Court) -> Page | None:
        """Return the page that lumisections of this epoch are judged by, or None."""
        return self._conditions.page(epoch, court)

    def learnt(self) -> tuple[Page, ...]:
        """Return the pages that were learnt while watching."""
        return self._conditions.learnt()

    def report(self, closed: PartitionClosed, *, now: float) -> None:
        """Take one partition's report in."""
        if self._calls.report(closed, now=now):
            self._heard = now

    def advance(self, court: Court, *, now: float) -> Iterator[Ruling]:
        """Judge every lumisection that is complete or has waited long enough, oldest first."""
        before = self._calls.done
        while parts := self._calls.take(now=now, lateness=court.calendar.lateness):
            ls = parts[0].lumisection
            sitting = _Sitting(
                lumisection=ls,
                arrived=completeness(parts, expected=self._calls.expected),
                now=now,
                skipped=ls.ls - before.ls - 1 if before is not None and before.run == ls.run else 0,
                rejected=rejections(parts),
            )
            self._silent = False
            yield from self._sit(merge(parts), sitting, court)
            before = ls

    def silence(self, court: Court, *, now: float) -> Iterator[Ruling]:
        """Say once that nothing has come for longer than allowed."""
        if self._heard is None:
            self._heard = now  # the daemon has just started: what it did not hear while it was away does not count
        if self._silent or now - self._heard < court.calendar.silence:
            return
        self._silent = True
        sitting = _Sitting(self._calls.done or NEVER, Completeness(0, None), now)
        judged, actions = self._empty(sitting, court, silent=True)
        yield judged, actions

    def _sit(self, merged: Sequence[Summary], sitting: _Sitting, court: Court) -> list[Ruling]:
        present = [summary for summary in merged if summary.events]
        if not present:
            return [self._empty(sitting, court, silent=False)]
        known, self._epochs = self._epochs, tuple(dict.fromkeys(summary.key.epoch for summary in present))
        rulings = [self._rule(summary, sitting, court, known=known) for summary in present]
        # Counted once, and said with the last epoch: both belong to the lumisection.
        rulings[1:] = [(replace(judged, rejected={}), actions) for judged, actions in rulings[1:]]
        judged, actions = rulings[-1]
        rulings[-1] = judged, (*actions, *self._conclude(sitting.lumisection, patience=court.rules.clear_after))
        return rulings

    def _rule(self, summary: Summary, sitting: _Sitting, court: Court, *, known: tuple[Epoch, ...]) -> Ruling:
        epoch, ls = summary.key.epoch, sitting.lumisection
        evidence = self._conditions.step(summary, sitting.arrived, court)
        model = (epoch.model, epoch.digest)
        found = suspects(summary, court.shelf, flips=self._flips.get(model)) if summary.mismatched else None
        culprit = None if found is None else found.culprit
        samples = capsules(
            summary, culprit.hypothesis if culprit is not None and explains(culprit, court.rules) else ""
        )
        spoken: tuple[Action, ...] = ()
        extra = details(found)
        if known and epoch not in known:
            mark = new_epoch(self.name, before=known[-1], after=epoch, lumisection=ls)
            spoken, extra = (mark,), {**extra, "new_epoch": mark.payload["text"]}
        before = self._standings.get(model)
        case = Case(
            evidence=evidence,
            events=summary.events,
            groups=tuple(group.name for group in summary.shape.groups if group.count > 1),
            culprit=culprit,
            skipped=sitting.skipped,
            bit=found.delta.bits[0] if found is not None and len(found.delta.bits) == 1 else None,
            capsule=samples[0].id if samples else None,
            details=extra,
            dossier=self._dossier(summary, evidence, before, court),
        )
        judgement = self._judge(case, court)
        self._remember(model, found, judgement.standing)
        judged = Judged(
            stream=self.name,
            lumisection=ls,
            summary=summary,
            evidence=evidence,
            verdict=judgement.verdict,
            at=sitting.now,
            suspects=found,
            capsules=samples if _begins(before, judgement.standing) else (),
            retrain=judgement.request,
            canaries=self._conditions.canary.delays,
            rejected=sitting.rejected,
        )
        return judged, (*spoken, *judgement.actions)

    def _dossier(
        self, summary: Summary, evidence: Evidence, before: Standing | None, court: Court
    ) -> Mapping[str, Any]:
        """Return what a request would say, where this lumisection may lead to one: it takes a while to work out."""
        episode = None if before is None else before.episodes.get(Question.CONDITIONS)
        if not evidence.alarm >= court.rules.alarm or not evidence.shifts or (episode and episode.requested):
            return {}
        since = evidence.shifts[0].since if episode is None else episode.since
        rows = self._conditions.recent(summary).since(since)
        return for_training(summary.shape, rows, self._conditions.page(summary.key.epoch, court))

    def _remember(self, model: Model, found: Suspects | None, after: Standing) -> None:
        """Keep what is known of flipped bits as long as scores differ or the episode lasts."""
        if found is not None and found.flips is not None:
            self._flips[model] = found.flips
        elif found is None and Question.AGREEMENT not in after.episodes:
            self._flips.pop(model, None)

    def _empty(self, sitting: _Sitting, court: Court, *, silent: bool) -> Ruling:
        """Judge a lumisection without any event, or that none comes."""
        epoch = self._epochs[-1] if self._epochs else NOBODY
        nothing = Agreement(0, 0, 0.0, None, 0.0, {})
        evidence = Evidence(
            stream=self.name,
            lumisection=sitting.lumisection,
            epoch=epoch,
            completeness=sitting.arrived,
            agreement=nothing,
            pileup=float("nan"),
            reference=None,
            unjudged="no events",
            alarm=float("nan"),
            shifts=(),
            accept=None,
        )
        since = sitting.lumisection if silent else None
        case = Case(evidence, events=0, silent_since=since, skipped=sitting.skipped)
        judgement = self._judge(case, court)
        judged = Judged(
            stream=self.name,
            lumisection=sitting.lumisection,
            summary=None,
            evidence=evidence,
            verdict=judgement.verdict,
            at=sitting.now,
            rejected=sitting.rejected,
            silent=silent,
        )
        return judged, judgement.actions

    def _judge(self, case: Case, court: Court) -> Judgement:
        epoch = case.evidence.epoch
        model = (epoch.model, epoch.digest)
        standing = self._standings.get(model) or Standing(self.name, epoch.model, epoch.digest)
        judgement = judge(standing, case, rules=court.rules, site=court.site)
        self._standings[model] = judgement.standing
        self._absent[model] = 0
        return judgement

    def _conclude(self, lumisection: Lumisection, *, patience: int) -> list[Action]:
        """Let go of models that have not been seen for a while, and of the pages that were raised for them."""
        present = {(epoch.model, epoch.digest) for epoch in self._epochs}
        said: list[Action] = []
        for model in sorted(self._standings.keys() - present):
            self._absent[model] += 1
            if self._absent[model] >= patience:
                said += conclude(self._standings.pop(model), lumisection)
                del self._absent[model]
                self._flips.pop(model, None)
        return said

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        calls = self._calls
        waiting = [
            (ls, partition, calls.waiting[ls][partition])
            for ls in sorted(calls.waiting)
            for partition in sorted(calls.waiting[ls])
        ]
        names = {
            "schema": SCHEMA,
            "done": calls.done,
            "newest": sorted([partition, *ls] for partition, ls in calls.newest.items()),
            "since": [[*ls, calls.since[ls]] for ls in sorted(calls.since)],
            "standings": [self._standings[model].to_json() for model in sorted(self._standings)],
            "absent": [[*model, self._absent[model]] for model in sorted(self._absent)],
            "epochs": [[e.model, e.digest, e.menu, e.firmware, e.prescale_column] for e in self._epochs],
            "silent": self._silent,
            "flips": [
                [*model, [[f.layer, f.part, list(f.index), f.bit] for f in self._flips[model]]]
                for model in sorted(self._flips)
            ],
        }
        arrays = {f"waiting.{i:06}": _bytes(closed.to_bytes()) for i, (_, _, closed) in enumerate(waiting)}
        return pack(names, {**arrays, "conditions": _bytes(self._conditions.to_bytes())})

    def restore(self, content: bytes) -> None:
        """Take the state that `to_bytes` wrote. Raises `Unreadable`."""
        names, arrays = unpack(content)
        if names.get("schema") != SCHEMA:
            raise Unreadable(f"schema is {names.get('schema')!r}, not {SCHEMA!r}: this is not a stream's state")
        calls = RollCall(self._calls.expected)
        calls.done = None if names["done"] is None else Lumisection(*names["done"])
        calls.newest = {partition: Lumisection(run, ls) for partition, run, ls in names["newest"]}
        calls.since = {Lumisection(run, ls): since for run, ls, since in names["since"]}
        for key in sorted(arrays):
            if key.startswith("waiting."):
                closed = PartitionClosed.from_bytes(arrays[key].tobytes())
                calls.waiting.setdefault(closed.lumisection, {})[closed.partition] = closed
        self._calls = calls
        self._conditions.restore(arrays["conditions"].tobytes())
        standings = [Standing.from_json(each) for each in names["standings"]]
        self._standings = {(each.model, each.digest): each for each in standings}
        self._absent = {(model, digest): count for model, digest, count in names["absent"]}
        self._flips = {  # a state that was written before weight bits were searched has none
            (model, digest): tuple(Flip(layer, part, tuple(index), bit) for layer, part, index, bit in flips)
            for model, digest, flips in names.get("flips", [])
        }
        self._epochs = tuple(Epoch(*each) for each in names["epochs"])
        self._heard, self._silent = None, names["silent"]


def _begins(before: Standing | None, after: Standing) -> bool:
    """Say whether an episode of mismatches has just begun: its first events are kept for replay."""
    known = before is not None and Question.AGREEMENT in before.episodes
    return Question.AGREEMENT in after.episodes and not known


def _bytes(content: bytes) -> np.ndarray[Any, np.dtype[np.uint8]]:
    return np.frombuffer(content, np.uint8)
