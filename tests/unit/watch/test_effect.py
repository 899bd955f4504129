"""What a request says of the lumisections since the change: against the very events, which the test knows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from emulator.pack import pack, unpack
from monitor.decide.case import Rules
from monitor.decide.retrain import Request
from monitor.observe.binning import SCORE_BINS
from monitor.trigger.batch import Batch
from monitor.watch.aggregator import Aggregator
from monitor.watch.conditions import Conditions
from tests.unit.watch.benches import LEARN, aggregator
from tests.unit.watch.plays import V1, batch, end, step, worker

EVENTS = 600
MOVED = LEARN + 4
RULES = Rules(persistent_after=6, broad=1)


def taken(ls: int, *, gain: float = 1.0) -> Batch:
    """Return a lumisection; `gain` is what the detector makes of every pt."""
    whole = batch((1, ls), events=EVENTS, sequence=ls)
    inputs = whole.inputs.copy()
    inputs[:, 0::3] = (inputs[:, 0::3] * gain).astype(np.int16)
    return replace(whole, inputs=inputs, score=V1.score(inputs))


def accepted(first: int, last: int, *, gain: float) -> NDArray[np.bool_]:
    scores = [taken(ls, gain=gain).score[:, 0] for ls in range(first, last + 1)]
    return np.concatenate(scores) >= V1.threshold


def requests(bench: Aggregator, *, gain: float, last: int = MOVED + 12, restart: bool = False) -> Iterator[Request]:
    watch = worker()
    for ls in range(1, last + 1):
        whole = taken(ls, gain=gain if ls >= MOVED else 1.0)
        for judged in bench.step(step(watch, whole, end(1, ls, EVENTS)).closed, now=ls).judged:
            if judged.retrain is not None:
                yield judged.retrain
        if restart:
            content, bench = bench.to_bytes(), aggregator((0,), rules=RULES)
            bench.restore(content)


@pytest.fixture(scope="module")
def dossier() -> dict[str, Any]:
    (request,) = requests(aggregator((0,), rules=RULES), gain=0.8)
    return dict(request.dossier)


def test_only_lumisections_since_the_change_are_counted(dossier: dict[str, Any]) -> None:
    effect = dossier["effect"]
    assert effect["from"] == {"run": 1, "ls": MOVED}
    assert effect["lumisections"] == effect["to"]["ls"] - MOVED + 1 == dossier["threshold"]["lumisections"]
    assert effect["events"] == effect["lumisections"] * EVENTS


def test_the_effect_is_that_on_the_very_events(dossier: dict[str, Any]) -> None:
    effect = dossier["effect"]
    last = effect["to"]["ls"]
    now, reference = accepted(MOVED, last, gain=0.8), accepted(MOVED, last, gain=1.0)
    assert effect["accepted"] == now.sum()
    assert abs(effect["expected"] - reference.sum()) < 2 * effect["sigma"]
    truth = (now & reference).sum() / reference.sum()
    assert effect["overlap"]["at_least"] <= truth <= effect["overlap"]["at_most"] + 2 * effect["overlap"]["sigma"]


def test_the_threshold_is_the_one_that_those_events_need(dossier: dict[str, Any]) -> None:
    threshold, last = dossier["threshold"], dossier["effect"]["to"]["ls"]
    scores = np.concatenate([taken(ls, gain=0.8).score[:, 0] for ls in range(MOVED, last + 1)])
    wanted = accepted(MOVED, last, gain=1.0).sum()
    truth = np.sort(scores)[::-1][wanted - 1]
    assert threshold["present"] == V1.threshold
    assert threshold["low"] <= truth <= threshold["high"] < V1.threshold
    restored = dossier["gain"]["threshold"]
    assert restored["accept_rate"] == pytest.approx((scores >= threshold["restoring"]).mean(), rel=0.02)
    assert restored["restores"] > 0.9


def test_a_score_that_moved_with_its_inputs_is_explained_by_them(dossier: dict[str, Any]) -> None:
    """The response alone has moved, and the score is linear in it: reweighting must find most of the loss."""
    gain = dossier["gain"]
    assert gain["visible"]
    found = gain["retraining"]
    assert found["score_shift"] < 0
    assert 0.5 < found["explained"] / found["score_shift"] < 1.5
    assert 0.5 < found["restores"] <= 1.0
    assert found["low"] < found["accept_rate"] < found["high"]
    assert 0.5 < gain["reuse"]["effective"] < 1.0


def test_it_is_json_and_the_same_after_any_restart(dossier: dict[str, Any]) -> None:
    json.dumps(dossier, allow_nan=False)
    (again,) = requests(aggregator((0,), rules=RULES), gain=0.8, restart=True)
    assert dict(again.dossier) == dossier


def test_a_state_from_before_lumisections_were_remembered_whole_is_still_read() -> None:
    names, arrays = unpack(Conditions("jets", floor=None).to_bytes())
    del names["remembered"]
    old = pack({**names, "recent": [["subject", [12.5]]]}, {**arrays, "recent.00": np.zeros((1, SCORE_BINS), np.int64)})
    again = Conditions("jets", floor=None)
    again.restore(old)
    assert again.to_bytes() == Conditions("jets", floor=None).to_bytes()
