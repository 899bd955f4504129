"""The command `trigwatch`: exit 0 good, 1 the answer is no, 2 the call was wrong."""

from __future__ import annotations

import argparse
import signal
from collections.abc import Sequence
from importlib.metadata import version

from monitor.app import capsules, daemon, demo, grafana, models, references, replay, retrain, simulate
from monitor.app.console import Parser, Unusable, warn

COMMANDS = (demo, daemon, replay, simulate, models, references, capsules, retrain, grafana)


def parser() -> argparse.ArgumentParser:
    """Return the whole command line; every command brings its own part and an example."""
    top = Parser(
        prog="trigwatch",
        description="Watches machine-learning models that run inside hardware triggers.",
        epilog="example: trigwatch demo --scenario dead-region",
    )
    top.add_argument("--version", action="version", version=f"trigwatch {version('trigwatch')}")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        command.add(commands)
    return top


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status."""
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    given = parser().parse_args(arguments)
    try:
        return int(given.command(given))
    except Unusable as error:
        warn(str(error))
        return 2
    except KeyboardInterrupt:
        return 130
