"""Which lumisections a retraining may learn from: each reason against it holds, and is the one that is said."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from monitor.decide.retrain import Request, State
from monitor.decide.training import Training, Unfit, training
from monitor.trigger.lumisection import Lumisection

REQUEST = Request("r1", "jets", "v1", "sha256:0", Lumisection(1, 20), {"verdict": "moved"})


def row(ls: int, *, run: int = 1, evidence: dict[str, Any] | None = None, **changed: Any) -> dict[str, Any]:
    """Return a lumisection of the episode as the store keeps it."""
    arrived = {"received": 1000, "declared": 1000, "lost_batches": 0, "missing_partitions": []}
    numbers = {
        "completeness": arrived,
        "agreement": {"floor": 1e-6},
        "pileup": 40.0,
        "unjudged": None,
        "shifts": [],
        **(evidence or {}),
    }
    known = {"run": run, "ls": ls, "level": "act", "blame": "conditions", "verdict": "moved", "digest": "sha256:0"}
    counts = {"model": "v1", "events": 1000, "compared": 1000, "mismatched": 0, "where": {}}
    return {**known, **counts, "evidence": numbers, **changed}


def sorted_out(*rows: dict[str, Any], state: State = State.PROPOSED) -> Training:
    return training(REQUEST, state, rows)


def arrived(**changed: Any) -> dict[str, Any]:
    whole = {"received": 1000, "declared": 1000, "lost_batches": 0, "missing_partitions": []}
    return {"evidence": {"completeness": {**whole, **changed}}}


@pytest.mark.parametrize(
    ("changed", "unfit"),
    [
        ({}, None),
        ({"blame": "detector"}, None),
        ({"blame": "detector", "where": {"object": "jet"}}, None),
        ({"mismatched": 1}, Unfit.MISMATCHES),
        ({"mismatched": 1, "evidence": {"agreement": {"floor": 0.002}}}, None),
        ({"mismatched": 3, "evidence": {"agreement": {"floor": 0.002}}}, Unfit.MISMATCHES),
        (arrived(received=999), Unfit.INCOMPLETE),
        (arrived(received=1001), Unfit.INCOMPLETE),
        (arrived(lost_batches=1), Unfit.INCOMPLETE),
        (arrived(missing_partitions=[1]), Unfit.INCOMPLETE),
        (arrived(declared=None), None),
        ({"compared": 990}, Unfit.NOT_EMULATED),
        ({"blame": "firmware"}, Unfit.BLAMED),
        ({"blame": "identity"}, Unfit.BLAMED),
        ({"blame": "stream", "level": "watch"}, Unfit.BLAMED),
        ({"blame": "monitor", "level": "watch"}, Unfit.BLAMED),
        ({"evidence": {"unjudged": "pile-up 80.0 is outside the learnt 35.0 to 60.0"}}, Unfit.NOT_JUDGED),
        ({"level": "unknown", "blame": "none"}, Unfit.NOT_JUDGED),
        ({"blame": "detector", "where": {"eta": [1.0, 2.0]}}, Unfit.LOCAL),
        ({"blame": "detector", "where": {"phi": [1.0, 2.0]}}, Unfit.LOCAL),
        ({"blame": "detector", "where": None, "evidence": {"shifts": [{"where": {"phi": [1, 2]}}]}}, Unfit.LOCAL),
        ({"level": "ok", "blame": "none", "verdict": "calm"}, Unfit.NORMAL),
    ],
)
def test_every_reason_is_said(changed: dict[str, Any], unfit: Unfit | None) -> None:
    middle = sorted_out(row(10), row(11, **changed), row(12)).materials[1]
    assert (middle.unfit, middle.usable) == (unfit, unfit is None)


def test_before_the_level_was_reached_the_change_point_counts() -> None:
    calm = {"level": "ok", "blame": "none", "verdict": "calm"}
    found = sorted_out(row(8, **calm), row(9, level="watch", verdict="calm"), row(10), row(11, **calm), row(12))
    assert [each.usable for each in found.materials] == [True, True, True, False, True]


def test_the_set_grows_while_the_episode_lasts_and_nobody_trains() -> None:
    over = row(12, level="ok", verdict="calm")
    assert sorted_out(row(10), row(11)).growing
    assert not sorted_out(row(10), row(11), over).growing
    assert not sorted_out(row(10), row(11), state=State.RUNNING).growing
    assert [each.lumisection.ls for each in sorted_out(row(10), row(11), over).materials] == [10, 11]


def test_other_models_and_what_is_kept_no_more_are_gaps() -> None:
    query = sorted_out(row(10), row(11, digest="sha256:1"), row(12), row(20), row(3, run=2)).query()
    assert query["runs"] == {"1": [[10, 10], [12, 12], [20, 20]], "2": [[3, 3]]}
    assert query["excluded"] == [
        {"run": 1, "first": 11, "last": 11, "reason": "no data"},
        {"run": 1, "first": 13, "last": 19, "reason": "no data"},
    ]
    assert sorted_out().materials == ()
    assert sorted_out(row(3, verdict="other")).query()["runs"] == {}


def test_ranges_join_neighbours_with_one_reason_only() -> None:
    bad, short = {"mismatched": 4}, arrived(received=10)
    query = sorted_out(row(1), row(2), row(3, **bad), row(4, **bad), row(5, **short), row(6)).query()
    assert query["runs"] == {"1": [[1, 2], [6, 6]]}
    assert [(each["first"], each["last"], each["reason"]) for each in query["excluded"]] == [
        (3, 4, "scores differ from emulation"),
        (5, 5, "incomplete"),
    ]
    assert (query["lumisections"], query["events"]) == (3, 3000)
    json.dumps(query, allow_nan=False)


def test_epochs_of_one_lumisection_are_one_row_and_as_fit_as_the_worst() -> None:
    other = row(2, events=500, compared=500, mismatched=1, evidence={"pileup": 43.0})
    (_, both) = sorted_out(row(1), row(2), other).materials
    assert (both.events, both.mismatches, both.unfit) == (1500, 1, Unfit.MISMATCHES)
    assert both.pileup == pytest.approx(41.0)
    unknown = [row(3, evidence={"pileup": None}), row(3, evidence={"pileup": None})]
    assert sorted_out(*unknown).materials[0].pileup is None


def test_without_a_digest_the_label_says_whose_lumisection_it_is() -> None:
    nameless = Request("r1", "jets", "v1", "", Lumisection(1, 20), {"verdict": "moved"})
    rows: Sequence[dict[str, Any]] = [row(1, digest=""), row(2, digest="", model="v2"), row(3, digest="")]
    assert [each.lumisection.ls for each in training(nameless, State.PROPOSED, rows).materials] == [1, 3]
