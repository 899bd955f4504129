"""The tables, version by version. A step is never changed once it has been released; new ones are appended."""

from __future__ import annotations

import sqlite3

STEPS: tuple[str, ...] = (
    """
    CREATE TABLE frontier (
        topic TEXT NOT NULL, partition INTEGER NOT NULL, content TEXT NOT NULL, at REAL NOT NULL,
        PRIMARY KEY (topic, partition)
    ) STRICT;
    CREATE TABLE state (name TEXT PRIMARY KEY, content BLOB NOT NULL, at REAL NOT NULL) STRICT;
    CREATE TABLE counter (
        name TEXT NOT NULL, stream TEXT NOT NULL, label TEXT NOT NULL, value INTEGER NOT NULL,
        PRIMARY KEY (name, stream, label)
    ) STRICT;
    CREATE TABLE verdict (
        number INTEGER PRIMARY KEY, id TEXT NOT NULL, action TEXT NOT NULL UNIQUE, stream TEXT NOT NULL,
        content TEXT NOT NULL, at REAL NOT NULL
    ) STRICT;
    CREATE INDEX verdict_id ON verdict (id);
    CREATE INDEX verdict_stream ON verdict (stream, number);
    CREATE TABLE acknowledgement (
        verdict TEXT PRIMARY KEY, who TEXT NOT NULL, note TEXT NOT NULL, at REAL NOT NULL
    ) STRICT;
    CREATE TABLE lumisection (
        number INTEGER PRIMARY KEY, stream TEXT NOT NULL, run INTEGER NOT NULL, ls INTEGER NOT NULL,
        epoch TEXT NOT NULL, level TEXT NOT NULL, blame TEXT NOT NULL, verdict TEXT NOT NULL, content TEXT NOT NULL,
        summary BLOB, at REAL NOT NULL,
        UNIQUE (stream, run, ls, epoch)
    ) STRICT;
    CREATE INDEX lumisection_stream ON lumisection (stream, number);
    CREATE TABLE request (
        id TEXT PRIMARY KEY, stream TEXT NOT NULL, model TEXT NOT NULL, digest TEXT NOT NULL, run INTEGER NOT NULL,
        ls INTEGER NOT NULL, state TEXT NOT NULL, dossier TEXT NOT NULL, at REAL NOT NULL
    ) STRICT;
    CREATE TABLE transition (
        number INTEGER PRIMARY KEY, request TEXT NOT NULL REFERENCES request (id), event TEXT NOT NULL,
        state TEXT NOT NULL, who TEXT NOT NULL, note TEXT NOT NULL, at REAL NOT NULL
    ) STRICT;
    CREATE TABLE capsule (
        id TEXT PRIMARY KEY, stream TEXT NOT NULL, content TEXT NOT NULL, at REAL NOT NULL
    ) STRICT;
    CREATE TABLE book (
        id TEXT PRIMARY KEY, version TEXT NOT NULL, content BLOB NOT NULL, promoted INTEGER NOT NULL, at REAL NOT NULL
    ) STRICT;
    CREATE TABLE entry (
        number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, stream TEXT NOT NULL,
        payload TEXT NOT NULL, body BLOB, at REAL NOT NULL
    ) STRICT;
    CREATE TABLE delivery (
        sink TEXT NOT NULL, number INTEGER NOT NULL REFERENCES entry (number) ON DELETE CASCADE,
        PRIMARY KEY (sink, number)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    ALTER TABLE acknowledgement ADD COLUMN label TEXT NOT NULL DEFAULT '';
    """,
)


def version(connection: sqlite3.Connection) -> int:
    """Return how many steps the file has taken."""
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    return int(found)


def migrate(connection: sqlite3.Connection) -> None:
    """Take the steps that are missing, each in one transaction together with its number."""
    for number, step in enumerate(STEPS[version(connection) :], start=version(connection) + 1):
        connection.executescript(f"BEGIN IMMEDIATE; {step}; PRAGMA user_version = {number}; COMMIT;")
