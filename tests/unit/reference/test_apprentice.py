from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emulator.pack import Unreadable, pack
from monitor.reference.apprentice import Apprentice
from tests.unit.observe.crossings import EPOCH, crossings, key
from tests.unit.reference.fills import SUMMARISER, fill

ROWS = list(fill(1, lumisections=80, pileup=(60.0, 50.0)))


def taught(rows: list, *, wanted: int = 20, alarm: float = float("nan")) -> Apprentice:
    apprentice = Apprentice(wanted=wanted)
    for row in rows:
        apprentice = apprentice.taught(row, alarm=alarm if apprentice.page else float("nan"))
    return apprentice


def test_it_counts_aloud_and_has_a_page_after_as_many_as_wanted():
    assert taught(ROWS[:17]).words == "learning 17 of 20"
    assert taught(ROWS[:19]).page is None
    done = taught(ROWS[:20])
    assert done.words is None
    assert done.page is not None
    assert done.page.lumisections == 20


def test_it_follows_pileup_as_long_as_nothing_alarms():
    followed = taught(ROWS, alarm=0.1)
    assert followed.page is not None
    assert followed.page.unjudged(ROWS[-1]) is None
    assert len(followed.seen) <= 30


def test_it_does_not_learn_from_what_alarms():
    first, alarmed = taught(ROWS[:20]), taught(ROWS, alarm=0.9)
    assert first.page is not None
    assert alarmed.page is not None
    assert alarmed.page.id == first.page.id
    assert alarmed.doubtful
    beyond = alarmed.taught(ROWS[-1])  # out of the learnt range, so not judged: but the alarm is not forgotten
    assert beyond.page is alarmed.page
    assert len(beyond.seen) == len(alarmed.seen)


def test_another_epoch_starts_from_nothing():
    changed = SUMMARISER.summarise(
        key(2, 1, replace(EPOCH, prescale_column="9z")), crossings(400, np.random.default_rng(1))
    )
    assert taught([*ROWS[:20], changed]).words == "learning 1 of 20"


def test_nearly_empty_lumisections_teach_nothing():
    empty = SUMMARISER.summarise(key(1, 99), crossings(10, np.random.default_rng(1)))
    assert taught([*ROWS[:5], empty]).words == "learning 5 of 20"


@pytest.mark.parametrize("count", [0, 7, 25])
def test_it_goes_on_after_a_restart_as_if_nothing_had_happened(count: int):
    stopped = taught(ROWS[:count])
    restarted = Apprentice.from_bytes(stopped.to_bytes())
    assert restarted.to_bytes() == stopped.to_bytes()
    assert restarted.taught(ROWS[count]).to_bytes() == stopped.taught(ROWS[count]).to_bytes()


def test_wishes_and_bytes_that_make_no_sense_are_refused():
    with pytest.raises(ValueError, match="a page needs at least 10"):
        Apprentice(wanted=3)
    with pytest.raises(Unreadable):
        Apprentice.from_bytes(pack({"book": 1}, {}))
