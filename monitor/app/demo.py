"""`trigwatch demo`: a fill of the simulated detector through the real pipeline, with one fault injected."""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

import emulator
from emulator.detector import MODELS, SCENARIOS, Scenario, play, reference_fills
from monitor.app.assess import QUIET, Result, assess
from monitor.app.compose import Daemon, compose
from monitor.app.console import GOOD, NO, Commands, Unusable, command, say_json, whole, why
from monitor.app.recording import TOPIC as RECORDING
from monitor.app.recording import from_detector
from monitor.app.references import learned
from monitor.app.settings import Settings, build
from monitor.app.shelf import CardShelf
from monitor.app.simulate import STREAM, TOPIC, produce, send
from monitor.decide.retrain import State
from monitor.decide.verdict import Level, Verdict
from monitor.serve.server import PortTaken
from monitor.stream.kafka import Connection, KafkaSink, ensure_topics
from monitor.stream.tape import TapeSink
from monitor.stream.transport import Refused, Sink, Undelivered
from monitor.trigger.site import DEFAULT

PARTITIONS = 2
REFERENCE_SEED = 4_000
REFERENCE_FILLS = 10
REFERENCE_LUMISECTIONS = 60
PACE_SECONDS = 0.25
PATIENCE_SECONDS = 60.0
COLOURS = {Level.OK: "green", Level.WATCH: "yellow", Level.ACT: "bold red", Level.UNKNOWN: "bold magenta"}


def add(commands: Commands) -> None:
    """Add the command."""
    parser = command(
        commands,
        "demo",
        run,
        text="play a fill of the simulated detector through the real pipeline, inject a fault, show what is found",
        example="trigwatch demo --scenario dead-region",
    )
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), default="dead-region")
    parser.add_argument("--seed", type=whole(0), default=1, help="the same run again and again")
    parser.add_argument("--lumisections", type=whole(1), help="length of the run; by default the scenario's own")
    parser.add_argument("--once", action="store_true", help="as fast as it goes, then stop; exit 1 if not as expected")
    parser.add_argument("--json", action="store_true", help="end with one JSON line, and nothing else")
    parser.add_argument("--port", type=whole(0, 65_535), help="of the page; by default 9742, with --once a free one")
    parser.add_argument("--kafka", metavar="HOST:PORT", help="through this broker instead of a tape")


def run(given: argparse.Namespace) -> int:
    """Play the scenario."""
    scenario = SCENARIOS[given.scenario]
    given.once = given.once or given.json
    console = Console(stderr=True, quiet=given.json, highlight=False)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="trigwatch-demo-")))
        _learn(console, folder)
        sink, topic, daemon = _open(given, folder)
        stack.callback(daemon.close)
        stack.callback(sink.close)
        console.print(f"page, metrics and API: [bold]{daemon.server.url}[/bold]")
        length = given.lumisections or scenario.lumisections
        records = produce(
            play(scenario, seed=given.seed, lumisections=length, partitions=PARTITIONS),
            site=DEFAULT,
            topic=topic,
            start=time.time() - length * DEFAULT.lumisection_seconds,
        )
        sent = send(records, sink, interval=0.0 if given.once else PACE_SECONDS)
        verdicts = tuple(_watch(sent, daemon, scenario, console=console, length=length))
        result = assess(scenario, verdicts, retrain=_retrain_state(daemon).value)
        _tell(console, result)
        if given.json:
            say_json(result.to_json())
        if not given.once:
            _stay(console, daemon)
        return GOOD if result.as_expected else NO


def _learn(console: Console, folder: Path) -> None:
    """Learn what is normal from clean fills of other seeds, and put the Book into `folder`."""
    lumisections = REFERENCE_FILLS * REFERENCE_LUMISECTIONS
    with console.status(f"learning what is normal from {REFERENCE_FILLS} clean fills, {lumisections} lumisections"):
        blocks = reference_fills(
            # A recording has one partition, and one end of every lumisection.
            seed=REFERENCE_SEED,
            fills=REFERENCE_FILLS,
            lumisections=REFERENCE_LUMISECTIONS,
            partitions=1,
        )
        with CardShelf.open(emulator.Registry(MODELS)) as shelf:
            book = learned(from_detector(blocks), shelf=shelf, site=DEFAULT, streams={STREAM: RECORDING})
    (folder / "normal.book").write_bytes(book.to_bytes())
    console.print(f"learned what is normal from {REFERENCE_FILLS} clean fills, {lumisections} lumisections")


def _open(given: argparse.Namespace, folder: Path) -> tuple[Sink, str, Daemon]:
    try:
        sink, supply, topic = _supply(given, folder)
        return sink, topic, compose(_settings(given, folder, supply, topic))
    except (OSError, PortTaken, Refused, Undelivered) as error:
        raise Unusable(why(error)) from error


def _supply(given: argparse.Namespace, folder: Path) -> tuple[Sink, dict[str, object], str]:
    """Return where the simulated trigger writes, the settings by which the daemon reads it, and the topic."""
    if given.kafka is None:
        tape = folder / "demo.tape"
        return TapeSink(tape, {TOPIC: PARTITIONS}), {"tape": {"path": tape}}, TOPIC
    topic = f"{TOPIC}-demo-{time.time_ns()}"  # a topic that nobody else has written to
    connection = Connection((given.kafka,))
    ensure_topics(connection, {topic: PARTITIONS})
    return KafkaSink(connection), {"kafka": {"bootstrap": [given.kafka], "group": topic}}, topic


def _settings(given: argparse.Namespace, folder: Path, supply: dict[str, object], topic: str) -> Settings:
    default = 0 if given.once else 9742
    return build(
        {
            **supply,
            "state": {"path": folder / "demo.db"},
            "models": {"path": MODELS},
            "reference": {"book": folder / "normal.book"},
            # The fill ends and the page stays: that nothing comes any more is no fault here.
            "alarms": {"silence_lumisections": 1e6},
            "http": {"port": default if given.port is None else given.port},
            "streams": [{"name": STREAM, "topic": topic}],
        },
        origin="demo",
    )


def _watch(
    sent: Iterator[int], daemon: Daemon, scenario: Scenario, *, console: Console, length: int
) -> Iterator[Verdict]:
    """Let the daemon read every lumisection before the next is sent; yield all verdicts."""
    latest = Level.OK
    with _progress(console) as progress:
        task = progress.add_task("", total=length)
        for number, records in enumerate(sent, start=1):
            if number == scenario.onset and scenario.name != QUIET:
                progress.console.print(f"[bold]injected[/bold] in LS {number}: {scenario.name}")
            for verdict in _read(daemon, records):
                if verdict.level is not latest:
                    progress.console.print(_line(verdict))
                latest = verdict.level
                yield verdict
            light = f"[{COLOURS[latest]}]{latest.value.upper():<8}[/]"
            progress.update(task, completed=number, description=f"LS {number:>4}  {light}")


def _read(daemon: Daemon, records: int) -> Iterator[Verdict]:
    """Turn the loop until it has read `records` records; yield the verdicts on the way."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while records > 0:
        turn = daemon.loop.turn(timeout=0.2)
        records -= len(turn.records)
        yield from (judged.verdict for judged in turn.done.judged)
        if time.monotonic() > deadline:
            raise Unusable(f"{records} records did not arrive within {PATIENCE_SECONDS:.0f} s: is the broker well?")


def _progress(console: Console) -> Progress:
    return Progress(TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(), console=console)


def _line(verdict: Verdict) -> str:
    colour = COLOURS[verdict.level]
    what = f": {', '.join(verdict.what[:3])}" if verdict.what else ""
    said = f"LS {verdict.lumisection.ls:>4}  [{colour}]{verdict.level.value.upper():<8}[/] {verdict.blame.value}{what}"
    return said if verdict.level is Level.OK else f"{said}\n         since LS {verdict.since.ls}. {verdict.action}"


def _tell(console: Console, result: Result) -> None:
    """Say what was injected and what was found, and when."""
    found, scenario = result.detected, result.scenario
    console.print()
    if scenario.name == QUIET:
        console.print("injected  nothing")
        console.print(f"found     {len(result.false_alarms)} false alarms")
    else:
        console.print(f"injected  {scenario.name} in LS {scenario.onset}")
        console.print("found     nothing" if found is None else f"found     {_line(found)}")
    console.print(f"retrain   {result.retrain}")
    for complaint in result.complaints:
        console.print(f"[red]not as expected[/red]: {complaint}")
    if result.as_expected:
        console.print("[green]as expected[/green]")


def _retrain_state(daemon: Daemon) -> State:
    states = [state for request, state in daemon.database.requests(stream=STREAM)]
    return states[0] if states else State.NONE


def _stay(console: Console, daemon: Daemon) -> None:
    """Keep the page up until Ctrl-C."""
    console.print(f"\nthe page stays at [bold]{daemon.server.url}[/bold] until Ctrl-C")
    try:
        while True:
            daemon.loop.turn(timeout=1.0)
    except KeyboardInterrupt:
        console.print()
