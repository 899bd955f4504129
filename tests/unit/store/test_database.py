"""The database: one transaction a step, an outbox that forgets nothing, a file that is whole or refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from monitor.decide.action import Action, Kind
from monitor.decide.numbers import place_numbers
from monitor.decide.retrain import Event, NotAllowed, Request, State
from monitor.decide.training import Unfit, training
from monitor.store.commit import Commit, Letter
from monitor.store.database import Absent, Damaged, Database, Full, InUse, backup_path, restore
from monitor.store.schema import STEPS
from monitor.trigger.lumisection import Lumisection
from monitor.watch.judged import Judged
from tests.unit.watch.benches import aggregator, closed, judged
from tests.unit.watch.plays import STREAM, V2

ROUTES = {"verdict": ("kafka", "webhook"), "page": ("pager",), "retrain": ("kafka",), "dead-letter": ("kafka",)}
REQUEST = Request("r1", STREAM, "v1", "sha256:0", Lumisection(1, 9), {"state": "proposed", "why": "ageing"})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "trigwatch.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with Database(path, routes=ROUTES, keep_lumisections=10, keep_summaries=3) as opened:
        yield opened


@pytest.fixture(scope="module")
def story() -> list[tuple[Judged, tuple[Action, ...]]]:
    """Return twelve lumisections of a stale model, judged."""
    steps = judged(aggregator((0,)), closed(0, *range(1, 13), hardware=V2))
    return [(each.judged[0], each.actions) for each in steps]


def action(number: int, kind: Kind = Kind.VERDICT) -> Action:
    return Action(f"a{number}", kind, STREAM, {"id": f"v{number}", "level": "act"})


def test_a_commit_is_there_after_the_file_is_opened_again(path: Path) -> None:
    frontier = {"resume": 3, "next": 7}
    with Database(path, routes=ROUTES) as first:
        first.commit(
            Commit(
                now=1.0,
                frontiers={("trigger", 2): frontier},
                states={"aggregator": b"\x00\x01"},
                counters={("rejected", STREAM, "late"): 2},
            )
        )
        first.commit(Commit(now=2.0, counters={("rejected", STREAM, "late"): 3}))
    with Database(path, routes=ROUTES) as again:
        assert again.frontiers() == {("trigger", 2): frontier}
        assert (again.state("aggregator"), again.state("other")) == (b"\x00\x01", None)
        assert again.counters() == {("rejected", STREAM, "late"): 5}


def test_a_commit_that_fails_leaves_nothing_behind(database: Database) -> None:
    broken = Commit(
        now=1.0,
        frontiers={("trigger", 0): {"next": 1}},
        counters={("events", STREAM, ""): 1},
        actions=(Action("x", Kind.VERDICT, STREAM, {"id": "v", "alarm": float("nan")}),),
    )
    with pytest.raises(ValueError, match="Out of range float"):
        database.commit(broken)
    assert (database.frontiers(), database.counters(), database.verdicts(limit=9)) == ({}, {}, ())


def test_every_sink_is_given_what_is_routed_to_it_in_order_and_once(database: Database) -> None:
    database.commit(Commit(now=1.0, actions=(action(1), action(2), action(3, Kind.PAGE), action(4, Kind.ANNOTATE))))
    assert [entry.id for entry in database.pending("kafka", limit=9)] == ["a1", "a2"]
    assert [entry.id for entry in database.pending("pager", limit=9)] == ["a3"]
    first = database.pending("kafka", limit=1)
    database.delivered("kafka", [entry.number for entry in first], now=2.0)
    assert [entry.id for entry in database.pending("kafka", limit=9)] == ["a2"]
    assert [entry.payload["id"] for entry in database.pending("webhook", limit=9)] == ["v1", "v2"]
    assert (database.waiting("kafka"), database.waiting("webhook"), database.waiting("nobody")) == (1, 2, 0)


def test_a_repeated_action_is_said_once_even_after_delivery(database: Database) -> None:
    for now in (1.0, 2.0):
        database.commit(Commit(now=now, actions=(action(1),)))
        for sink in ("kafka", "webhook"):
            database.delivered(sink, [entry.number for entry in database.pending(sink, limit=9)], now=now)
    database.commit(Commit(now=3.0, actions=(action(1),)))
    assert database.pending("kafka", limit=9) == ()
    assert len(database.verdicts(limit=9)) == 1


def test_letters_keep_their_exact_bytes(database: Database) -> None:
    body = bytes(range(256))
    letter = Letter("l1", "dead-letter", STREAM, body, {"headers": [["reason", "late"]]})
    database.commit(Commit(now=1.0, letters=(letter, letter)))
    (entry,) = database.pending("kafka", limit=9)
    assert (entry.body, entry.payload, entry.created) == (body, {"headers": [["reason", "late"]]}, 1.0)


def test_lumisections_verdicts_and_capsules_are_kept(
    database: Database, story: list[tuple[Judged, tuple[Action, ...]]]
) -> None:
    for number, (one, actions) in enumerate(story[:2]):
        database.commit(Commit(now=float(number), judged=(one,), actions=actions))
    newest, first = database.lumisections(limit=9)
    assert (newest["ls"], first["ls"], newest["level"], newest["blame"]) == (2, 1, "act", "identity")
    assert (newest["events"], newest["evidence"]["agreement"]["compared"]) == (60, 60)
    (verdict,) = database.verdicts(limit=9)
    assert (verdict["change"], verdict["ls"], verdict["acknowledged"]) == ("started", 1, None)
    capsule = database.capsule(verdict["capsule"])
    assert capsule == story[0][0].capsules[0]
    with pytest.raises(Absent, match="no capsule"):
        database.capsule("nothing")


def test_old_lumisections_and_their_summaries_are_let_go(
    database: Database, story: list[tuple[Judged, tuple[Action, ...]]]
) -> None:
    for one, _ in story:
        database.commit(Commit(now=1.0, judged=(one,)))
    assert [each["ls"] for each in database.lumisections(limit=99)] == list(range(12, 2, -1))
    summaries = database.summaries(STREAM, limit=99)
    assert summaries == tuple(one.summary.to_bytes() for one, _ in story[:-4:-1] if one.summary is not None)
    assert (database.lumisections(limit=99, stream="other"), database.summaries("other", limit=9)) == ((), ())


def test_a_lumisection_judged_again_replaces_itself(
    database: Database, story: list[tuple[Judged, tuple[Action, ...]]]
) -> None:
    database.commit(Commit(now=1.0, judged=(story[0][0], replace(story[0][0], at=5.0))))
    assert [each["at"] for each in database.lumisections(limit=9)] == [5.0]


def test_lumisections_since_one_come_in_the_order_of_data_taking_with_what_training_asks_for(
    database: Database, story: list[tuple[Judged, tuple[Action, ...]]]
) -> None:
    database.commit(Commit(now=1.0, judged=tuple(each for each, _ in reversed(story[4:9]))))
    rows = database.since(STREAM, story[6][0].lumisection)
    assert [row["ls"] for row in rows] == [7, 8, 9]
    assert database.since("other", story[6][0].lumisection) == ()
    assert rows[0]["where"] == place_numbers(story[6][0].verdict.where)
    first = story[6][0].verdict
    about = Request("r1", STREAM, first.model, first.digest, first.lumisection, {"verdict": first.id})
    found = training(about, State.PROPOSED, rows).materials
    assert {each.unfit for each in found} == {Unfit.MISMATCHES}
    assert [each.events for each in found] == [each.summary.events for each, _ in story[6:9] if each.summary]


def test_silence_is_a_verdict_but_no_lumisection(
    database: Database, story: list[tuple[Judged, tuple[Action, ...]]]
) -> None:
    database.commit(Commit(now=1.0, judged=(replace(story[0][0], silent=True),)))
    assert database.lumisections(limit=9) == ()


def test_an_acknowledgement_stays_with_its_verdict(database: Database) -> None:
    database.commit(Commit(now=1.0, actions=(action(1),)))
    database.acknowledge("v1", who="ann", note="looking", now=2.0)
    database.acknowledge("v1", who="bob", note="mine", now=3.0)
    seen = {"who": "bob", "note": "mine", "at": 3.0, "label": ""}
    assert database.acknowledgement("v1") == seen == database.verdicts(limit=1)[0]["acknowledged"]
    database.acknowledge("v1", who="cyd", note="", now=4.0)  # who says nothing takes no note back
    assert database.acknowledgement("v1") == {"who": "cyd", "note": "mine", "at": 4.0, "label": ""}
    with pytest.raises(Absent, match="v9"):
        database.acknowledge("v9", who="ann", note="", now=2.0)


def test_labels_are_counted_by_stream_and_the_latest_word_counts(database: Database) -> None:
    database.commit(Commit(now=1.0, actions=(action(1), action(2), action(3))))
    assert database.labels(STREAM) == {}
    for verdict, label in (("v1", "true"), ("v2", "true"), ("v3", "false"), ("v2", "false")):
        database.acknowledge(verdict, who="ann", note="", now=2.0, label=label)
    assert database.labels(STREAM) == {"true": 1, "false": 2}
    assert database.labels("another") == {}
    database.acknowledge("v1", who="bob", note="looking", now=3.0)  # who only looks takes no label back
    assert database.labels(STREAM) == {"true": 1, "false": 2}
    assert database.acknowledgement("v1") == {"who": "bob", "note": "looking", "at": 3.0, "label": "true"}


def test_a_file_of_the_first_version_learns_labels(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.executescript(f"{STEPS[0]}; PRAGMA user_version = 1;")
    connection.execute("INSERT INTO acknowledgement VALUES ('v1', 'ann', 'seen', 1.0)")
    connection.commit()
    connection.close()
    with Database(path, routes=ROUTES) as database:
        assert database.acknowledgement("v1") == {"who": "ann", "note": "seen", "at": 1.0, "label": ""}


def test_a_retraining_request_is_stepped_and_every_step_is_told(
    database: Database, story: list[tuple[Judged, tuple[Action, ...]]]
) -> None:
    proposed = replace(story[0][0], retrain=REQUEST)
    database.commit(Commit(now=1.0, judged=(proposed, proposed)))
    assert database.requests() == ((REQUEST, State.PROPOSED),)
    assert database.move("r1", Event.APPROVE, who="ann", note="go", now=2.0) is State.APPROVED
    database.commit(Commit(now=3.0, judged=(proposed,)))
    ((known, state),) = database.requests(stream=STREAM)
    assert (state, known.dossier["state"]) == (State.APPROVED, "approved")
    assert [(each["event"], each["who"]) for each in database.transitions("r1")] == [
        ("propose", "trigwatch"),
        ("approve", "ann"),
    ]
    (entry,) = database.pending("kafka", limit=9)
    assert (entry.kind, entry.payload["state"], entry.payload["who"]) == ("retrain", "approved", "ann")
    with pytest.raises(NotAllowed, match="approved cannot approve"):
        database.move("r1", Event.APPROVE, who="bob", note="", now=4.0)
    with pytest.raises(Absent):
        database.move("r2", Event.APPROVE, who="bob", note="", now=4.0)
    assert database.request("r1") == (known, State.APPROVED)
    with pytest.raises(Absent, match="r2"):
        database.request("r2")


def test_one_book_is_promoted_at_a_time(database: Database) -> None:
    assert database.promoted_book() is None
    database.keep_book(b"one", id="b1", version="1", now=1.0, promote=True)
    database.keep_book(b"two", id="b2", version="2", now=2.0, promote=False)
    assert database.promoted_book() == b"one"
    database.keep_book(b"two", id="b2", version="2", now=3.0, promote=True)
    assert database.promoted_book() == b"two"
    assert [(each["id"], each["promoted"]) for each in database.books()] == [("b2", True), ("b1", False)]


def test_a_second_process_is_refused_and_told_why(path: Path, database: Database) -> None:
    program = (
        "import sys, pathlib\nfrom monitor.store.database import Database, InUse\n"
        "try:\n    Database(pathlib.Path(sys.argv[1]), routes={})\nexcept InUse as error:\n    print(error)"
    )
    del database
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert "in use by another process" in done.stdout
    assert "[state] path" in done.stdout


def test_the_same_process_is_refused_too_until_it_closes(path: Path, database: Database) -> None:
    with pytest.raises(InUse):
        Database(path, routes=ROUTES)
    database.close()
    Database(path, routes=ROUTES).close()


def test_threads_share_it(database: Database) -> None:
    def work() -> None:
        for _ in range(20):
            database.commit(Commit(now=1.0, counters={("events", STREAM, ""): 1}))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert database.counters() == {("events", STREAM, ""): 60}


def test_a_full_disk_is_said_and_nothing_is_lost(path: Path, database: Database) -> None:
    database.commit(Commit(now=1.0, states={"aggregator": b"old"}))
    (pages,) = database._connection.execute("PRAGMA page_count").fetchone()
    database._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(Full, match="nothing is lost"):
        database.commit(Commit(now=2.0, states={"aggregator": bytes(10**6)}, counters={("events", STREAM, ""): 1}))
    assert (database.state("aggregator"), database.counters()) == (b"old", {})
    database._connection.execute("PRAGMA max_page_count = 1000000")
    database.commit(Commit(now=3.0, states={"aggregator": bytes(10**6)}))
    database.close()
    with Database(path, routes=ROUTES) as again:
        assert again.state("aggregator") == bytes(10**6)


def filled(path: Path) -> None:
    with Database(path, routes=ROUTES) as database:
        for number in range(50):
            database.commit(Commit(now=1.0, states={f"s{number}": bytes(5000)}, actions=(action(number),)))


def spoil(path: Path, start: int, stop: int) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(os.urandom(stop - start))


@pytest.mark.parametrize(("start", "stop"), [(0, 100), (8192, 20000)])
def test_a_damaged_file_is_refused_with_the_way_back(path: Path, start: int, stop: int) -> None:
    filled(path)
    spoil(path, start, stop)
    with pytest.raises(Damaged, match="There is no backup at"):
        Database(path, routes=ROUTES)


def test_a_backup_is_taken_in_use_and_restored_over_a_damaged_file(path: Path) -> None:
    filled(path)
    with Database(path, routes=ROUTES) as database:
        assert database.back_up() == backup_path(path)
        database.commit(Commit(now=9.0, states={"late": b"1"}))
        database.back_up()
    older = backup_path(path).with_name(f"{backup_path(path).name}.1")
    assert older.exists()
    spoil(path, 0, 20_000)
    with pytest.raises(Damaged, match="Restore the newest good backup"):
        Database(path, routes=ROUTES)
    aside = restore(path)
    assert aside.exists()
    with Database(path, routes=ROUTES) as database:
        assert (database.state("late"), database.waiting("kafka")) == (b"1", 50)
    restore(path, backup=older)
    with Database(path, routes=ROUTES) as database:
        assert database.state("late") is None


def test_a_damaged_backup_is_not_restored(path: Path) -> None:
    filled(path)
    with Database(path, routes=ROUTES) as database:
        database.back_up()
        with pytest.raises(InUse):
            restore(path)
    spoil(backup_path(path), 0, 20_000)
    with pytest.raises(Damaged, match="cannot be restored"):
        restore(path)
    with Database(path, routes=ROUTES) as database:
        assert database.state("s1") is not None
    with pytest.raises(Damaged, match="there is no backup"):
        restore(path, backup=path.with_name("nowhere"))


def test_a_file_of_a_newer_version_is_refused(path: Path) -> None:
    Database(path, routes=ROUTES).close()
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA user_version = {len(STEPS) + 1}")
    connection.close()
    with pytest.raises(Damaged, match="written by a newer one"):
        Database(path, routes=ROUTES)


LOOP = """
import pathlib, sys
from monitor.decide.action import Action, Kind
from monitor.store.commit import Commit
from monitor.store.database import Database
with Database(pathlib.Path(sys.argv[1]), routes={"verdict": ("kafka",)}) as database:
    frontier = database.frontiers().get(("trigger", 0), {"next": 0})
    number = frontier["next"]
    while True:
        number += 1
        action = Action(f"a{number}", Kind.VERDICT, "jets", {"id": f"v{number}"})
        database.commit(Commit(now=1.0, frontiers={("trigger", 0): {"next": number}}, states={"s": bytes(20_000)},
            counters={("events", "jets", ""): 1}, actions=(action,)))
        print(number, flush=True)
"""


def test_a_kill_at_any_moment_loses_no_commit_and_counts_none_twice(path: Path) -> None:
    for turn in range(20):
        child = subprocess.Popen([sys.executable, "-c", LOOP, path], stdout=subprocess.PIPE, text=True)
        assert child.stdout is not None
        for _ in range(1 + turn % 5):
            told = int(child.stdout.readline())
        child.send_signal(signal.SIGKILL)
        child.wait()
        rest = child.stdout.read().split()
        child.stdout.close()
        told = int(rest[-1]) if rest else told
        with Database(path, routes={"verdict": ("kafka",)}) as database:
            number = database.frontiers()["trigger", 0]["next"]
            assert number in {told, told + 1}  # the last commit may be durable before it was told
            assert database.counters() == {("events", "jets", ""): number}
            assert database.waiting("kafka") == len(database.verdicts(limit=10**6)) == number
