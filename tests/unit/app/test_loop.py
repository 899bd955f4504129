"""The loop: what is committed is whole, what cannot be committed waits, and nobody reads what is another's."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from monitor.app.back import Judging
from monitor.app.front import TriggerFront
from monitor.app.loop import FULL, Loop, Turn
from monitor.store.database import Database
from monitor.stream.codec import encode, encode_end
from monitor.stream.columns import Limits
from monitor.stream.memory import MemoryLog, MemorySource
from monitor.stream.record import Outgoing
from monitor.stream.transport import Partition
from monitor.trigger.batch import Batch, EndOfLumisection
from monitor.trigger.site import DEFAULT
from tests.unit.watch.benches import aggregator
from tests.unit.watch.plays import STREAM, TOPIC, batch, end, worker

DEAD = "dead-letter"
GROUP = "house"


class House:
    """One member of the group with its own database, turned by hand; `pauses` are the times it chose to wait."""

    def __init__(self, log: MemoryLog, path: Path) -> None:
        self.seen: list[Turn] = []
        self.pauses: list[float] = []
        self.database = Database(path, routes={DEAD: ("topics",)})
        self.source = MemorySource(log, [TOPIC], group=GROUP, max_records=4)
        self.loop = Loop(
            source=self.source,
            front=TriggerFront(worker(), limits=Limits(crossings=DEFAULT.crossings), dead_letter_topic=DEAD),
            back=Judging(aggregator()),
            database=self.database,
            witness=self,
            clock=lambda: 1000.0,
            pause=self.pauses.append,
        )

    def see(self, turn: Turn) -> None:
        self.seen.append(turn)

    def turns(self, count: int) -> list[Turn]:
        return [self.loop.turn(timeout=0.0) for _ in range(count)]

    def events(self) -> int:
        return self.database.counters().get(("events", STREAM, ""), 0)

    def close(self) -> None:
        self.source.close()
        self.database.close()


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog({TOPIC: 2})


@pytest.fixture
def house(log: MemoryLog, tmp_path: Path) -> Iterator[Callable[[str], House]]:
    opened: list[House] = []

    def build(name: str) -> House:
        opened.append(House(log, tmp_path / f"{name}.db"))
        return opened[-1]

    yield build
    for each in opened:
        each.close()


def put(log: MemoryLog, partition: int, content: Batch | EndOfLumisection | bytes) -> None:
    if isinstance(content, bytes):
        headers, value = (), content
    else:
        headers, value = encode(content) if isinstance(content, Batch) else encode_end(content)
    log.append(Outgoing(TOPIC, value, headers, partition=partition, timestamp=500.0))


def lumisection(log: MemoryLog, ls: int, *, events: int = 60) -> None:
    for partition in (0, 1):
        put(log, partition, batch((1, ls), events=events, sequence=ls, producer=f"p{partition}"))
        put(log, partition, end(1, ls, events))


def fill_disk(database: Database) -> None:
    """Forbid the file another page: SQLite then says what it says on a full disk."""
    (pages,) = database._connection.execute("PRAGMA page_count").fetchone()
    database._connection.execute(f"PRAGMA max_page_count = {pages}")


def make_room(database: Database) -> None:
    database._connection.execute("PRAGMA max_page_count = 1000000")


def test_a_turn_commits_what_was_judged_with_the_place_to_go_on_from(log: MemoryLog, house: Callable[[str], House]):
    here = house("one")
    lumisection(log, 1)
    turns = here.turns(3)
    assert [each.lumisection.ls for turn in turns for each in turn.done.judged] == [1]
    assert here.events() == 120
    assert {key: each["next"] for key, each in here.database.frontiers().items()} == {(TOPIC, 0): 2, (TOPIC, 1): 2}
    assert here.database.state("aggregator") is not None
    assert log.committed(GROUP) == {Partition(TOPIC, 0): 2, Partition(TOPIC, 1): 2}


def test_on_a_full_disk_the_loop_stops_reading_says_so_and_recovers(log: MemoryLog, house: Callable[[str], House]):
    here = house("one")
    lumisection(log, 1)
    here.turns(3)
    fill_disk(here.database)
    for ls in range(2, 12):
        lumisection(log, ls)
    turns = here.turns(30)
    assert all(turn.problem == FULL for turn in turns[-20:])
    assert all(turn.records == () for turn in turns[-20:])
    assert len(here.pauses) >= 20, "it waits instead of spinning"
    assert here.source.health().lag[Partition(TOPIC, 0)] > 0, "the records wait in the log"
    before = here.events()
    assert before < 11 * 120

    make_room(here.database)
    after = here.turns(30)
    assert not any(turn.problem for turn in after)
    assert here.events() == 11 * 120
    assert len(here.database.lumisections(limit=100)) == 11
    assert here.source.health().lag == {Partition(TOPIC, 0): 0, Partition(TOPIC, 1): 0}


def test_a_daemon_that_stops_on_a_full_disk_reads_again_what_it_could_not_keep(
    log: MemoryLog, house: Callable[[str], House], tmp_path: Path
):
    here = house("one")
    lumisection(log, 1)
    here.turns(3)
    fill_disk(here.database)
    for ls in (2, 3, 4):
        lumisection(log, ls)
    here.turns(6)
    here.loop.finish()
    here.close()

    again = house("one")
    assert again.database.path == tmp_path / "one.db"
    again.turns(12)
    assert again.events() == 4 * 120


def test_a_partition_that_goes_to_another_is_committed_and_forgotten(log: MemoryLog, house: Callable[[str], House]):
    one, two = house("one"), house("two")
    lumisection(log, 1)
    one.turns(3)
    put(log, 0, batch((1, 2), events=30, sequence=2, producer="p0"))
    put(log, 1, batch((1, 2), events=30, sequence=2, producer="p1"))
    one.turns(2)
    assert (TOPIC, 1) in one.database.frontiers()
    two.turns(1)  # joins: its share is still held by the first
    one.turns(1)  # lets go
    at_revocation = one.database.frontiers()
    assert at_revocation[TOPIC, 1]["next"] == 3, "what was read of it is committed before it goes"
    with pytest.raises(KeyError):
        one.loop._front.frontier((TOPIC, 1))
    two.turns(2)
    put(log, 1, batch((1, 2), events=30, sequence=3, producer="p1"))
    for each in (one, two) * 4:
        each.turns(1)
    assert one.database.frontiers()[TOPIC, 1] == at_revocation[TOPIC, 1]
    two.loop.finish()
    assert two.database.frontiers().keys() == {(TOPIC, 1)}
    assert two.database.frontiers()[TOPIC, 1]["next"] == 4


def test_what_cannot_be_read_is_a_dead_letter_in_the_same_commit(log: MemoryLog, house: Callable[[str], House]):
    here = house("one")
    put(log, 0, b"not ours")
    here.turns(2)
    (entry,) = here.database.pending("topics", limit=10)
    assert (entry.kind, entry.body) == (DEAD, b"not ours")
    assert here.database.frontiers()[TOPIC, 0]["next"] == 1
    assert here.database.counters()["rejected", STREAM, "schema"] == 1


def test_quiet_turns_do_not_write(log: MemoryLog, house: Callable[[str], House]):
    """Nothing to tell and no second gone by: the disk is left in peace, and `finish` keeps what was read."""
    here = house("one")
    put(log, 0, batch((1, 1), events=30, producer="p0"))
    here.turns(3)
    assert here.database.frontiers() == {}
    here.loop.finish()
    assert here.database.frontiers()[TOPIC, 0]["next"] == 1
