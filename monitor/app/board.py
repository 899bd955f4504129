"""What the loop has seen last, kept in the form that pages and metrics read."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitor.app import plots
from monitor.app.loop import Turn
from monitor.app.pace import Pace
from monitor.decide.retrain import Request, State
from monitor.decide.verdict import Blame, Level
from monitor.observe.summary import Summary
from monitor.reference.page import Page
from monitor.serve.view import (
    Acknowledgement,
    Compared,
    Counters,
    LevelPoint,
    RetrainView,
    SinkView,
    Snapshot,
    SourceView,
    StreamView,
)
from monitor.store.commit import CounterKey
from monitor.store.database import Database
from monitor.stream.transport import Source
from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection
from monitor.trigger.site import Site
from monitor.watch.judged import Judged

POOLED_LUMISECTIONS = 10
HISTORY_LUMISECTIONS = 240
RENEW_SECONDS = 0.5
MOST_MAPS = 2
TROUBLE_SECONDS = 60.0
MOST_TROUBLES = 5
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What never changes while the daemon runs."""

    site: Site
    version: str
    role: str
    started: float
    streams: tuple[str, ...]
    silent_after: float
    stale_after: float = 60.0


@dataclass(slots=True)
class _Stream:
    """One stream's memory, newest last; `drawn` is made once for each judged lumisection."""

    judged: Judged | None = None
    levels: deque[LevelPoint] = field(default_factory=lambda: deque(maxlen=HISTORY_LUMISECTIONS))
    pooled: deque[tuple[Summary, Page | None]] = field(default_factory=lambda: deque(maxlen=POOLED_LUMISECTIONS))
    drawn: dict[str, Any] = field(default_factory=dict)
    delay: float | None = None


class Board:
    """Sees every turn and makes a Snapshot at most twice a second, which any thread may read at once."""

    def __init__(
        self,
        identity: Identity,
        *,
        database: Database,
        source: Source,
        engine: Callable[[str], str],
        page: Callable[[str, Epoch], Page | None],
        sinks: Callable[[], Sequence[SinkView]],
        problems: Callable[[], Iterable[str]],
    ) -> None:
        self._identity = identity
        self._database = database
        self._source = source
        self._engine = engine
        self._page = page
        self._sinks = sinks
        self._problems = problems
        self._streams = {name: _Stream(levels=_history(database, name)) for name in identity.streams}
        self._newest: float | None = None
        self._problem = ""
        self._troubles: dict[str, float] = {}
        self._shown_at = float("-inf")
        self._pace = Pace()
        self._lock = threading.Lock()
        self._snapshot = self._make(identity.started, ready=False)

    def snapshot(self) -> Snapshot:
        """Return the snapshot that was made last."""
        with self._lock:
            return self._snapshot

    def see(self, turn: Turn) -> None:
        """Take note of a turn; renew the snapshot where something was judged or it is due."""
        self._problem = turn.problem
        self._hear(turn)
        if self._pace.take(len(turn.records), now=turn.now):
            for what in self._pace.read(sum(self._source.health().lag.values()), now=turn.now):
                log.info("the daemon's %s has changed: trigwatch_pace_changes_total counts it", what)
        for record in turn.records:
            # No record is newer than now, whatever its producer's clock says.
            stamp = min(record.timestamp, turn.now)
            self._newest = stamp if self._newest is None else max(self._newest, stamp)
        for judged in turn.done.judged:
            self._note(judged)
        if turn.done.judged or turn.problem or turn.now - self._shown_at >= RENEW_SECONDS:
            self.renew(turn.now)

    def renew(self, now: float) -> None:
        """Make a new snapshot."""
        snapshot = self._make(now, ready=True)
        with self._lock:
            self._snapshot = snapshot
        self._shown_at = now

    def _hear(self, turn: Turn) -> None:
        """Remember an emulator's trouble for a while, and log it when it begins."""
        for trouble in turn.troubles:
            if trouble not in self._troubles:
                log.error("%s", trouble)
            self._troubles[trouble] = turn.now
        recent = {words: at for words, at in self._troubles.items() if turn.now - at < TROUBLE_SECONDS}
        self._troubles = dict(sorted(recent.items(), key=lambda each: each[1])[-MOST_TROUBLES:])

    def _wrong(self, source: str) -> tuple[str, ...]:
        return tuple(filter(None, (self._problem, source, *self._troubles, *self._problems())))

    def _note(self, judged: Judged) -> None:
        stream = self._streams.setdefault(judged.stream, _Stream())
        verdict = judged.verdict
        stream.judged = judged
        stream.levels.append(LevelPoint(judged.lumisection, verdict.level, verdict.blame, judged.evidence.alarm))
        stream.delay = None if self._newest is None else max(0.0, judged.at - self._newest)
        if judged.summary is not None:
            latest = (judged.summary, self._page(judged.stream, judged.summary.key.epoch))
            if stream.pooled and not _add_up(stream.pooled[-1], latest):
                stream.pooled.clear()
            stream.pooled.append(latest)
        stream.drawn = {}

    def _make(self, now: float, *, ready: bool) -> Snapshot:
        counters = self._database.counters()
        requests = self._database.requests()
        health = self._source.health()
        return Snapshot(
            site=self._identity.site,
            version=self._identity.version,
            role=self._identity.role,
            started=self._identity.started,
            now=now,
            ready=ready,
            streams=tuple(self._view(name, each, counters, requests) for name, each in self._streams.items()),
            problems=self._wrong("" if health.reachable else f"no data source: {health.detail}"),
            stale_after=self._identity.stale_after,
            source=SourceView(
                reachable=health.reachable,
                last_fetch_age=health.last_fetch_age,
                lag={(each.topic, each.partition): lag for each, lag in health.lag.items()},
                detail=health.detail,
            ),
            sinks=tuple(self._sinks()),
            canaries=self._canaries(),
            pace_changes=dict(self._pace.changes),
            unattributed={
                reason: n for (name, stream, reason), n in counters.items() if name == "rejected" and not stream
            },
        )

    def _canaries(self) -> dict[str, float]:
        """Return the delay of every planted fault, the longest of all streams."""
        found: dict[str, float] = {}
        for stream in self._streams.values():
            for fault, delay in (stream.judged.canaries if stream.judged else {}).items():
                found[fault] = max(delay, found.get(fault, 0.0))
        return found

    def _view(
        self,
        name: str,
        stream: _Stream,
        counters: Mapping[CounterKey, int],
        requests: Sequence[tuple[Request, State]],
    ) -> StreamView:
        counted = _counters(name, counters)
        judged = stream.judged
        if judged is None:
            return StreamView(name, counters=counted, silent_after=self._identity.silent_after)
        verdict = judged.verdict
        if not stream.drawn:
            stream.drawn = _drawn(tuple(stream.pooled), judged)
        return StreamView(
            name=name,
            model=verdict.model,
            digest=verdict.digest,
            engine=self._engine(verdict.digest),
            verdict=verdict,
            evidence=judged.evidence,
            acknowledged=_acknowledged(self._database.acknowledgement(verdict.id)),
            labels=self._database.labels(name),
            judged_at=judged.at,
            silent_after=self._identity.silent_after,
            newest_event_timestamp=self._newest,
            lumisection_delay=stream.delay,
            counters=counted,
            levels=tuple(stream.levels),
            retrain=self._request(name, requests),
            **stream.drawn,
        )

    def _request(self, stream: str, requests: Sequence[tuple[Request, State]]) -> RetrainView | None:
        own = [(request, state) for request, state in requests if request.stream == stream]
        if not own:
            return None
        request, state = max(own, key=lambda each: each[0].lumisection)
        steps = self._database.transitions(request.id)
        who, note = (steps[-1]["who"], steps[-1]["note"]) if steps else ("", "")
        return RetrainView(request.id, state, request.dossier, who=who or "", note=note or "")


def _add_up(earlier: tuple[Summary, Page | None], later: tuple[Summary, Page | None]) -> bool:
    (left, page), (right, next_page) = earlier, later
    return left.shape == right.shape and left.key.epoch == right.key.epoch and page is next_page


def _drawn(pooled: Sequence[tuple[Summary, Page | None]], judged: Judged) -> dict[str, Any]:
    if not pooled:
        return {"score": None, "inputs": (), "maps": ()}
    sums = plots.pool(
        [summary for summary, _ in pooled],
        [None if page is None else page.histograms(summary) for summary, page in pooled],
    )
    moved = list(dict.fromkeys(shift.where.object for shift in judged.evidence.shifts if shift.where.object))
    return {
        "score": plots.score_histogram(sums),
        "inputs": plots.input_histograms(sums, moved=moved),
        "maps": plots.maps(sums, moved=moved)[:MOST_MAPS],
    }


def _history(database: Database, stream: str) -> deque[LevelPoint]:
    """Return the levels that a restarted daemon had shown; their evidence ratios are not kept."""
    rows = database.lumisections(limit=HISTORY_LUMISECTIONS, stream=stream)
    points = (
        LevelPoint(Lumisection(row["run"], row["ls"]), Level(row["level"]), Blame(row["blame"]))
        for row in reversed(rows)
    )
    return deque(points, maxlen=HISTORY_LUMISECTIONS)


def _acknowledged(row: Mapping[str, Any] | None) -> Acknowledgement | None:
    return None if row is None else Acknowledgement(**row)


def _counters(stream: str, counters: Mapping[CounterKey, int]) -> Counters:
    def labelled(name: str) -> dict[str, int]:
        return {label: n for (kind, owner, label), n in counters.items() if (kind, owner) == (name, stream)}

    compared, mismatched = labelled("compared"), labelled("mismatched")
    return Counters(
        events=counters.get(("events", stream, ""), 0),
        lost_batches=counters.get(("lost_batches", stream, ""), 0),
        agreement={model: Compared(n, mismatched.get(model, 0)) for model, n in compared.items()},
        not_comparable=labelled("not_comparable"),
        rejected=labelled("rejected"),
        lumisections={Level(level): n for level, n in labelled("lumisections").items()},
    )
