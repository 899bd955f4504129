"""A database whose state another version wrote is refused with the remedy, and left as it is."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from emulator.detector import SCENARIOS, play
from emulator.pack import pack
from monitor.app.simulate import produce
from monitor.store.database import Damaged
from monitor.trigger.site import CMS
from tests.house import inprocess as house


@pytest.mark.parametrize(
    "content",
    [b"nonsense", pack({"schema": "aggregator/0"}, {}), pack({"schema": "x"}, {})],
    ids=["nonsense", "older", "another"],
)
def test_a_state_that_cannot_be_gone_on_from_is_refused(content: bytes, tmp_path: Path) -> None:
    run = play(SCENARIOS["quiet"], seed=1, lumisections=2, events_per_lumisection=100)
    house.write(tmp_path, produce(run, site=CMS))
    with house.daemon(tmp_path) as composed:
        house.read(composed)
    file = tmp_path / "trigwatch.db"
    with sqlite3.connect(file) as connection:
        changed = connection.execute("UPDATE state SET content = ? WHERE name = 'aggregator'", (content,))
        assert changed.rowcount == 1
    connection.close()
    with pytest.raises(Damaged, match=r"trigwatch\.db holds a state .* Move the file away"), house.daemon(tmp_path):
        pass
    with sqlite3.connect(file) as connection:
        kept = connection.execute("SELECT content FROM state WHERE name = 'aggregator'").fetchone()[0]
    connection.close()
    assert kept == content
