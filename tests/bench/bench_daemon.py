"""How fast the whole daemon is on one core, and how much of that each of its stages takes.

Run: OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 python -m tests.bench.bench_daemon

The whole daemon runs in a process of its own, from a tape and, where a broker can be started, from Kafka: page,
courier and database included. The stages are measured one by one on the same records.
"""

from __future__ import annotations

import multiprocessing
import shutil
import statistics
import tempfile
import time
import urllib.request
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import emulator
from emulator.detector import MODELS
from monitor.app.back import Judging
from monitor.app.compose import aggregator_of, book_of, compose, limits_of, worker_of
from monitor.app.counting import counting
from monitor.app.settings import Settings
from monitor.app.shelf import CardShelf
from monitor.app.simulate import STREAM, TOPIC
from monitor.observe.summary import Summary
from monitor.store.commit import Commit
from monitor.store.database import Database
from monitor.stream.codec import decode
from monitor.stream.kafka import Connection, KafkaSink, ensure_topics
from monitor.stream.record import Outgoing, Record
from monitor.stream.tape import TapeSink, TapeSource
from monitor.trigger.batch import Batch, Received, Rejected
from monitor.trigger.lumisection import Lumisection
from monitor.watch.closed import PartitionClosed
from monitor.watch.scoring import Scored, Scoring
from tests.bench import fill
from tests.bench.table import Took, best, millions, percent, print_machine, print_row, print_titles, taken
from tests.brokers import Broker, missing

SIZES = (1_000, 2_000, 6_000)
EVENTS = fill.EVENTS * fill.LUMISECTIONS
ROUNDS = 3
PLACE = (TOPIC, 0)
Rows = dict[str, Took]


@dataclass(frozen=True, slots=True)
class Whole:
    """A daemon that reads `events` after its first lumisection; a scrape of its metrics; its memory at the peak."""

    events: int
    took: Took
    scrape: Took
    megabytes: float


def run(given: Settings, expected: int) -> Whole:
    """Run a daemon until it has read and committed `expected` records; called in a process of its own."""
    daemon = compose(given)
    left, first = expected, expected // fill.LUMISECTIONS

    def read(until: int) -> None:
        nonlocal left
        while left > until:
            left -= len(daemon.loop.turn(timeout=1.0).records)
        daemon.loop.finish()

    def scrape() -> None:
        with urllib.request.urlopen(f"{daemon.server.url}/metrics") as answer:
            answer.read()

    try:
        read(expected - first - 1)  # the first judgement loads the statistics, once in a daemon's life
        events = (left - left // first) * fill.EVENTS // (first - 1)
        found = Whole(events, taken(lambda: read(0)), best(scrape), _peak())
        judged = daemon.database.lumisections(limit=100)
    finally:
        daemon.close()
    counted = [row["events"] for row in judged]
    assert counted == [fill.EVENTS] * fill.LUMISECTIONS, f"the daemon has counted {counted} events"
    return found


def _peak() -> float:
    # Not ru_maxrss, which a process inherits from the one that started it.
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM"))


def whole(given: Settings, expected: int) -> Whole:
    """Return the fastest of some runs, each with a new process and a new database."""
    found = []
    for _ in range(ROUNDS):
        shutil.rmtree(given.state.path.parent, ignore_errors=True)
        given.state.path.parent.mkdir()
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
            found.append(process.submit(run, given, expected).result())
    return min(found, key=lambda each: each.took.processor)


def stages(given: Settings, raw: Sequence[Record]) -> tuple[Rows, Rows]:
    """Return what the stages take of all events, and what those of a lumisection take of one."""
    limits = limits_of(given)
    with CardShelf.open(emulator.Registry(MODELS)) as shelf:
        received = [Received(each.place, each.timestamp, decode(each, limits=limits)) for each in raw]
        batches = [each.content for each in received if isinstance(each.content, Batch)]
        model, scoring, worker = (
            shelf.find(batches[0].header.model, None, runs=(1, 1), menu=""),
            Scoring(shelf, counting()),
            worker_of(given, shelf),
        )
        scored = [scoring.score(each) for each in batches]
        summaries = [summary(each) for each in scored]

        def walk() -> Sequence[PartitionClosed]:
            worker.forget([PLACE])
            step = worker.step(received, now=time.time())
            assert not step.rejected
            return step.closed

        def added() -> None:
            many = len(summaries) // fill.LUMISECTIONS
            for start in range(0, len(summaries), many):
                reduce(add, summaries[start : start + many])

        of_events = {
            "decode and check": best(lambda: [decode(each, limits=limits) for each in raw]),
            "re-emulate": best(lambda: [model.score(each.inputs) for each in batches]),
            "compare and summarise": best(lambda: [summary(each) for each in scored]),
            "add up": best(added),
            "worker (these three and its walk)": best(walk),
        }
        return of_events, judged(given, shelf, closed=walk(), frontier=worker.frontier(PLACE).to_json())


def summary(scored: Scored | Rejected) -> Summary:
    """Compare and summarise a batch that has been re-emulated."""
    assert isinstance(scored, Scored)
    batch = scored.batch
    return scored.summarise(Lumisection(int(batch.run[0]), int(batch.ls[0])), slice(None))


def judged(
    given: Settings, shelf: CardShelf, *, closed: Sequence[PartitionClosed], frontier: Mapping[str, Any]
) -> Rows:
    """Judge and commit every lumisection; return the medians."""
    aggregator = aggregator_of(given, partitions={STREAM: frozenset([0])}, shelf=shelf, book=book_of(given))
    back, found = Judging(aggregator), dict[str, list[Took]]({"judge": [], "pack the state": [], "commit": []})
    database = Database(given.state.path, routes={}, keep_lumisections=1_000)
    for each in closed:
        done, states = [], []
        found["judge"].append(taken(lambda: done.append(back.take([each], now=time.time()))))  # noqa: B023 - run at once
        found["pack the state"].append(taken(lambda: states.append(back.states())))  # noqa: B023
        assert done[0].judged[0].evidence.reference is not None, "nothing was judged: the Book has no page"
        commit = Commit(time.time(), {PLACE: frontier}, states[0], done[0].counters, done[0].judged, done[0].actions)
        found["commit"].append(taken(lambda: database.commit(commit)))  # noqa: B023
    database.close()
    return {name: _median(each) for name, each in found.items()}


def _median(found: Sequence[Took]) -> Took:
    return Took(statistics.median(t.wall for t in found), statistics.median(t.processor for t in found))


def polled(tape: Path) -> list[Record]:
    """Return every record of a tape."""
    source, found = TapeSource(tape), list[Record]()
    while (step := source.poll(timeout=0.0)).records or step.assigned:
        found += step.records
    source.close()
    return found


def write_tape(path: Path, records: Sequence[Outgoing]) -> None:
    sink = TapeSink(path, {TOPIC: 1})
    sink.send(records)
    sink.close()


def from_kafka(broker: Broker, given: Settings, records: Sequence[Outgoing]) -> Whole:
    """Put the records on a topic of their own, and let a daemon read them."""
    topic = given.streams[0].topic
    connection = Connection((broker.bootstrap,))
    ensure_topics(connection, {topic: 1})
    sink = KafkaSink(connection)
    sink.send(records)
    sink.close()
    return whole(given, len(records))


def show(size: int, on_tape: Whole, on_kafka: Whole | None, *, of_events: Rows, of_lumisections: Rows) -> None:
    """Print the table of one size of batches. Shares are of the whole daemon's processor time, read from a tape."""
    print_titles(f"batches of {size:,} events", "M/s wall", "M/s cpu", "us/batch", "share")
    total = on_tape.took.processor / on_tape.events

    def row(name: str, took: Took, events: int = EVENTS) -> None:
        cost = took.processor / events
        rates = millions(events, took.wall), millions(events, took.processor)
        print_row(name, *rates, 1e6 * cost * size, percent(cost, total))

    row("whole daemon, from a tape", on_tape.took, on_tape.events)
    if on_kafka is not None:
        row("whole daemon, from Kafka", on_kafka.took, on_kafka.events)
    for name, took in of_events.items():
        row(f"  {name}", took)
    print_titles("", "ms wall", "ms cpu", "", "share")
    for name, took in of_lumisections.items():
        share = percent(took.processor / fill.EVENTS, total)
        print_row(f"  {name}, a lumisection", 1e3 * took.wall, 1e3 * took.processor, "", share)
    print_row("  metrics, a scrape", 1e3 * on_tape.scrape.wall, 1e3 * on_tape.scrape.processor)
    print_row("  memory at its peak, MB", on_tape.megabytes, "" if on_kafka is None else on_kafka.megabytes)
    print()


def measure(folder: Path, broker: Broker | None) -> None:
    book, tape, state = folder / "normal.book", folder / "bench.tape", folder / "state"
    fill.write_book(book)
    lumisections = fill.simulated()
    for size in SIZES:
        tape.unlink(missing_ok=True)
        records = list(fill.records(lumisections, size=size))
        write_tape(tape, records)
        given = fill.settings(state, book=book, tape={"path": tape})
        on_tape, on_kafka = whole(given, len(records)), None
        if broker is not None:
            topic = f"bench-{size}"
            supply = {"bootstrap": [broker.bootstrap], "group": topic}
            records = list(fill.records(lumisections, size=size, topic=topic))
            on_kafka = from_kafka(broker, fill.settings(state, book=book, topic=topic, kafka=supply), records)
        reading = best(lambda: polled(tape))
        of_events, of_lumisections = stages(fill.settings(folder, book=book, tape={"path": tape}), polled(tape))
        show(
            size,
            on_tape,
            on_kafka,
            of_events={"read the tape": reading, **of_events},
            of_lumisections=of_lumisections,
        )
        (folder / "bench.db").unlink()


def main() -> None:
    print_machine(f"The whole daemon: one stream of 57 inputs of 16 bits, lumisections of {fill.EVENTS:,} events")
    with tempfile.TemporaryDirectory(prefix="trigwatch-bench-") as name:
        folder = Path(name)
        if missing():
            print(f"without Kafka: {missing()}\n")
            measure(folder, None)
            return
        broker = Broker(folder / "kafka")
        broker.start()
        try:
            measure(folder, broker)
        finally:
            broker.stop()


if __name__ == "__main__":
    main()
