"""Whatever an emulator does to its process: the other events have their scores, and the event is named."""

import contextlib
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from emulator.abi.engine import MOST_POISON, AbiEngine
from emulator.abi.manifest import Manifest
from emulator.poison import Poison
from tests.emulators.build import MOODY, document

pytestmark = pytest.mark.csim
THROWS, CRASHES, HANGS, EXITS, ABORTS, THROWS_SEVEN, OVERRUNS, WRITES_BEFORE, OVERRUNS_FAR, TAKES_5_MS = range(1, 11)
WAYS = [
    (THROWS, "predict threw std::runtime_error: no weights for this input"),
    (CRASHES, "killed by signal 11"),
    (HANGS, r"no answer within 0\.3 s"),
    (EXITS, "ended with status 3 and said: file w2.txt does not exist"),
    (ABORTS, "killed by signal 6"),
    (THROWS_SEVEN, "predict threw something that is not a std::exception"),
    (OVERRUNS, "read_result: it wrote behind the end of the declared result"),
    (WRITES_BEFORE, "read_result: it wrote before the beginning of the declared result"),
    (OVERRUNS_FAR, "killed by signal 11"),
]


@pytest.fixture
def moody(libraries: Path) -> Iterator[AbiEngine]:
    library = libraries / "moody.so"
    with contextlib.closing(AbiEngine(library, Manifest.from_json(document(library, **MOODY)))) as engine:
        yield engine


def rows(count: int, **moods: int) -> np.ndarray:
    """Events of good mood, `count` of them; `at7=CRASHES` spoils event 7."""
    raw = np.column_stack([np.arange(count) % 400 + 100, np.arange(count) % 100])
    for where, mood in moods.items():
        raw[int(where.removeprefix("at")), 0] = mood
    return raw


def right(raw: np.ndarray) -> np.ndarray:
    return 2 * raw[:, :1] + raw[:, 1:]


@pytest.mark.parametrize(("mood", "said"), WAYS)
@pytest.mark.parametrize("at", [0, 130, 255])
def test_the_event_is_named_with_what_happened_and_all_others_have_scores(
    moody: AbiEngine, mood: int, said: str, at: int
) -> None:
    raw = rows(256, **{f"at{at}": mood})
    with pytest.raises(Poison, match=rf"moody\.so failed on 1 of 256 events: event {at}: .*{said}") as caught:
        moody.score(raw)
    poison = caught.value
    assert list(poison.why) == [at]
    assert np.flatnonzero(~poison.answered).tolist() == [at]
    assert (poison.scores[poison.answered] == right(raw)[poison.answered]).all()
    assert moody.restarts >= 1
    assert (moody.score(rows(300)) == right(rows(300))).all()


def test_several_events_of_one_batch_over_many_calls_are_named(moody: AbiEngine) -> None:
    raw = rows(10_000, at3=CRASHES, at4=EXITS, at5000=THROWS, at9999=OVERRUNS)
    with pytest.raises(Poison, match=r"failed on 4 of 10000 events: event 3: .*event 4: .*event 5000: .*; …") as caught:
        moody.score(raw)
    poison = caught.value
    assert list(poison.why) == [3, 4, 5000, 9999]
    assert (poison.scores[poison.answered] == right(raw)[poison.answered]).all()


def test_a_batch_of_nothing_but_poison_ends_after_a_few_processes(moody: AbiEngine) -> None:
    raw = rows(1000)
    raw[5:, 0] = CRASHES
    with pytest.raises(Poison, match="failed on 995 of 1000 events") as caught:
        moody.score(raw)
    assert "signal 11" in caught.value.why[4 + MOST_POISON]
    assert "not asked, because" in caught.value.why[5 + MOST_POISON]
    assert moody.restarts <= 2 * MOST_POISON + 1
    assert (caught.value.scores[:5] == right(raw)[:5]).all()


@pytest.mark.parametrize("mood", [CRASHES, EXITS, ABORTS, THROWS, OVERRUNS])
def test_every_failure_counts_as_a_restart(moody: AbiEngine, mood: int) -> None:
    moody.score(rows(3))
    with pytest.raises(Poison):
        moody.score(rows(3, at1=mood))
    # It stopped, was asked once more alone, and a third process did the rest.
    assert moody.restarts == 2


def test_a_worker_that_was_killed_from_outside_poisons_nothing(moody: AbiEngine) -> None:
    moody.score(rows(1))
    process = moody._worker._process
    assert process is not None
    process.kill()
    assert (moody.score(rows(500)) == right(rows(500))).all()
    assert moody.restarts == 1


def test_many_events_may_take_longer_than_the_deadline_of_one(moody: AbiEngine) -> None:
    raw = np.column_stack([np.full(100, TAKES_5_MS), np.arange(100)])
    begin = time.monotonic()
    assert (moody.score(raw) == right(raw)).all()
    assert time.monotonic() - begin > moody.manifest.deadline
    assert moody.restarts == 0


def test_a_stopped_process_counts_as_hung_and_poisons_nothing(moody: AbiEngine) -> None:
    moody.score(rows(1))
    process = moody._worker._process
    assert process is not None
    process.send_signal(signal.SIGSTOP)
    assert (moody.score(rows(500)) == right(rows(500))).all()
    assert moody.restarts == 1
