"""The judging half of a turn."""

from __future__ import annotations

import logging

import pytest

from monitor.app.back import Judging
from monitor.trigger.known import Known, KnownConditions
from monitor.trigger.lumisection import Lumisection
from tests.unit.watch.benches import aggregator, closed


def test_that_nothing_is_learnt_is_logged_once_as_long_as_it_lasts(caplog: pytest.LogCaptureFixture):
    bench = aggregator((0,))
    back = Judging(bench)
    caplog.set_level(logging.WARNING)
    for number in range(1, 7):
        bench.know(KnownConditions((Known("HEM15 off", Lumisection(0, 0), object="jet"),) * (number in (2, 3, 5, 6))))
        back.take(closed(0, number), now=float(number))
    said = [record.getMessage() for record in caplog.records]
    assert len(said) == 2
    assert said[0].endswith("nothing is learnt while HEM15 off is known: build a Book from recorded fills")
