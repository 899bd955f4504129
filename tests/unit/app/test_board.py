"""The board: what the loop has seen, what is wrong with the daemon itself, and for how long."""

from __future__ import annotations

import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulator.detector import MODELS, SCENARIOS, play
from monitor.app.back import Done
from monitor.app.board import MOST_TROUBLES, RENEW_SECONDS, TROUBLE_SECONDS, Board, Identity
from monitor.app.compose import Daemon
from monitor.app.loop import FULL, Turn
from monitor.app.simulate import produce
from monitor.store.database import Database
from monitor.stream.memory import MemoryLog, MemorySource
from monitor.stream.record import Record
from monitor.trigger.batch import Place
from monitor.trigger.site import DEFAULT
from tests.house import inprocess as house

NOW = 1_000.0
IDENTITY = Identity(site=DEFAULT, version="1", role="solo", started=NOW, streams=("jets",), silent_after=90.0)


@pytest.fixture
def source() -> MemorySource:
    return MemorySource(MemoryLog({"trigger": 1}), ["trigger"])


@pytest.fixture
def board(source: MemorySource, tmp_path: Path) -> Iterator[Callable[..., Board]]:
    with Database(tmp_path / "house.db", routes={}) as database:

        def build(*problems: str) -> Board:
            return Board(
                IDENTITY,
                database=database,
                source=source,
                engine=lambda digest: digest,
                page=lambda _stream, _epoch: None,
                sinks=tuple,
                problems=lambda: problems,
            )

        yield build


def turn(
    now: float = NOW, *, problem: str = "", troubles: tuple[str, ...] = (), stamps: tuple[float, ...] = ()
) -> Turn:
    records = tuple(Record(Place("trigger", 0, i), stamp, b"") for i, stamp in enumerate(stamps))
    return Turn(now, records, Done(), problem, troubles)


def test_before_the_first_turn_nothing_is_ready_and_every_configured_stream_is_there(board: Callable[..., Board]):
    snapshot = board().snapshot()
    assert not snapshot.ready
    assert [stream.name for stream in snapshot.streams] == ["jets"]


def test_a_quiet_turn_renews_the_snapshot_twice_a_second(board: Callable[..., Board]):
    each = board()
    each.see(turn(NOW))
    each.see(turn(NOW + RENEW_SECONDS / 2))
    assert each.snapshot().now == NOW
    each.see(turn(NOW + RENEW_SECONDS))
    assert each.snapshot().now == NOW + RENEW_SECONDS
    assert each.snapshot().ready


def test_a_problem_is_shown_at_once_and_until_it_is_over(board: Callable[..., Board]):
    each = board()
    each.see(turn(NOW))
    each.see(turn(NOW + 0.1, problem=FULL))
    assert each.snapshot().problems == (FULL,)
    each.see(turn(NOW + 1.0))
    assert each.snapshot().problems == ()


def test_a_source_that_cannot_be_reached_is_a_problem(board: Callable[..., Board], source: MemorySource):
    each = board()
    source.close()
    each.see(turn())
    assert each.snapshot().problems[0].startswith("no data source")


def test_problems_of_other_parts_are_shown(board: Callable[..., Board]):
    each = board("card x is left out", "delivery to pager fails")
    each.see(turn())
    assert each.snapshot().problems == ("card x is left out", "delivery to pager fails")


def test_an_emulator_s_trouble_is_logged_once_and_shown_until_it_has_been_away_for_a_while(
    board: Callable[..., Board], caplog: pytest.LogCaptureFixture
):
    each = board()
    for step in range(3):
        each.see(turn(NOW + step, troubles=("the emulator of v1 raised ValueError",)))
    assert each.snapshot().problems == ("the emulator of v1 raised ValueError",)
    assert caplog.text.count("the emulator of v1") == 1
    each.see(turn(NOW + 2 + TROUBLE_SECONDS - 1))
    assert each.snapshot().problems
    each.see(turn(NOW + 2 + TROUBLE_SECONDS))
    assert each.snapshot().problems == ()


def test_ever_new_troubles_do_not_fill_the_page(board: Callable[..., Board]):
    each = board()
    for number in range(100):
        each.see(turn(NOW + number, troubles=(f"trouble {number}",)))
    assert each.snapshot().problems == tuple(f"trouble {number}" for number in range(100 - MOST_TROUBLES, 100))


def test_no_record_is_newer_than_now(board: Callable[..., Board]):
    each = board()
    each.see(turn(NOW, stamps=(NOW - 50.0, NOW + 1e9, NOW - 70.0)))
    assert each._newest == NOW


# In a whole daemon: cards


def cards(folder: Path) -> Path:
    """Return a folder of cards to be spoiled."""
    shutil.copytree(MODELS, folder / "models")
    return folder / "models"


def reload(daemon: Daemon) -> str:
    request = urllib.request.Request(f"{daemon.server.url}/-/reload", method="POST")
    with urllib.request.urlopen(request, timeout=10) as answer:
        return str(answer.read().decode())


def problems(daemon: Daemon) -> tuple[str, ...]:
    daemon.board.renew(house.NOW)
    return daemon.board.snapshot().problems


@pytest.mark.parametrize("file", ["card.json", "program", "golden"])
def test_a_broken_card_is_a_problem_on_the_page_and_the_others_work(file: str, tmp_path: Path):
    """Unreadable, or only found out when it is loaded: both are left out and said."""
    spoiled = cards(tmp_path) / "l1anomaly_v1"
    (spoiled / file).write_bytes((spoiled / file).read_bytes()[:-40])
    house.write(tmp_path, produce(play(SCENARIOS["quiet"], seed=1, lumisections=2), site=DEFAULT))
    with house.daemon(tmp_path, models={"path": spoiled.parent}) as daemon:
        judged = house.read(daemon)
        (problem,) = problems(daemon)
        assert problem.startswith("card l1anomaly_v1 is left out: ")
        assert "card l1anomaly_v1 is left out: " in house.get(daemon, "/")
        assert "trigwatch_up 0.0" in house.get(daemon, "/metrics")
        assert all(each.evidence.agreement.compared == 1000 for each in judged)


def test_a_reload_adds_a_new_card_and_takes_a_mended_one_off_the_problems(tmp_path: Path):
    folder = cards(tmp_path)
    shutil.rmtree(folder / "l1anomaly_v2")
    (folder / "l1anomaly_v1" / "golden").write_bytes(b"")
    house.write(tmp_path, produce(play(SCENARIOS["quiet"], seed=1, lumisections=4), site=DEFAULT))
    with house.daemon(tmp_path, models={"path": folder}) as daemon:
        daemon.loop.turn(timeout=0)
        daemon.loop.turn(timeout=0)
        assert daemon.shelf.all() == ()
        assert len(problems(daemon)) == 1
        shutil.copytree(MODELS, folder, dirs_exist_ok=True)
        answer = reload(daemon)
        assert "model l1anomaly_v1 sha256:" in answer
        assert "model l1anomaly_v2 sha256:" in answer
        assert problems(daemon) == ()
        assert [each.label for each in daemon.shelf.all()] == ["l1anomaly_v1", "l1anomaly_v2"]
        assert reload(daemon) == '{"changed":[]}'


def test_a_reload_of_a_folder_that_is_gone_keeps_the_models(tmp_path: Path):
    folder = cards(tmp_path)
    house.write(tmp_path, produce(play(SCENARIOS["quiet"], seed=1, lumisections=1), site=DEFAULT))
    with house.daemon(tmp_path, models={"path": folder}) as daemon:
        shutil.rmtree(folder)
        with pytest.raises(urllib.error.HTTPError) as refused:
            reload(daemon)
        assert refused.value.code == 409
        assert b"the models that were loaded stay" in refused.value.read()
        assert len(daemon.shelf.all()) == 2
