"""One stream's conditions: which page is open, what is learnt where the Book has none, and the battery's memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emulator.pack import pack, unpack
from monitor.decide.verdict import identify
from monitor.drift.evidence import Completeness, Evidence
from monitor.drift.state import BatteryState
from monitor.observe.summary import Summary
from monitor.reference.apprentice import Apprentice
from monitor.reference.learn import Unlearnable
from monitor.reference.page import FEWEST_EVENTS, Page, PageKey
from monitor.trigger.header import Epoch
from monitor.trigger.known import Known
from monitor.watch.canary import Canary
from monitor.watch.court import Court
from monitor.watch.recent import ARRAYS, Recent

MOST_EPOCHS = 8  # epochs whose detectors are remembered, and keys whose pages are being learnt at a time
Subject = str


@dataclass(slots=True)
class Conditions:
    """The battery's states per epoch, and the apprentices that learn pages.

    Detectors belong to an epoch: in a stream that changes back and forth, each goes on where it stopped.
    """

    stream: str
    floor: float | None
    canary: Canary = field(default_factory=Canary)
    _states: dict[Subject, BatteryState] = field(default_factory=dict)
    _recent: dict[Subject, Recent] = field(default_factory=dict)
    _apprentices: dict[PageKey, Apprentice] = field(default_factory=dict)
    _packed: dict[PageKey, tuple[Apprentice, bytes]] = field(default_factory=dict)

    def page(self, epoch: Epoch, court: Court) -> Page | None:
        """Return what is normal for an epoch; a page that people promoted comes before one learnt while watching."""
        promoted = court.book.open(self.stream, epoch)
        apprentice = self._apprentices.get(PageKey.of(self.stream, epoch))
        return promoted if promoted is not None or apprentice is None else apprentice.page

    def learnt(self) -> tuple[Page, ...]:
        """Return the pages that were learnt while watching."""
        return tuple(each.page for each in self._apprentices.values() if each.page is not None)

    def step(self, summary: Summary, arrived: Completeness, court: Court) -> Evidence:
        """Judge one lumisection of one epoch, and learn from it where there is no page."""
        page = self.page(summary.key.epoch, court)
        subject = _subject(summary)
        known = court.known.of(self.stream, summary.key.lumisection)
        before = self._states.pop(subject, None)
        state, evidence = court.battery.step(
            # Detectors of another epoch know how the machine is filled, and nothing else of theirs is used.
            before if before is not None else next(reversed(self._states.values()), None),
            summary=summary,
            page=page,
            completeness=arrived,
            floor=self.floor,
            unjudged=self._progress(summary, court, known) if page is None else None,
            known=known,
        )
        self._states[subject] = state
        self.canary = self.canary.step(
            court.canary, before=before, summary=summary, page=page, live=evidence, battery=court.battery
        )
        self.recent(summary).add(summary, evidence.accept)
        _keep_newest(self._states)
        _keep_newest(self._recent)
        learning = court.book.open(self.stream, summary.key.epoch) is None
        if learning and not known and _is_clean(summary, evidence, court):
            self._learn(summary, evidence, court)
        return evidence

    def recent(self, summary: Summary) -> Recent:
        """Return the newest lumisections of this one's epoch."""
        return self._recent.setdefault(_subject(summary), Recent())

    def _progress(self, summary: Summary, court: Court, known: tuple[Known, ...]) -> str:
        key = PageKey.of(self.stream, summary.key.epoch)
        words = self._apprentices.get(key, Apprentice(wanted=court.learn_lumisections)).words
        if np.isnan(summary.pileup):
            words = f"{words}, but pile-up is unknown: learn from recorded fills instead"
        if known:  # a mask without an end would let it learn for ever
            kinds = " and ".join(dict.fromkeys(each.kind for each in known))
            words = f"{words}, but nothing is learnt while {kinds} is known: build a Book from recorded fills"
        return f"{words}; {court.book.why(self.stream, summary.key.epoch)}"

    def _learn(self, summary: Summary, evidence: Evidence, court: Court) -> None:
        """Let the apprentice see a clean lumisection; too little in it leaves things as they are."""
        key = PageKey.of(self.stream, summary.key.epoch)
        known = self._apprentices.pop(key, Apprentice(wanted=court.learn_lumisections))
        try:
            self._apprentices[key] = known.taught(summary, alarm=evidence.alarm)
        except Unlearnable:
            self._apprentices[key] = known
        _keep_newest(self._apprentices)

    def to_bytes(self) -> bytes:
        """Return the canonical bytes."""
        subjects, keys = list(self._states), list(self._apprentices)
        arrays: dict[str, NDArray[Any]] = {
            f"state.{i:02}": _bytes(self._states[subject].to_bytes()) for i, subject in enumerate(subjects)
        }
        arrays.update({f"apprentice.{i:02}": _bytes(self._pack(key)) for i, key in enumerate(keys)})
        recent = {subject: each for subject, each in self._recent.items() if each.rows}
        for i, each in enumerate(recent.values()):
            arrays.update({f"recent.{i:02}.{name}": stack for name, stack in each.arrays().items()})
        arrays["canary"] = _bytes(self.canary.to_bytes())
        names = {
            "subjects": subjects,
            "keys": [list(key) for key in keys],
            "remembered": [[subject, [row.numbers() for row in each.rows]] for subject, each in recent.items()],
        }
        return pack(names, arrays)

    def restore(self, content: bytes) -> None:
        """Take the state that `to_bytes` wrote. Raises `Unreadable`."""
        names, arrays = unpack(content)
        self.canary = Canary.from_bytes(arrays["canary"].tobytes()) if "canary" in arrays else Canary()
        self._states = {
            subject: BatteryState.from_bytes(arrays[f"state.{i:02}"].tobytes())
            for i, subject in enumerate(names["subjects"])
        }
        self._recent = {  # a state that was written before lumisections were remembered whole has none
            subject: Recent.read(rows, {name: arrays[f"recent.{i:02}.{name}"] for name in ARRAYS})
            for i, (subject, rows) in enumerate(names.get("remembered", []))
        }
        self._apprentices = {
            PageKey(*key): Apprentice.from_bytes(arrays[f"apprentice.{i:02}"].tobytes())
            for i, key in enumerate(names["keys"])
        }

    def _pack(self, key: PageKey) -> bytes:
        """Return an apprentice's bytes; it holds megabytes and often has not changed since the last commit."""
        apprentice = self._apprentices[key]
        known = self._packed.get(key)
        if known is None or known[0] is not apprentice:
            self._packed = {each: packed for each, packed in self._packed.items() if each in self._apprentices}
            self._packed[key] = (apprentice, apprentice.to_bytes())
        return self._packed[key][1]


def _subject(summary: Summary) -> Subject:
    epoch = summary.key.epoch
    names = (epoch.model, epoch.digest, epoch.menu, epoch.firmware, epoch.prescale_column)
    return identify(*names, summary.shape.digest())


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
