"""`trigwatch run` and `trigwatch check`: the daemon, and whether its settings can be used."""

from __future__ import annotations

import argparse
import logging
import signal
import threading
import time
from pathlib import Path
from types import FrameType

from monitor.app import settings as settings_file
from monitor.app.compose import Daemon, Role, book_of, compose, shelf_of
from monitor.app.console import GOOD, NO, Commands, Unusable, command, say, warn, warn_each
from monitor.app.settings import Settings, WrongSettings
from monitor.serve.server import PortTaken
from monitor.store.database import Damaged, InUse
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
        while not stop.is_set():
            daemon.loop.turn(timeout=POLL_SECONDS)
    except Refused as error:
        warn(str(error))
        return NO
    finally:
        daemon.close()
    return GOOD


def check(given: argparse.Namespace) -> int:
    """Say whether the settings can be used."""
    try:
        settings = settings_file.load(given.config)
        shelf, book = shelf_of(settings), book_of(settings)
    except WrongSettings as error:
        warn(str(error))
        return NO
    with shelf:
        if shelf.problems:
            warn_each(shelf.problems)
            return NO
        say(f"{given.config}: good; {len(shelf.all())} models, {len(book)} reference pages")
    for stream in settings.streams:
        say(f"stream {stream.name} from topic {stream.topic}, mismatch floor {stream.mismatch_floor:g}")
    return GOOD


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
