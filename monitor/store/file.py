"""The file under the database: opened by one process only, healthy or not at all, copied while in use."""

from __future__ import annotations

import fcntl
import os
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TextIO

from monitor.store.schema import STEPS, migrate, version


class Damaged(Exception):
    """The file is not a healthy database; the message says how to go back to the newest good backup."""


class InUse(Exception):
    """Another process has the file open; the message says which file."""


def backup_path(path: Path) -> Path:
    """Return where the newest good backup of the database at `path` lies; the one before it ends in `.1`."""
    return path.with_name(f"{path.name}.backup")


def lock(path: Path) -> TextIO:
    """Claim the database for this process until the returned file is closed. Raises `InUse`."""
    held = path.with_name(f"{path.name}.lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        held.close()
        raise InUse(
            f"{path} is in use by another process: two daemons on one database would both count every event. "
            "Stop the other one, or give this one its own [state] path"
        ) from error
    return held


def connect(path: Path) -> sqlite3.Connection:
    """Open the file, check it and bring its tables up to date. Raises `Damaged`."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        # WAL with FULL: a commit is on the disk when `commit` returns, and a kill at any moment leaves the last one.
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "foreign_keys = ON"):
            connection.execute(f"PRAGMA {pragma}")
        problem = _problem(connection)
        if problem is None:
            migrate(connection)
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorname not in {"SQLITE_NOTADB", "SQLITE_CORRUPT"}:
            connection.close()
            raise
        problem = str(error)
    if problem is not None:
        connection.close()
        raise Damaged(f"{path} is damaged: {problem}. {_remedy(path)}")
    return connection


def _problem(connection: sqlite3.Connection) -> str | None:
    (answer,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if answer != "ok":
        return str(answer)
    if version(connection) > len(STEPS):
        return f"it has version {version(connection)}, this program knows {len(STEPS)}: it was written by a newer one"
    return None


def _remedy(path: Path) -> str:
    backup = backup_path(path)
    if backup.exists():
        command = "`trigwatch restore CONFIG`"
        return f"Restore the newest good backup, {backup}, with {command}; what came after is read again from the log"
    return f"There is no backup at {backup}: move the file away to start anew, the log is then read from its beginning"


def back_up(path: Path, into: Path) -> None:
    """Copy the database in use to `into`, if the copy is healthy; the one before it stays as `into`.1."""
    part = into.with_name(f"{into.name}.part")
    part.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(part)) as target:
        source.backup(target)
        target.execute("PRAGMA journal_mode = DELETE")
        problem = _problem(target)
    if problem is not None:
        raise Damaged(f"the backup of {path} is not healthy: {problem}. The one before it at {into} is kept")
    _sync(part)
    if into.exists():
        into.replace(into.with_name(f"{into.name}.1"))
    part.replace(into)
    _sync(into.parent)


def restore(path: Path, *, backup: Path | None = None) -> Path:
    """Put the backup in the place of the database and return where the damaged files went.

    Raises `Damaged` if the backup is not healthy either, `InUse` if a process has the database open.
    """
    chosen = backup or backup_path(path)
    if not chosen.exists():
        raise Damaged(f"there is no backup at {chosen}: {_remedy(path)}")
    with lock(path):
        part = path.with_name(f"{path.name}.part")
        shutil.copyfile(chosen, part)
        try:
            connect(part).close()
        except Damaged as error:
            part.unlink()
            raise Damaged(f"the backup {chosen} cannot be restored: {error}") from error
        _sync(part)
        aside = _move_aside(path)
        part.replace(path)
        _sync(path.parent)
    return aside


def _move_aside(path: Path) -> Path:
    """Keep the damaged files for whoever wants to know; a left-over log would be played into the restored file."""
    number = 1
    while (aside := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    for ending in ("", "-wal", "-shm"):
        found = path.with_name(f"{path.name}{ending}")
        if found.exists():
            found.replace(aside.with_name(f"{aside.name}{ending}"))
    return aside


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
