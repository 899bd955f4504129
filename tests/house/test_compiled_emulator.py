"""A compiled emulator in the watch: an event that kills it is not compared, its neighbours are."""

from dataclasses import replace

import numpy as np
import pytest

import emulator
from monitor.app.shelf import Loaded
from monitor.trigger.batch import Batch
from tests.emulators.build import MOODY, build, manifest
from tests.unit.watch.plays import batch, end, step, worker

pytestmark = pytest.mark.csim
CRASHES, HANGS = 251 + 2, 251 + 3


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> emulator.Card:
    folder = tmp_path_factory.mktemp("site")
    library = build("moody", folder / "moody.so", "-DSHIFT=251", cache=folder / "cache")
    return emulator.import_abi(library, manifest(library, **MOODY), out=folder / "cards")


def recorded(card: emulator.Card, firsts: np.ndarray) -> Batch:
    """What hardware without such moods records: twice the first input plus the second."""
    inputs = np.column_stack([firsts, np.arange(len(firsts))]).astype(np.int16)
    plain = batch((1, 5), events=len(firsts), digest=card.digest, model=card.label)
    return replace(plain, inputs=inputs, score=2 * inputs[:, :1].astype(np.int64) + inputs[:, 1:])


def test_an_event_that_kills_the_emulator_is_told_and_the_rest_of_its_batch_is_compared(card: emulator.Card) -> None:
    firsts = np.arange(40) - 20
    firsts[[7, 31]] = CRASHES, HANGS
    records = recorded(card, firsts)
    records.score[12] += 1  # an upset in the hardware
    with emulator.load(card.path) as model:
        done = step(worker((Loaded(model),)), records, end(1, 5, 40))
    (summary,) = done.closed[0].summaries
    assert (summary.compared, summary.mismatched) == (38, 1)
    assert summary.not_comparable == {"emulator-failed": 2}
    (trouble,) = done.troubles
    assert f"failed on 2 of 40 events, first on event {records.event[7]} of run 1" in trouble
    assert "signal 11" in trouble
