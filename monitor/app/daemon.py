"""`trigwatch run` and `trigwatch check`: the daemon, and whether its settings can be used."""

from __future__ import annotations

import argparse
import logging
import signal
import sqlite3
import threading
import time
from pathlib import Path
from types import FrameType

from monitor.app import settings as settings_file
from monitor.app.compose import Daemon, Role, book_of, compose, known_of, shelf_of
from monitor.app.console import GOOD, NO, Commands, Unusable, command, say, warn, warn_each
from monitor.app.known import strangers
from monitor.app.settings import Settings, WrongSettings
from monitor.observe.shape import Shape
from monitor.serve.server import PortTaken
from monitor.store.database import Damaged, Database, InUse, backup_path
from monitor.store.database import restore as put_back
from monitor.stream.frames import Damaged as DamagedTape
from monitor.stream.transport import Refused, Undelivered

POLL_SECONDS = 0.5
FIRST_RETRY, LONGEST_RETRY = 1.0, 30.0
log = logging.getLogger(__name__)


def add(commands: Commands) -> None:
    """Add both commands."""
    parser = command(
        commands,
        "run",
        run,
        text="the daemon; ends on SIGTERM",
        example="trigwatch run deploy/trigwatch.toml --role solo",
    )
    parser.add_argument("config", type=Path)
    parser.add_argument("--role", choices=[role.value for role in Role], default=Role.SOLO.value)
    again = command(
        commands,
        "restore",
        restore,
        text="put the newest good backup in the place of a damaged database",
        example="trigwatch restore deploy/trigwatch.toml",
    )
    again.add_argument("config", type=Path)
    tell = command(
        commands,
        "check",
        check,
        text="whether settings, models and reference can be used; exit 1 if not",
        example="trigwatch check deploy/trigwatch.toml",
    )
    tell.add_argument("config", type=Path)


def run(given: argparse.Namespace) -> int:
    """Run until SIGTERM or SIGINT."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Each connection attempt is news to kafka-python and noise to whoever looks for the reason in the log.
    logging.getLogger("kafka").setLevel(logging.WARNING)
    stop = threading.Event()
    _stop_on_signals(stop)
    try:
        settings = settings_file.load(given.config)
        daemon = _start(settings, Role(given.role), stop)
    except (WrongSettings, PortTaken, InUse, Damaged, DamagedTape, Refused) as error:
        raise Unusable(str(error)) from error
    if daemon is None:
        return GOOD
    say(f"trigwatch {given.role}: page, metrics and API at {daemon.server.url}")
    try:
        _turn_until(stop, daemon, every=settings.state.backup_every_lumisections)
    except Refused as error:
        warn(str(error))
        return NO
    finally:
        daemon.close()
    return GOOD


def restore(given: argparse.Namespace) -> int:
    """Put the newest good backup in the place of a damaged database."""
    try:
        path = settings_file.load(given.config).state.path
        aside = put_back(path)
    except (WrongSettings, InUse, Damaged) as error:
        raise Unusable(str(error)) from error
    say(f"{path}: restored from {backup_path(path)}; the damaged files are kept as {aside}")
    say("what came since is read again from the log when the daemon starts")
    return GOOD


def check(given: argparse.Namespace) -> int:
    """Say whether the settings can be used."""
    if not given.config.is_file():
        raise Unusable(f"{given.config}: there is no such file")
    try:
        settings = settings_file.load(given.config)
        shelf, book, known = shelf_of(settings), book_of(settings), known_of(settings)
    except WrongSettings as error:
        warn(str(error))
        return NO
    with shelf:
        if shelf.problems:
            warn_each(shelf.problems)
            return NO
        shapes = [Shape(each.layout, each.inputs, each.outputs, each.threshold) for each in shelf.all()]
        streams = {stream.name for stream in settings.streams}
        unknown = strangers(known.conditions, streams=streams, shapes=shapes) if known else ()
        if unknown:
            warn_each(f"{settings.known.path}: {each}" for each in unknown)
            return NO
        listed = f", {len(known.conditions.all)} known conditions" if known else ""
        say(f"{given.config}: good; {len(shelf.all())} models, {len(book)} reference pages{listed}")
    for stream in settings.streams:
        say(f"stream {stream.name} from topic {stream.topic}, mismatch floor {stream.mismatch_floor:g}")
    return GOOD


def _turn_until(stop: threading.Event, daemon: Daemon, *, every: int) -> None:
    """Turn the loop; back the database up after `every` judged lumisections."""
    judged = 0
    while not stop.is_set():
        judged += len(daemon.loop.turn(timeout=POLL_SECONDS).done.judged)
        if judged >= every:
            judged = 0
            _back_up(daemon.database)


def _back_up(database: Database) -> None:
    try:
        database.back_up(backup_path(database.path))
    except (Damaged, OSError, sqlite3.Error) as error:
        # The daemon goes on watching: a backup that cannot be written is a trouble, not an end.
        log.error("no backup of %s: %s", database.path, error)  # noqa: TRY400 -- the message says it all


def _start(settings: Settings, role: Role, stop: threading.Event) -> Daemon | None:
    """Compose the daemon; while the broker cannot be reached, wait for it: None where we were stopped meanwhile."""
    pause = FIRST_RETRY
    while not stop.is_set():
        try:
            return compose(settings, role=role, clock=time.time)
        except Undelivered as error:
            log.warning("waiting for the broker: %s", error)
            stop.wait(pause)
            pause = min(2 * pause, LONGEST_RETRY)
    return None


def _stop_on_signals(stop: threading.Event) -> None:
    def ask(number: int, frame: FrameType | None) -> None:
        del frame
        log.info("%s: finishing the turn", signal.Signals(number).name)
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
