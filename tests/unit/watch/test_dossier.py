"""The capsules of a cause: its first event, a typical one and the largest difference."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from monitor.watch.dossier import capsules
from tests.unit.watch.plays import batch, end, step, worker


def test_the_first_a_typical_and_the_largest_difference_are_kept_each_once() -> None:
    true = batch((1, 5), events=5)
    wrong = true.score + np.array([5, 1, 90, 7, 6], dtype=true.score.dtype)[:, None]
    (closed,) = step(worker(), replace(true, score=wrong), end(1, 5, 5)).closed
    sample = closed.summaries[0].sample
    kept = capsules(closed.summaries[0], "all inputs doubled")
    differences = [each.hardware[0] - each.emulated[0] for each in kept]
    assert differences == [int((sample.hardware - sample.emulated)[0, 0]), 6, 90]
    assert {each.hypothesis for each in kept} == {"all inputs doubled"}
