"""The whole daemon in this process, turned by hand: tape in, tape out, a clock that only the test moves."""

from __future__ import annotations

import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from emulator.detector import MODELS
from monitor.app.compose import Daemon, compose
from monitor.app.settings import build
from monitor.app.simulate import EPOCH, STREAM, TOPIC
from monitor.stream.record import Outgoing, Record
from monitor.stream.tape import TapeSink, TapeSource
from monitor.watch.judged import Judged

PARTITIONS = 2
NOW = EPOCH + 10 * 86_400
PATIENCE = 60.0


def write(folder: Path, records: Iterable[Outgoing]) -> None:
    """Write the tape that a daemon in `folder` reads."""
    sink = TapeSink(folder / "day.tape", {TOPIC: PARTITIONS})
    sink.send(list(records))
    sink.close()


@contextmanager
def daemon(folder: Path, *, now: float = NOW, **sections: Any) -> Iterator[Daemon]:
    """Compose a daemon over the tape of `folder`; `sections` are tables of its settings."""
    content: dict[str, Any] = {
        "tape": {"path": folder / "day.tape"},
        "state": {"path": folder / "trigwatch.db"},
        "models": {"path": MODELS},
        "http": {"port": 0},
        "streams": [{"name": STREAM, "topic": TOPIC}],
    }
    composed = compose(build(content | sections), clock=lambda: now)
    try:
        yield composed
    finally:
        composed.close()


def read(daemon: Daemon) -> list[Judged]:
    """Turn the loop until the tape is read to its end and everything is committed; return what was judged."""
    judged = list(daemon.loop.turn(timeout=0).done.judged)
    while sum(daemon.source.health().lag.values()):
        judged += daemon.loop.turn(timeout=0).done.judged
    daemon.loop.finish()
    daemon.board.renew(NOW)
    return judged


def delivered(daemon: Daemon) -> None:
    """Wait until the courier has emptied the outbox."""
    deadline = time.monotonic() + PATIENCE
    while daemon.database.waiting("topics"):
        daemon.courier.wake()
        assert time.monotonic() < deadline, daemon.courier.views()
        time.sleep(0.02)


def out(folder: Path, topic: str) -> tuple[Record, ...]:
    """Return everything that the daemon has put on one of its own topics."""
    source = TapeSource(folder / "day.tape.out", [topic], max_records=100_000)
    source.poll(timeout=0)
    records = source.poll(timeout=0).records
    source.close()
    return records


def get(daemon: Daemon, path: str) -> str:
    """Return what the daemon's own server answers."""
    with urllib.request.urlopen(daemon.server.url + path, timeout=10) as answer:
        return str(answer.read().decode())
