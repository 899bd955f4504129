"""Retraining: proposed once, only where conditions have moved for good, and stepped only along the table."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from monitor.decide.action import Kind
from monitor.decide.capsule import Capsule
from monitor.decide.case import Case, Rules
from monitor.decide.retrain import TRANSITIONS, Event, NotAllowed, Request, State, move
from monitor.drift.evidence import AcceptRate, Completeness
from monitor.trigger.lumisection import Lumisection
from tests.unit.decide.cases import ETA, Bench, case, shift

RULES = Rules(persistent_after=3)
BROAD = tuple(shift(f"jet[{i}] pt") for i in range(3))
MOVED = AcceptRate(0.02, 0.01, 0.0005)


def proposals(*stories: Case) -> list[Request]:
    bench = Bench(RULES)
    return [request for each in stories if (request := bench.take(each).request) is not None]


def test_a_broad_shift_is_proposed_once_it_has_lasted() -> None:
    assert proposals(*[case(ls, alarm=1.2, shifts=BROAD) for ls in (1, 2)]) == []
    (request,) = proposals(*[case(ls, alarm=1.2, shifts=BROAD) for ls in range(1, 20)])
    assert request.lumisection == Lumisection(1, 3)


def test_a_narrow_shift_is_proposed_where_the_accept_rate_feels_it() -> None:
    narrow = (shift(),)
    assert proposals(*[case(ls, alarm=1.2, shifts=narrow) for ls in range(1, 9)]) == []
    assert len(proposals(*[case(ls, alarm=1.2, shifts=narrow, accept=MOVED) for ls in range(1, 9)])) == 1


def test_the_aftermath_of_a_burst_is_no_persistence() -> None:
    """Detectors at their cap stay over the line for some lumisections after everything has come back."""
    burst = [case(ls, alarm=1.2, shifts=BROAD) for ls in (1, 2)]
    back = tuple(replace(each, observed=each.expected + 0.5 * each.tolerance) for each in BROAD)
    aftermath = [case(ls, alarm=1.2, shifts=back) for ls in range(3, 12)]
    assert proposals(*burst, *aftermath) == []
    assert len(proposals(*burst, *aftermath, case(12, alarm=1.2, shifts=BROAD))) == 1


def test_what_is_left_of_a_burst_has_yet_to_last() -> None:
    other = tuple(shift(f"met[{i}] pt") for i in range(3))
    burst = [case(ls, alarm=1.2, shifts=BROAD) for ls in (1, 2)]
    left = [case(ls, alarm=1.2, shifts=(BROAD[0], *other)) for ls in (3, 4)]
    assert proposals(*burst, *left) == []
    assert len(proposals(*burst, *left, case(5, alarm=1.2, shifts=(BROAD[0], *other)))) == 1


@pytest.mark.parametrize(
    "given",
    [
        {"mismatch": 2.0, "alarm": 2.0, "shifts": BROAD, "accept": MOVED},
        {"alarm": 2.0, "shifts": BROAD, "arrived": Completeness(500, 1000)},
        {"alarm": 0.9, "shifts": BROAD, "accept": MOVED},
        {"alarm": 2.0, "shifts": (shift(eta=ETA), *BROAD), "accept": MOVED},
        {"compared": 0, "not_comparable": {"unknown-model": 1000}, "accept": MOVED},
    ],
)
def test_no_other_trouble_is_answered_with_training(given: dict[str, object]) -> None:
    assert proposals(*[case(ls, **given) for ls in range(1, 20)]) == []  # type: ignore[arg-type]


def test_the_dossier_says_what_moved_since_when_and_what_it_does() -> None:
    threshold = {"threshold": {"present": 400, "restoring": 420}}
    bench = Bench(RULES)
    for ls in range(2, 5):
        done = bench.take(case(ls, alarm=1.2, shifts=BROAD, accept=MOVED, dossier=threshold))
    assert done.request is not None
    dossier = done.request.dossier
    assert dossier["since"] == {"run": 1, "ls": 1}
    assert dossier["what"] == ["jet[0] pt", "jet[1] pt", "jet[2] pt"]
    assert dossier["accept_rate"]["ratio"] == pytest.approx(2.0)
    assert dossier["train_on"]["from"] == {"run": 1, "ls": 1}
    assert (dossier["reference"], dossier["state"], dossier["threshold"]["restoring"]) == ("page-1", "proposed", 420)
    (said,) = [action for action in done.actions if action.kind is Kind.RETRAIN]
    assert (said.id, said.payload) == (done.request.id, dossier)
    json.dumps(dossier, allow_nan=False)


def test_requests_walk_along_the_table_only() -> None:
    for state in State:
        for event in Event:
            if (state, event) in TRANSITIONS:
                assert move(state, event) is TRANSITIONS[state, event]
            else:
                with pytest.raises(NotAllowed, match=f"{state.value} cannot {event.value}"):
                    move(state, event)


def test_a_capsule_is_named_by_its_content() -> None:
    capsule = Capsule("jets", "v1", "sha256:0", Lumisection(1, 2), 3, 4, 5, (6, 7), (8,), (9,))
    assert Capsule.from_json(json.loads(json.dumps(capsule.to_json()))) == capsule
    changed = {**capsule.to_json(), "hardware": [9]}
    with pytest.raises(ValueError, match="it was changed"):
        Capsule.from_json(changed)
    with pytest.raises(ValueError, match="not a capsule"):
        Capsule.from_json({})
    with pytest.raises(ValueError, match="the capsule lacks 'stream'"):
        Capsule.from_json({"schema": "capsule/1"})
