"""One stream's conditions: which page is open, what is being learnt where there is none, and the battery's memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from monitor.decide.verdict import identify
from monitor.drift.evidence import Completeness, Evidence
from monitor.drift.state import BatteryState
from monitor.observe.summary import Summary
from monitor.reference.learn import Unlearnable, learn_page
from monitor.reference.page import FEWEST_EVENTS, Page, PageKey
from monitor.trigger.pack import pack, unpack
from monitor.watch.court import Court
from monitor.watch.dossier import Recent

MOST_EPOCHS = 8  # epochs whose detectors are remembered, and keys whose pages are being learnt at a time
Subject = str


@dataclass(slots=True)
class Conditions:
    """The battery's states per epoch, and the lumisections that a page is being learnt from.

    Detectors belong to an epoch: in a stream that changes back and forth, each goes on where it stopped.
    """

    stream: str
    floor: float | None
    _states: dict[Subject, BatteryState] = field(default_factory=dict)
    _recent: dict[Subject, Recent] = field(default_factory=dict)
    _lessons: dict[PageKey, list[Summary]] = field(default_factory=dict)

    def step(self, summary: Summary, arrived: Completeness, court: Court) -> Evidence:
        """Judge one lumisection of one epoch, and learn from it where there is no page."""
        page = court.open(self.stream, summary.key.epoch)
        subject = _subject(summary)
        state, evidence = court.battery.step(
            self._states.pop(subject, None),
            summary=summary,
            page=page,
            completeness=arrived,
            floor=self.floor,
            unjudged=self._progress(summary, court) if page is None else None,
        )
        self._states[subject] = state
        self.recent(summary).add(summary, evidence.accept)
        _keep_newest(self._states)
        _keep_newest(self._recent)
        if page is None and _is_clean(summary, evidence, court):
            self._learn(summary, court)
        return evidence

    def recent(self, summary: Summary) -> Recent:
        """Return the scores of the newest lumisections of this one's epoch."""
        return self._recent.setdefault(_subject(summary), Recent())

    def _progress(self, summary: Summary, court: Court) -> str:
        known = len(self._lessons.get(PageKey.of(self.stream, summary.key.epoch), ()))
        return f"learning {known} of {court.learn_lumisections}; {court.book.why(self.stream, summary.key.epoch)}"

    def _learn(self, summary: Summary, court: Court) -> None:
        """Take a clean lumisection in; with enough of them there is a page from the next one on."""
        key = PageKey.of(self.stream, summary.key.epoch)
        lessons = [each for each in self._lessons.pop(key, []) if each.shape == summary.shape]
        lessons.append(summary)
        if len(lessons) < court.learn_lumisections:
            self._lessons[key] = lessons
            _keep_newest(self._lessons)
            return
        page = _page(lessons)
        if page is None:
            self._lessons[key] = lessons[1:]  # too little in them: go on with newer ones
        else:
            court.learn(page)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        subjects, keys = list(self._states), list(self._lessons)
        arrays = {f"state.{i:02}": _bytes(self._states[subject].to_bytes()) for i, subject in enumerate(subjects)}
        for i, key in enumerate(keys):
            arrays.update({f"lesson.{i:02}.{j:04}": _bytes(s.to_bytes()) for j, s in enumerate(self._lessons[key])})
        recent = {subject: each for subject, each in self._recent.items() if each.scores}
        arrays.update({f"recent.{i:02}": np.stack(each.scores) for i, each in enumerate(recent.values())})
        names = {
            "subjects": subjects,
            "keys": [list(key) for key in keys],
            "recent": [[subject, each.wanted] for subject, each in recent.items()],
        }
        return pack(names, arrays)

    def restore(self, content: bytes) -> None:
        """Take the state that `to_bytes` wrote. Raises `Unreadable`."""
        names, arrays = unpack(content)
        self._states = {
            subject: BatteryState.from_bytes(arrays[f"state.{i:02}"].tobytes())
            for i, subject in enumerate(names["subjects"])
        }
        self._recent = {
            subject: Recent(list(arrays[f"recent.{i:02}"]), wanted)
            for i, (subject, wanted) in enumerate(names["recent"])
        }
        self._lessons = {PageKey(*key): _lessons(arrays, f"lesson.{i:02}.") for i, key in enumerate(names["keys"])}


def _subject(summary: Summary) -> Subject:
    epoch = summary.key.epoch
    names = (epoch.model, epoch.digest, epoch.menu, epoch.firmware, epoch.prescale_column)
    return identify(*names, summary.shape.digest())


def _lessons(arrays: Mapping[str, NDArray[Any]], prefix: str) -> list[Summary]:
    return [Summary.from_bytes(arrays[name].tobytes()) for name in sorted(arrays) if name.startswith(prefix)]


def _page(lessons: list[Summary]) -> Page | None:
    try:
        return learn_page(lessons)
    except Unlearnable:
        return None


def _is_clean(summary: Summary, evidence: Evidence, court: Court) -> bool:
    """Say whether a lumisection may teach what is normal: enough events, nothing missing, no mismatches."""
    arrived = evidence.completeness
    whole = not arrived.missing_partitions and arrived.fraction_lost < court.rules.incomplete
    return whole and summary.events >= FEWEST_EVENTS and evidence.agreement.ratio < court.rules.warning


def _keep_newest(found: dict[Any, Any]) -> None:
    while len(found) > MOST_EPOCHS:
        del found[next(iter(found))]


def _bytes(content: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(content, np.uint8)
