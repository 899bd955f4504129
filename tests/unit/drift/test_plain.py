"""A model whose inputs are just numbers has no places, and is judged all the same."""

from __future__ import annotations

import numpy as np

from monitor.drift.battery import Battery
from monitor.drift.budget import Budget
from monitor.drift.evidence import Completeness
from monitor.drift.state import BatteryState
from monitor.observe.summariser import Summariser
from monitor.observe.summary import Summary
from monitor.reference.learn import learn_page
from tests.unit.observe.crossings import batch, key

SUMMARISER, RNG = Summariser(None, 6, 2, 10), np.random.default_rng(1)
EVENTS, ONSET = 500, 41


def lumisection(run: int, ls: int, *, shift: float = 0.0) -> Summary:
    inputs = RNG.normal(50 + shift, 10, (EVENTS, 6)).astype(np.int16)
    pileup = np.full(EVENTS, 50 + ls % 29 / 10, np.float32)
    return SUMMARISER.summarise(key(run, ls), batch(inputs, RNG.integers(0, 100, (EVENTS, 2)), pileup=pileup))


def test_inputs_without_a_layout_are_judged_without_places():
    page = learn_page([lumisection(run, ls) for run in range(1, 5) for ls in range(1, 30)])
    battery, state, first = Battery(Budget(lumisection_seconds=23.3)), None, None
    for ls in range(1, ONSET + 10):
        row = lumisection(9, ls, shift=3.0 if ls >= ONSET else 0.0)
        state, found = battery.step(state, summary=row, page=page, completeness=Completeness(EVENTS, EVENTS))
        state = BatteryState.from_bytes(state.to_bytes())
        assert found.alarm < 0.5 or ls >= ONSET
        first = ls if first is None and found.alarm >= 1 else first
    assert first is not None
    assert ONSET <= first <= ONSET + 4
    assert "input[" in found.shifts[0].quantity
