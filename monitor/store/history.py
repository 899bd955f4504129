"""Judged lumisections, verdicts and capsules: what happened, for people and for the API."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

from monitor.decide.action import Action, Kind
from monitor.decide.numbers import place_numbers
from monitor.store.outbox import to_text
from monitor.trigger.header import Epoch
from monitor.trigger.lumisection import Lumisection
from monitor.watch.judged import Judged

COLUMNS = ("stream", "run", "ls", "level", "blame", "verdict", "at")


def put_judged(connection: sqlite3.Connection, judged: Judged) -> None:
    """Keep one judged lumisection and its capsules; judging it again replaces it."""
    for capsule in judged.capsules:
        row = (capsule.id, judged.stream, to_text(capsule.to_json()), judged.at)
        connection.execute("INSERT INTO capsule VALUES (?, ?, ?, ?) ON CONFLICT (id) DO NOTHING", row)
    if judged.silent:
        return  # nothing came: there is no lumisection to keep, only a verdict
    verdict, summary = judged.verdict, judged.summary
    connection.execute(
        "INSERT INTO lumisection (stream, run, ls, epoch, level, blame, verdict, content, summary, at) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (stream, run, ls, epoch) DO UPDATE SET "
        "level = excluded.level, blame = excluded.blame, verdict = excluded.verdict, content = excluded.content, "
        "summary = excluded.summary, at = excluded.at",
        (
            judged.stream,
            *judged.lumisection,
            _epoch(judged.evidence.epoch),
            verdict.level.value,
            verdict.blame.value,
            verdict.id,
            to_text(_content(judged)),
            None if summary is None else summary.to_bytes(),
            judged.at,
        ),
    )


def put_verdict(connection: sqlite3.Connection, action: Action, *, now: float) -> None:
    """Keep a change of a verdict for ever."""
    if action.kind is Kind.VERDICT:
        row = (action.payload["id"], action.id, action.stream, to_text(action.payload), now)
        columns = "(id, action, stream, content, at) VALUES (?, ?, ?, ?, ?)"
        connection.execute(f"INSERT INTO verdict {columns} ON CONFLICT (action) DO NOTHING", row)


def prune(connection: sqlite3.Connection, stream: str, *, lumisections: int, summaries: int) -> None:
    """Let go of the oldest lumisections of a stream, and of the summaries of all but the newest."""
    nth = "(SELECT number FROM lumisection WHERE stream = ? ORDER BY number DESC LIMIT 1 OFFSET ?)"
    connection.execute(
        f"DELETE FROM lumisection WHERE stream = ? AND number <= {nth}",  # noqa: S608
        (stream, stream, lumisections),
    )
    connection.execute(
        f"UPDATE lumisection SET summary = NULL WHERE stream = ? AND summary IS NOT NULL AND number <= {nth}",  # noqa: S608
        (stream, stream, summaries),
    )


def verdicts(connection: sqlite3.Connection, *, limit: int, stream: str | None) -> tuple[dict[str, Any], ...]:
    """Return the latest changes of verdicts, newest first."""
    rows = connection.execute(
        "SELECT content, verdict.at, who, note, acknowledgement.at, label FROM verdict "
        "LEFT JOIN acknowledgement ON acknowledgement.verdict = verdict.id "
        "WHERE ?1 IS NULL OR stream = ?1 ORDER BY number DESC LIMIT ?2",
        (stream, limit),
    )
    return tuple(
        {
            **json.loads(content),
            "at": at,
            "acknowledged": None if who is None else {"who": who, "note": note, "at": when, "label": label},
        }
        for content, at, who, note, when, label in rows
    )


def labels(connection: sqlite3.Connection, stream: str) -> dict[str, int]:
    """Return how many verdicts of a stream people have given each label."""
    rows = connection.execute(
        "SELECT label, count(*) FROM acknowledgement WHERE label != '' "
        "AND verdict IN (SELECT id FROM verdict WHERE stream = ?) GROUP BY label",
        (stream,),
    )
    return dict(rows)


def lumisections(connection: sqlite3.Connection, *, limit: int, stream: str | None) -> tuple[dict[str, Any], ...]:
    """Return the latest judged lumisections, newest first."""
    rows = connection.execute(
        f"SELECT {', '.join(COLUMNS)}, content FROM lumisection "  # noqa: S608
        "WHERE ?1 IS NULL OR stream = ?1 ORDER BY number DESC LIMIT ?2",
        (stream, limit),
    )
    return tuple(_lumisection(row) for row in rows)


def since(connection: sqlite3.Connection, stream: str, lumisection: Lumisection) -> tuple[dict[str, Any], ...]:
    """Return the judged lumisections of a stream from `lumisection` on, in the order of data taking."""
    rows = connection.execute(
        f"SELECT {', '.join(COLUMNS)}, content FROM lumisection "  # noqa: S608
        "WHERE stream = ? AND (run, ls) >= (?, ?) ORDER BY run, ls, number",
        (stream, *lumisection),
    )
    return tuple(_lumisection(row) for row in rows)


def _lumisection(row: tuple[Any, ...]) -> dict[str, Any]:
    return {**dict(zip(COLUMNS, row[:-1], strict=True)), **json.loads(row[-1])}


def summaries(connection: sqlite3.Connection, stream: str, *, limit: int) -> tuple[bytes, ...]:
    """Return the bytes of the newest summaries, newest first."""
    rows = connection.execute(
        "SELECT summary FROM lumisection WHERE stream = ? AND summary IS NOT NULL ORDER BY number DESC LIMIT ?",
        (stream, limit),
    )
    return tuple(row[0] for row in rows)


def knows_verdict(connection: sqlite3.Connection, verdict: str) -> bool:
    """Say whether a verdict of this id was ever spoken or given."""
    query = (
        "SELECT EXISTS (SELECT 1 FROM verdict WHERE id = ?1) OR EXISTS (SELECT 1 FROM lumisection WHERE verdict = ?1)"
    )
    return bool(connection.execute(query, (verdict,)).fetchone()[0])


def _content(judged: Judged) -> dict[str, Any]:
    summary, epoch = judged.summary, judged.evidence.epoch
    return {
        "model": epoch.model,
        "digest": epoch.digest,
        "events": 0 if summary is None else summary.events,
        "accepted": 0 if summary is None else summary.accepted,
        "compared": judged.evidence.agreement.compared,
        "mismatched": judged.evidence.agreement.mismatched,
        "rejected": dict(judged.rejected),
        "since": list(judged.verdict.since),
        "what": list(judged.verdict.what),
        "where": place_numbers(judged.verdict.where),
        "evidence": dict(judged.verdict.evidence),
    }


def _epoch(epoch: Epoch) -> str:
    return to_text([epoch.model, epoch.digest, epoch.menu, epoch.firmware, epoch.prescale_column])
