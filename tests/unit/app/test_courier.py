"""The courier: at least once, in order, ever more slowly to who fails, and never silent about a fault of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import pytest

from monitor.app.courier import LONGEST_PAUSE, Courier
from monitor.store.commit import Commit, Entry, Letter
from monitor.store.database import Database

PATIENCE = 20.0


@dataclass
class Clock:
    now: float = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Mailbox:
    """A sink that keeps what it gets; `trouble` is raised instead while it is set, `most` are taken at a time."""

    name: str
    clock: Clock = field(default_factory=Clock)
    trouble: Exception | None = None
    most: int = 1000
    got: list[str] = field(default_factory=list)
    attempts: list[float] = field(default_factory=list)
    closed: bool = False
    arrived: Event = field(default_factory=Event)

    def deliver(self, entries: Sequence[Entry]) -> int:
        self.attempts.append(self.clock())
        if self.trouble is not None:
            raise self.trouble
        taken = entries[: self.most]
        self.got += [entry.id for entry in taken]
        self.arrived.set()
        return len(taken)

    def tend(self, now: float) -> None:
        pass

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with Database(tmp_path / "house.db", routes={"summary": ("left", "right")}) as each:
        yield each


def post(database: Database, *numbers: int) -> list[str]:
    """Put letters into the outbox and return their ids."""
    letters = tuple(Letter(f"letter-{number}", "summary", "jets", b"x") for number in numbers)
    database.commit(Commit(now=0.0, letters=letters))
    return [letter.id for letter in letters]


@pytest.fixture
def open_courier(database: Database) -> Callable[..., Courier]:
    def build(*outlets: Mailbox, clock: Clock) -> Courier:
        courier = Courier(database=database, clock=clock)
        courier.open(outlets)
        return courier

    return build


def test_everything_arrives_once_and_in_order(database: Database, open_courier: Callable[..., Courier]):
    clock, left, right = Clock(), Mailbox("left"), Mailbox("right", most=7)
    courier = open_courier(left, right, clock=clock)
    expected = post(database, *range(250))
    for _ in range(60):
        courier.visit()
    assert left.got == expected
    assert right.got == expected
    assert [(view.delivered, view.pending, view.error) for view in courier.views()] == [(250, 0, "")] * 2


def test_a_sink_that_fails_is_tried_again_after_pauses_that_grow(
    database: Database, open_courier: Callable[..., Courier]
):
    clock = Clock()
    sink = Mailbox("left", clock, trouble=ConnectionRefusedError("nobody is there"))
    courier = open_courier(sink, clock=clock)
    post(database, 1)
    for step in range(4 * 150):
        clock.now = step / 4
        courier.visit()
    assert sink.attempts[:7] == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
    pauses = [later - earlier for earlier, later in zip(sink.attempts, sink.attempts[1:], strict=False)]
    assert max(pauses) == LONGEST_PAUSE
    view = courier.views()[0]
    assert (view.failures, view.pending, view.error) == (len(sink.attempts), 1, "nobody is there")
    assert courier.problems() == ()


def test_a_sink_that_recovers_has_lost_nothing(database: Database, open_courier: Callable[..., Courier]):
    clock = Clock()
    sink = Mailbox("left", clock, trouble=TimeoutError("too slow"))
    courier = open_courier(sink, clock=clock)
    expected = post(database, 1, 2)
    courier.visit()
    expected += post(database, 3)
    clock.now, sink.trouble = 100.0, None
    courier.visit()
    assert sink.got == expected
    expected += post(database, 4)
    courier.visit()  # at once: a success ends the pause
    assert sink.got == expected
    assert courier.views()[0].error == ""


def test_one_sink_that_fails_does_not_hold_up_another(database: Database, open_courier: Callable[..., Courier]):
    clock, well = Clock(), Mailbox("right")
    courier = open_courier(Mailbox("left", clock, trouble=OSError("gone")), well, clock=clock)
    assert post(database, 1) == ["letter-1"]
    courier.visit()
    assert well.got == ["letter-1"]


def test_a_fault_of_our_own_is_a_problem_on_the_page_until_it_is_over(
    database: Database, open_courier: Callable[..., Courier]
):
    clock, well = Clock(), Mailbox("right")
    faulty = Mailbox("left", clock, trouble=KeyError("colour"))
    courier = open_courier(faulty, well, clock=clock)
    expected = post(database, 1)
    courier.visit()
    assert courier.problems() == ("delivery to left fails: KeyError: 'colour'; the log says where",)
    assert courier.views()[0].failures == 1
    assert well.got == expected
    clock.now, faulty.trouble = 100.0, None
    courier.visit()
    assert courier.problems() == ()
    assert faulty.got == expected


def test_the_thread_survives_what_nobody_expected(database: Database):
    faulty, well = Mailbox("left", trouble=ZeroDivisionError("never")), Mailbox("right")
    courier = Courier(database=database, clock=Clock())
    courier.start([faulty, well])
    for number in (1, 2):
        well.arrived.clear()
        post(database, number)
        courier.wake()
        assert well.arrived.wait(PATIENCE)
    courier.close()
    assert well.got == ["letter-1", "letter-2"]
    assert faulty.closed
    assert well.closed


def test_closing_delivers_what_waits_even_to_who_was_left_in_peace(database: Database):
    clock, sink = Clock(), Mailbox("left", trouble=OSError("gone"))
    courier = Courier(database=database, clock=clock)
    courier.open([sink])
    expected = post(database, 1)
    courier.visit()
    sink.trouble = None
    courier.start([sink])
    courier.close(patience=PATIENCE)
    assert sink.got == expected
    assert sink.closed
