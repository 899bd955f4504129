"""The lock of a folder of cards: one at a time sees what is there and puts a card in its place."""

from __future__ import annotations

import contextlib
import fcntl
from collections.abc import Iterator
from pathlib import Path

LOCK = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock against all other threads and processes; it ends with the process that holds it.

    The file stays: if it were removed, two could each hold a lock of that name. Raises OSError where it cannot be
    written.
    """
    # For writing, or NFS grants no exclusive lock.
    with (folder / LOCK).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
