"""What waits to be said, per sink: written with the state that it follows from, taken out once delivered."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Mapping, Sequence
from typing import Any

from monitor.decide.action import Action
from monitor.store.commit import Entry, Letter

REMEMBERED = 20_000  # entries whose ids are kept after delivery, so that a repetition is known as one

Routes = Mapping[str, Sequence[str]]


def put_action(connection: sqlite3.Connection, action: Action, *, routes: Routes, now: float) -> None:
    """Queue an action for the sinks of its kind; one with a known id is dropped."""
    payload = to_text(action.payload)
    _put(connection, (action.id, action.kind.value, action.stream, payload, None, now), routes)


def put_letter(connection: sqlite3.Connection, letter: Letter, *, routes: Routes, now: float) -> None:
    """Queue a letter for the sinks of its kind; one with a known id is dropped."""
    attributes = to_text(letter.attributes)
    _put(connection, (letter.id, letter.kind, letter.stream, attributes, letter.body, now), routes)


def _put(connection: sqlite3.Connection, row: tuple[str, str, str, str, bytes | None, float], routes: Routes) -> None:
    sinks = routes.get(row[1], ())
    if not sinks:
        return
    columns = "(id, kind, stream, payload, body, at) VALUES (?, ?, ?, ?, ?, ?)"
    done = connection.execute(f"INSERT INTO entry {columns} ON CONFLICT (id) DO NOTHING", row)
    if done.rowcount:
        connection.executemany("INSERT INTO delivery VALUES (?, ?)", [(sink, done.lastrowid) for sink in sinks])


def pending(connection: sqlite3.Connection, sink: str, *, limit: int) -> tuple[Entry, ...]:
    """Return the oldest entries that `sink` has not been given."""
    rows = connection.execute(
        "SELECT number, id, kind, stream, payload, body, at FROM delivery JOIN entry USING (number) "
        "WHERE sink = ? ORDER BY number LIMIT ?",
        (sink, limit),
    )
    return tuple(
        Entry(number, entry, kind, stream, json.loads(payload), body, at)
        for number, entry, kind, stream, payload, body, at in rows
    )


def waiting(connection: sqlite3.Connection, sink: str) -> int:
    """Return how many entries `sink` has not been given."""
    (count,) = connection.execute("SELECT count(*) FROM delivery WHERE sink = ?", (sink,)).fetchone()
    return int(count)


def delivered(connection: sqlite3.Connection, sink: str, numbers: Sequence[int]) -> None:
    """Take entries out for one sink; an entry that every sink has keeps its id only, for a while."""
    connection.executemany("DELETE FROM delivery WHERE sink = ? AND number = ?", [(sink, each) for each in numbers])
    nobody = "NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.number = entry.number)"
    connection.executemany(
        f"UPDATE entry SET body = NULL, payload = '{{}}' WHERE number = ? AND {nobody}",  # noqa: S608
        [(each,) for each in numbers],
    )
    connection.execute(
        f"DELETE FROM entry WHERE number <= (SELECT max(number) FROM entry) - ? AND {nobody}",  # noqa: S608
        (REMEMBERED,),
    )


def to_text(value: Any) -> str:
    """Return JSON; raises ValueError for NaN and infinity, which JSON does not know."""
    return json.dumps(value, allow_nan=False, ensure_ascii=False, separators=(",", ":"))
