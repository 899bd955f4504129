"""The one SQLite file: interface (being written)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.decide.capsule import Capsule
from monitor.decide.retrain import Event, Request, State
from monitor.store.commit import Commit, CounterKey, Entry, PartitionKey


class Damaged(Exception):
    """The file is not a healthy database; the message says how to go back to the newest good backup."""


class InUse(Exception):
    """Another process has the file open; the message says which file."""


class Full(Exception):
    """The disk is full: nothing was written and nothing was lost."""


class Absent(LookupError):
    """No such verdict or request."""


class Database:
    """Every method may be called from any thread; each writing method is one durable transaction.

    `routes` says which sinks get which kind of outbox entry: {"verdict": ("kafka", "webhook"), "page": ("alertmanager",)}.
    A kind without a route is kept in the history only.
    """

    def __init__(self, path: Path, *, routes: Mapping[str, Sequence[str]], keep_lumisections: int = 5_000, keep_summaries: int = 50) -> None: ...
    def close(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None: ...

    def commit(self, commit: Commit) -> None:
        """Write everything in one transaction. Raises `Full`."""
    def frontiers(self) -> dict[PartitionKey, dict[str, Any]]:
        """Return the stored frontiers as JSON values."""
    def state(self, name: str) -> bytes | None: ...
    def counters(self) -> dict[CounterKey, int]: ...

    def pending(self, sink: str, *, limit: int) -> tuple[Entry, ...]:
        """Return the oldest entries that `sink` has not been given, in the order they were written."""
    def waiting(self, sink: str) -> int: ...
    def delivered(self, sink: str, numbers: Sequence[int], *, now: float) -> None: ...

    def verdicts(self, *, limit: int, stream: str | None = None) -> tuple[dict[str, Any], ...]:
        """Newest first: the verdict's JSON plus "change", "at", "acknowledged"."""
    def lumisections(self, *, limit: int, stream: str | None = None) -> tuple[dict[str, Any], ...]:
        """Newest first: run, ls, level, blame, verdict id, counts, evidence."""
    def summaries(self, stream: str, *, limit: int) -> tuple[bytes, ...]:
        """Newest first: `Summary` bytes of the most recent lumisections."""
    def acknowledge(self, verdict: str, *, who: str, note: str, now: float) -> None:
        """Raises `Absent`."""
    def acknowledgement(self, verdict: str) -> dict[str, Any] | None:
        """{"who","note","at"} or None."""

    def requests(self, *, stream: str | None = None) -> tuple[tuple[Request, State], ...]: ...
    def move(self, request: str, event: Event, *, who: str, note: str, now: float) -> State:
        """Step a retraining request; writes the transition and a RETRAIN action. Raises `Absent`, `NotAllowed`."""
    def transitions(self, request: str) -> tuple[dict[str, Any], ...]: ...
    def capsule(self, id: str) -> Capsule: ...  # noqa: A002

    def keep_book(self, content: bytes, *, id: str, version: str, now: float, promote: bool) -> None: ...  # noqa: A002
    def promoted_book(self) -> bytes | None: ...
    def books(self) -> tuple[dict[str, Any], ...]: ...

    def back_up(self, into: Path) -> None:
        """Write a healthy copy at `into` while running; the previous one stays until the new one is good."""


def restore(path: Path, *, backup: Path) -> None:
    """Put `backup` (checked first) in the place of `path`; the damaged file is kept beside it."""
