"""The one SQLite file: everything that must survive, changed in one transaction per step."""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from monitor.decide.capsule import Capsule
from monitor.decide.retrain import Event, Request, State
from monitor.store import file, history, outbox, requests
from monitor.store.commit import Commit, CounterKey, Entry, PartitionKey
from monitor.store.file import Damaged, InUse, backup_path, restore
from monitor.trigger.lumisection import Lumisection

__all__ = ["Absent", "Damaged", "Database", "Full", "InUse", "backup_path", "restore"]


class Full(Exception):
    """The disk is full: nothing of the transaction was written, and nothing older was lost."""


class Absent(LookupError):
    """There is no such verdict, request or capsule."""


class Database:
    """Opened once, by one process. Any thread may call any method; each writing method is one durable transaction.

    Parameters
    ----------
    path
        The file; created where there is none. `InUse` and `Damaged` say what to do.
    routes
        Which sinks get which kind of outbox entry: `{"verdict": ("kafka", "webhook"), "page": ("alertmanager",)}`.
        A kind without a route goes nowhere; verdicts and requests are kept in the history all the same.
    keep_lumisections, keep_summaries
        How many judged lumisections a stream keeps, and for how many of them the full summary.
    """

    def __init__(
        self,
        path: Path,
        *,
        routes: Mapping[str, Sequence[str]],
        keep_lumisections: int = 5_000,
        keep_summaries: int = 50,
    ) -> None:
        self.path = path
        self._routes = {kind: tuple(sinks) for kind, sinks in routes.items()}
        self._keep = (keep_lumisections, keep_summaries)
        self._mutex = threading.RLock()
        self._lock = file.lock(path)
        try:
            self._connection = file.connect(path)
        except BaseException:
            self._lock.close()
            raise

    def close(self) -> None:
        """Close the file and let other processes have it; idempotent."""
        with self._mutex:
            self._connection.close()
            self._lock.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    # One step of the loop

    def commit(self, commit: Commit) -> None:
        """Write everything that one step has led to, or nothing of it. Raises `Full`."""
        with self._transaction() as connection:
            self._write_state(connection, commit)
            for judged in commit.judged:
                history.put_judged(connection, judged)
                if judged.retrain is not None:
                    requests.put_request(connection, judged.retrain, now=commit.now)
            for action in commit.actions:
                history.put_verdict(connection, action, now=commit.now)
                outbox.put_action(connection, action, routes=self._routes, now=commit.now)
            for letter in commit.letters:
                outbox.put_letter(connection, letter, routes=self._routes, now=commit.now)
            lumisections, summaries = self._keep
            for stream in sorted({judged.stream for judged in commit.judged}):
                history.prune(connection, stream, lumisections=lumisections, summaries=summaries)

    def _write_state(self, connection: sqlite3.Connection, commit: Commit) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO frontier VALUES (?, ?, ?, ?)",
            [(*key, outbox.to_text(content), commit.now) for key, content in commit.frontiers.items()],
        )
        connection.executemany(
            "INSERT OR REPLACE INTO state VALUES (?, ?, ?)",
            [(name, content, commit.now) for name, content in commit.states.items()],
        )
        connection.executemany(
            "INSERT INTO counter VALUES (?, ?, ?, ?) "
            "ON CONFLICT (name, stream, label) DO UPDATE SET value = value + excluded.value",
            [(*key, value) for key, value in commit.counters.items()],
        )

    def frontiers(self) -> dict[PartitionKey, dict[str, Any]]:
        """Return the frontier of every partition, as it was committed."""
        rows = self._rows("SELECT topic, partition, content FROM frontier")
        return {(topic, partition): json.loads(content) for topic, partition, content in rows}

    def state(self, name: str) -> bytes | None:
        """Return the bytes last committed under `name`, or None."""
        rows = self._rows("SELECT content FROM state WHERE name = ?", name)
        return rows[0][0] if rows else None

    def counters(self) -> dict[CounterKey, int]:
        """Return every counter by (name, stream, label)."""
        rows = self._rows("SELECT name, stream, label, value FROM counter")
        return {(name, stream, label): value for name, stream, label, value in rows}

    # The outbox

    def pending(self, sink: str, *, limit: int) -> tuple[Entry, ...]:
        """Return the oldest entries that `sink` has not been given, in the order they were written."""
        with self._mutex:
            return outbox.pending(self._connection, sink, limit=limit)

    def waiting(self, sink: str) -> int:
        """Return how many entries `sink` has not been given."""
        with self._mutex:
            return outbox.waiting(self._connection, sink)

    def delivered(self, sink: str, numbers: Sequence[int], *, now: float) -> None:
        """Note that `sink` has these entries (by `Entry.number`). Raises `Full`."""
        del now
        with self._transaction() as connection:
            outbox.delivered(connection, sink, numbers)

    # What happened

    def verdicts(self, *, limit: int, stream: str | None = None) -> tuple[dict[str, Any], ...]:
        """Return changes of verdicts, newest first: the action's payload, `at`, and `acknowledged` or None."""
        with self._mutex:
            return history.verdicts(self._connection, limit=limit, stream=stream)

    def lumisections(self, *, limit: int, stream: str | None = None) -> tuple[dict[str, Any], ...]:
        """Return judged lumisections, newest first: run, ls, level, blame, verdict (id), counts, evidence, `at`."""
        with self._mutex:
            return history.lumisections(self._connection, limit=limit, stream=stream)

    def since(self, stream: str, lumisection: Lumisection) -> tuple[dict[str, Any], ...]:
        """Return the same of one stream from `lumisection` on, in the order of data taking."""
        with self._mutex:
            return history.since(self._connection, stream, lumisection)

    def summaries(self, stream: str, *, limit: int) -> tuple[bytes, ...]:
        """Return the bytes of the newest summaries of a stream, newest first."""
        with self._mutex:
            return history.summaries(self._connection, stream, limit=limit)

    def capsule(self, id: str) -> Capsule:  # noqa: A002 - it is one
        """Return a stored capsule. Raises `Absent`."""
        rows = self._rows("SELECT content FROM capsule WHERE id = ?", id)
        if not rows:
            raise Absent(f"no capsule has id {id!r}: take one from a verdict's `capsule`")
        return Capsule.from_json(json.loads(rows[0][0]))

    # What people say

    def acknowledge(self, verdict: str, *, who: str, note: str, now: float, label: str = "") -> None:
        """Note that `who` has seen the verdict; the latest word counts. Raises `Absent`.

        A `note` and a `label` stay until another one is given: who only looks, without them, takes nothing back.
        """
        with self._transaction() as connection:
            if not history.knows_verdict(connection, verdict):
                raise Absent(f"no verdict has id {verdict!r}")
            connection.execute(
                "INSERT INTO acknowledgement (verdict, who, note, at, label) VALUES (?, ?, ?, ?, ?) "
                "ON CONFLICT (verdict) DO UPDATE SET who = excluded.who, at = excluded.at, "
                "note = iif(excluded.note = '', note, excluded.note), "
                "label = iif(excluded.label = '', label, excluded.label)",
                (verdict, who, note, now, label),
            )

    def acknowledgement(self, verdict: str) -> dict[str, Any] | None:
        """Return who has seen the verdict, as `who`, `note`, `at` and `label` ("" without), or None."""
        rows = self._rows("SELECT who, note, at, label FROM acknowledgement WHERE verdict = ?", verdict)
        return dict(zip(("who", "note", "at", "label"), rows[0], strict=True)) if rows else None

    def labels(self, stream: str) -> dict[str, int]:
        """Return how many verdicts of a stream people have given each label."""
        with self._mutex:
            return history.labels(self._connection, stream)

    def requests(self, *, stream: str | None = None) -> tuple[tuple[Request, State], ...]:
        """Return the retraining requests with their states, newest first."""
        with self._mutex:
            return requests.requests(self._connection, stream=stream)

    def request(self, id: str) -> tuple[Request, State]:  # noqa: A002 - it is one
        """Return one retraining request with its state. Raises `Absent`."""
        with self._mutex:
            found = requests.find(self._connection, id)
        if found is None:
            raise Absent(f"no retraining request has id {id!r}")
        return found

    def move(self, request: str, event: Event, *, who: str, note: str, now: float) -> State:
        """Step a retraining request and tell the retraining sinks. Raises `Absent`, `NotAllowed`."""
        with self._transaction() as connection:
            done = requests.step(connection, request, event, who=who, note=note, now=now)
            if done is None:
                raise Absent(f"no retraining request has id {request!r}")
            state, said = done
            outbox.put_action(connection, said, routes=self._routes, now=now)
            return state

    def transitions(self, request: str) -> tuple[dict[str, Any], ...]:
        """Return every step of a request, oldest first: event, state, who, note, at."""
        with self._mutex:
            return requests.transitions(self._connection, request)

    # Books

    def keep_book(self, content: bytes, *, id: str, version: str, now: float, promote: bool) -> None:  # noqa: A002
        """Keep a Book; `promote` makes it the one that new lumisections are judged by."""
        with self._transaction() as connection:
            if promote:
                connection.execute("UPDATE book SET promoted = 0")
            connection.execute(
                "INSERT INTO book VALUES (?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET promoted = "
                "max(promoted, excluded.promoted)",
                (id, version, content, int(promote), now),
            )

    def promoted_book(self) -> bytes | None:
        """Return the bytes of the promoted Book, or None."""
        rows = self._rows("SELECT content FROM book WHERE promoted")
        return rows[0][0] if rows else None

    def books(self) -> tuple[dict[str, Any], ...]:
        """Return all kept Books, newest first: id, version, promoted, at."""
        rows = self._rows("SELECT id, version, promoted, at FROM book ORDER BY at DESC, rowid DESC")
        return tuple({"id": row[0], "version": row[1], "promoted": bool(row[2]), "at": row[3]} for row in rows)

    # Care

    def back_up(self, into: Path | None = None) -> Path:
        """Copy the database while it is used; return where to. Writers wait only for each other."""
        chosen = into or backup_path(self.path)
        file.back_up(self.path, chosen)
        return chosen

    def _rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with self._mutex:
            return self._connection.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._mutex:
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorname == "SQLITE_FULL":
                    raise Full(
                        f"the disk of {self.path} is full: nothing was written and nothing is lost. Make room; "
                        "the daemon goes on from here"
                    ) from error
                raise
