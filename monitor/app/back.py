"""The judging half of a turn: closed partitions become verdicts, or travel on to the process that judges."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from monitor.app.known import KnownFile
from monitor.decide.action import Action
from monitor.decide.verdict import identify
from monitor.reference.page import Page
from monitor.store.commit import CounterKey, Letter
from monitor.trigger.header import Epoch
from monitor.watch.aggregator import Aggregator
from monitor.watch.closed import PartitionClosed
from monitor.watch.judged import Judged

log = logging.getLogger(__name__)

SUMMARY = "summary"


@dataclass(frozen=True, slots=True)
class Done:
    """What one turn's closed partitions came to."""

    judged: tuple[Judged, ...] = ()
    actions: tuple[Action, ...] = ()
    letters: tuple[Letter, ...] = ()
    counters: Mapping[CounterKey, int] = field(default_factory=dict)


class Back(Protocol):
    """What happens to closed partitions."""

    def take(self, closed: Sequence[PartitionClosed], *, now: float) -> Done:
        """Return what they came to, and what the passing of time has brought."""
        ...

    def states(self) -> Mapping[str, bytes]:
        """Return what must be stored to go on from here."""
        ...

    def page(self, stream: str, epoch: Epoch) -> Page | None:
        """Return the Book's page that lumisections of this epoch are judged by here."""
        ...


class Judging:
    """The aggregator, here; `known` is looked at before each step, where there is a file of known conditions."""

    def __init__(self, aggregator: Aggregator, known: KnownFile | None = None) -> None:
        self._aggregator = aggregator
        self._known = known
        self._idle: dict[str, tuple[str, ...]] = {}
        if known is not None:
            aggregator.know(known.conditions)

    def take(self, closed: Sequence[PartitionClosed], *, now: float) -> Done:
        """See Back.take."""
        if self._known is not None and self._known.renewed():
            self._aggregator.know(self._known.conditions)
        step, waited = self._aggregator.step(closed, now=now), self._aggregator.tick(now)
        judged = step.judged + waited.judged
        for each in judged:
            self._tell(each)
        return Done(judged=judged, actions=step.actions + waited.actions, counters=counted(judged))

    def _tell(self, judged: Judged) -> None:
        """Log, once as long as it lasts, that there is no reference and that none is learnt either."""
        stream, known = judged.stream, judged.evidence.known
        if judged.summary is None:
            return
        if not known or self.page(stream, judged.evidence.epoch) is not None:
            self._idle.pop(stream, None)
        elif self._idle.get(stream) != known:
            self._idle[stream] = known
            said = (
                "%s: there is no reference, and nothing is learnt while %s is known: build a Book from recorded fills"
            )
            log.warning(said, stream, " and ".join(known))

    def states(self) -> Mapping[str, bytes]:
        """See Back.states."""
        return {"aggregator": self._aggregator.to_bytes()}

    def page(self, stream: str, epoch: Epoch) -> Page | None:
        """See Back.page."""
        return self._aggregator.page(stream, epoch)


class Forwarding:
    """The aggregator in another process: closed partitions go to the summaries topic."""

    def take(self, closed: Sequence[PartitionClosed], *, now: float) -> Done:
        """See Back.take."""
        del now
        return Done(letters=tuple(_summary(each) for each in closed), counters=_received(closed))

    def states(self) -> Mapping[str, bytes]:
        """See Back.states: forwarding remembers nothing."""
        return {}

    def page(self, stream: str, epoch: Epoch) -> Page | None:
        """See Back.page: nothing is judged here."""
        del stream, epoch
        return None


def counted(judged: Sequence[Judged]) -> dict[CounterKey, int]:
    """Return what judged lumisections add to the counters."""
    counters: Counter[CounterKey] = Counter()
    for each in judged:
        stream = each.stream
        counters["lumisections", stream, each.verdict.level.value] += 1
        counters["lost_batches", stream, ""] += each.evidence.completeness.lost_batches
        if each.summary is None:
            continue
        model = each.summary.key.epoch.model
        counters["events", stream, ""] += each.summary.events
        counters["compared", stream, model] += each.summary.compared
        counters["mismatched", stream, model] += each.summary.mismatched
        for reason, events in each.summary.not_comparable.items():
            counters["not_comparable", stream, reason] += events
    return dict(counters)


def _received(closed: Sequence[PartitionClosed]) -> dict[CounterKey, int]:
    counters: Counter[CounterKey] = Counter()
    for each in closed:
        counters["events", each.stream, ""] += each.received
        counters["lost_batches", each.stream, ""] += each.lost_batches
    return dict(counters)


def _summary(closed: PartitionClosed) -> Letter:
    run, ls = closed.lumisection
    return Letter(
        id=identify(SUMMARY, closed.stream, closed.partition, run, ls),
        kind=SUMMARY,
        stream=closed.stream,
        body=closed.to_bytes(),
        # One stream's summaries stay in order: they share a key, and so a partition.
        attributes={"key": closed.stream},
    )
