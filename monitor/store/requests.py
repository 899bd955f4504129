"""Retraining requests and every step they took."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from typing import Any

from monitor.decide.action import Action, Kind
from monitor.decide.retrain import Event, Request, State, move
from monitor.decide.verdict import identify
from monitor.store.outbox import to_text
from monitor.trigger.lumisection import Lumisection

DAEMON = "trigwatch"


def put_request(connection: sqlite3.Connection, request: Request, *, now: float) -> None:
    """Keep a new request as proposed; one that is known stays as it is, whatever state it has reached."""
    state = move(State.NONE, Event.PROPOSE)
    row = (request.id, request.stream, request.model, request.digest, *request.lumisection, state.value)
    done = connection.execute(
        "INSERT INTO request VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
        (*row, to_text(request.dossier), now),
    )
    if done.rowcount:
        _note(connection, request.id, event=Event.PROPOSE, state=state, who=DAEMON, note="", now=now)


def requests(connection: sqlite3.Connection, *, stream: str | None) -> tuple[tuple[Request, State], ...]:
    """Return the requests with their states, newest first."""
    rows = connection.execute(
        "SELECT id, stream, model, digest, run, ls, dossier, state FROM request "
        "WHERE ?1 IS NULL OR stream = ?1 ORDER BY at DESC, rowid DESC",
        (stream,),
    )
    return tuple((_request(row), State(row[7])) for row in rows)


def find(connection: sqlite3.Connection, request: str) -> tuple[Request, State] | None:
    """Return one request with its state, or None."""
    row = connection.execute(
        "SELECT id, stream, model, digest, run, ls, dossier, state FROM request WHERE id = ?", (request,)
    ).fetchone()
    return None if row is None else (_request(row), State(row[7]))


def step(
    connection: sqlite3.Connection, request: str, event: Event, *, who: str, note: str, now: float
) -> tuple[State, Action] | None:
    """Take a step of the table; return the new state and what to say, or None for an unknown request."""
    found = find(connection, request)
    if found is None:
        return None
    known, before = found
    state = move(before, event)
    dossier = {**known.dossier, "state": state.value, "step": event.value}
    connection.execute(
        "UPDATE request SET state = ?, dossier = ? WHERE id = ?", (state.value, to_text(dossier), request)
    )
    number = _note(connection, request, event=event, state=state, who=who, note=note, now=now)
    said = replace(known, dossier={**dossier, "who": who, "note": note})
    return state, Action(identify("retrain-step/1", request, number, event), Kind.RETRAIN, known.stream, said.dossier)


def transitions(connection: sqlite3.Connection, request: str) -> tuple[dict[str, Any], ...]:
    """Return every step of a request, oldest first."""
    rows = connection.execute(
        "SELECT event, state, who, note, at FROM transition WHERE request = ? ORDER BY number", (request,)
    )
    return tuple(dict(zip(("event", "state", "who", "note", "at"), row, strict=True)) for row in rows)


def _note(
    connection: sqlite3.Connection, request: str, *, event: Event, state: State, who: str, note: str, now: float
) -> int:
    connection.execute(
        "INSERT INTO transition (request, event, state, who, note, at) VALUES (?, ?, ?, ?, ?, ?)",
        (request, event.value, state.value, who, note, now),
    )
    query = "SELECT count(*) FROM transition WHERE request = ?"
    return int(connection.execute(query, (request,)).fetchone()[0])


def _request(row: tuple[Any, ...]) -> Request:
    return Request(row[0], row[1], row[2], row[3], Lumisection(row[4], row[5]), json.loads(row[6]))
