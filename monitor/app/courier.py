"""Carries the outbox to the sinks, in a thread of its own: a slow pager does not hold up the loop.

Delivery is at least once, in order for each sink; ids never change, so whoever receives can tell a repetition.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from monitor.serve.view import SinkView
from monitor.store.commit import Entry
from monitor.store.database import Database, Full

log = logging.getLogger(__name__)

BATCH = 100
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0


class Outlet(Protocol):
    """One way out."""

    @property
    def name(self) -> str:
        """The sink's name in the database's routes."""
        ...

    def deliver(self, entries: Sequence[Entry]) -> int:
        """Deliver from the front of `entries`; return how many are done. Raises OSError where the other side fails."""
        ...

    def tend(self, now: float) -> None:
        """Do what the sink needs from time to time: re-post alerts that still fire."""
        ...

    def close(self) -> None:
        """Let go of everything; idempotent."""
        ...


@dataclass(slots=True)
class _Round:
    """One outlet and how it fares."""

    outlet: Outlet
    view: SinkView
    pause: float = 0.0
    not_before: float = 0.0
    problem: str = ""


class Courier:
    """Delivers what waits in the outbox until it is closed; failing sinks are tried again, ever more slowly."""

    def __init__(self, *, database: Database, clock: Callable[[], float]) -> None:
        self._rounds: list[_Round] = []
        self._database = database
        self._clock = clock
        self._wake = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="trigwatch-courier", daemon=True)

    def start(self, outlets: Sequence[Outlet]) -> None:
        """Begin to deliver to `outlets`, in a thread of its own."""
        self.open(outlets)
        self._thread.start()

    def open(self, outlets: Sequence[Outlet]) -> None:
        """Take the outlets on; nothing is delivered before `visit`."""
        self._rounds = [_Round(outlet, SinkView(outlet.name)) for outlet in outlets]

    def visit(self) -> None:
        """Deliver to every outlet that is not being left in peace for a while."""
        for each in self._rounds:
            self._visit(each)

    def wake(self) -> None:
        """Say that something was put into the outbox."""
        self._wake.set()

    def views(self) -> tuple[SinkView, ...]:
        """Return how every sink fares."""
        return tuple(replace(each.view, pending=self._database.waiting(each.view.name)) for each in self._rounds)

    def problems(self) -> tuple[str, ...]:
        """Return what went wrong on our own side, in sentences: a sink that is down is no problem of ours."""
        return tuple(each.problem for each in self._rounds if each.problem)

    def close(self, *, patience: float = 5.0) -> None:
        """Deliver what can be delivered within `patience` seconds, and stop; the rest stays in the outbox."""
        self._closing.set()
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(patience)
        for each in self._rounds:
            each.outlet.close()

    def _run(self) -> None:
        while True:
            self._wake.wait(timeout=FIRST_PAUSE)
            self._wake.clear()
            last = self._closing.is_set()
            self.visit()
            if last:
                return

    def _visit(self, each: _Round) -> None:
        now = self._clock()
        if now < each.not_before and not self._closing.is_set():
            return
        try:
            each.outlet.tend(now)
            while self._deliver_some(each):
                pass
            each.problem = ""
        except (OSError, Full) as error:
            self._back_off(each, now, why=str(error))
        except Exception as error:  # a thread that dies in silence would take every sink's messages with it
            log.exception("delivering to %s failed", each.view.name)
            each.problem = f"delivery to {each.view.name} fails: {type(error).__name__}: {error}; the log says where"
            self._back_off(each, now, why=each.problem)

    def _back_off(self, each: _Round, now: float, *, why: str) -> None:
        each.pause = min(max(2 * each.pause, FIRST_PAUSE), LONGEST_PAUSE)
        each.not_before = now + each.pause
        each.view = replace(each.view, failures=each.view.failures + 1, error=why)

    def _deliver_some(self, each: _Round) -> bool:
        """Return whether there may be more to deliver."""
        entries = self._database.pending(each.view.name, limit=BATCH)
        if not entries:
            return False
        count = each.outlet.deliver(entries)
        numbers = [entry.number for entry in entries[:count]]
        self._database.delivered(each.view.name, numbers, now=self._clock())
        each.pause = 0.0
        each.view = replace(each.view, delivered=each.view.delivered + count, error="")
        return count == BATCH
