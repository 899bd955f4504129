"""SIGKILL at any moment: nothing is lost, nothing is counted twice."""

import random
import time
from pathlib import Path

from monitor.store.database import Database
from tests.house.daemons import Daemon, settings, simulate, until

KILLS = 20
LUMISECTIONS = 400
EVENTS = 1500


def judged(daemon: Daemon) -> int:
    rows = daemon.get("/api/v1/lumisections?limit=1")["lumisections"]
    return int(rows[0]["ls"]) if rows else 0


def last(path: Path) -> int:
    with Database(path, routes={}) as database:
        return int(database.lumisections(limit=1)[0]["ls"])


def remembered(path: Path) -> tuple[object, ...]:
    """What the daemon knows in the end: every counter, every lumisection's verdict and numbers, every episode."""
    with Database(path, routes={}) as database:
        lumisections = database.lumisections(limit=10_000)
        assert len(lumisections) == LUMISECTIONS
        without_time = [{key: row[key] for key in row if key != "at"} for row in lumisections]
        verdicts = [row["id"] for row in database.verdicts(limit=1000)]
        offsets = {place: (each["resume"], each["next"]) for place, each in database.frontiers().items()}
        return database.counters(), without_time, verdicts, offsets


def test_twenty_kills_leave_the_counts_of_an_undisturbed_run(tmp_path: Path):
    tape = tmp_path / "day.tape"
    simulate(
        "weight-upset",
        *("--lumisections", str(LUMISECTIONS), "--events", str(EVENTS), "--out", str(tape)),
    )
    ends = []
    for name, kills in (("undisturbed", 0), ("killed", KILLS)):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "day.tape").write_bytes(tape.read_bytes())
        daemon = Daemon(settings(folder, '[tape]\npath = "day.tape"', more="[reference]\nlearn_lumisections = 20"))
        chance, reached = random.Random(7), 0
        for _ in range(kills):
            daemon.start()
            # A few lumisections further, and then anywhere: while reading, in a commit, between two.
            wanted = reached + chance.randint(1, 6)
            until(lambda each=daemon, ls=wanted: judged(each) >= ls, what=f"lumisection {wanted} is judged")
            time.sleep(chance.uniform(0.0, 0.05))
            daemon.kill()
            reached = last(folder / "trigwatch.db")
        assert reached < LUMISECTIONS, "the kills must fall into the run, not behind it"
        daemon.start()
        until(lambda each=daemon: judged(each) == LUMISECTIONS, what="the whole tape is judged")
        assert daemon.stop() == 0
        ends.append(remembered(folder / "trigwatch.db"))
    undisturbed, killed = ends
    assert undisturbed[0]["events", "l1anomaly", ""] == LUMISECTIONS * EVENTS
    assert killed[0] == undisturbed[0]
    assert killed[1] == undisturbed[1]
    assert killed[2] == undisturbed[2]
    assert killed[3] == undisturbed[3]
