"""Suspects: the mismatching events name the model, or the way of feeding it, that reproduces them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitor.observe.summary import Summary
from monitor.trigger.batch import Batch
from monitor.watch.suspects import Suspects, suspects
from tests.unit.watch.plays import LAYOUT, V1, V2, Library, Linear, batch, end, step, worker


def summary_of(hardware: Batch) -> Summary:
    (closed,) = step(worker(), hardware, end(1, 5, len(hardware))).closed
    return closed.summaries[0]


def fed(change: str) -> Batch:
    """Return events that V1 scored on changed inputs, recorded with the true ones."""
    true = batch((1, 5), events=80)
    seen = true.inputs.astype(np.int32)
    pt = [group.column(i, 0) for group in LAYOUT if group.name == "jet" for i in range(group.count)]
    if change == "all inputs doubled":
        seen = seen * 2
    elif change == "the pt of jet cut to even numbers":
        seen[:, pt] = seen[:, pt] >> 1 << 1
    elif change == "the pt of jet halved":
        seen[:, pt] >>= 1
    return replace(true, score=V1.score(seen))


def found(summary: Summary, models: tuple[Linear, ...] = (V1, V2)) -> Suspects:
    said = suspects(summary, Library(models))
    assert said is not None
    return said


def test_another_registered_model_is_named() -> None:
    said = found(summary_of(batch((1, 5), hardware=V2)))
    assert (said.fits[0].label, said.fits[0].hypothesis, said.fits[0].fits) == ("v2", "", said.fits[0].of)


@pytest.mark.parametrize("change", ["all inputs doubled", "the pt of jet cut to even numbers", "the pt of jet halved"])
def test_a_model_that_is_fed_wrongly_is_recognised(change: str) -> None:
    said = found(summary_of(fed(change)))
    assert said.fits[0].hypothesis == change
    assert said.fits[0].fits == said.fits[0].of


def test_a_suspect_that_fails_or_does_not_fit_is_passed_over() -> None:
    broken, narrow = Linear("v3", V2.weights[::-1], fails=True), Linear("v4", V2.weights[:-1])
    said = found(summary_of(batch((1, 5), hardware=V2)), (V1, broken, V2, narrow))
    assert {each.label for each in said.fits} <= {"v1", "v2"}
    assert said.culprit is not None
    assert said.culprit.label == "v2"


def test_nothing_fits_and_that_is_said() -> None:
    true = batch((1, 5), events=60)
    said = found(summary_of(replace(true, score=true.score + 1_000_003)))
    assert (said.fits, said.culprit) == ((), None)
    assert (said.delta.least, said.delta.median, said.delta.most) == (1_000_003,) * 3


def test_a_wrong_rounding_a_flipped_bit_and_a_stuck_output_are_told_apart() -> None:
    true = batch((1, 5), events=60)
    assert found(summary_of(replace(true, score=true.score + 1))).delta.off_by_one == 1.0
    assert found(summary_of(replace(true, score=true.score ^ 64))).delta.bits == (6,)
    assert found(summary_of(replace(true, score=true.score * 0 + 7))).delta.constant == (7,)
    assert found(summary_of(replace(true, score=true.score ^ 64))).delta.constant is None


def test_without_mismatches_there_are_no_suspects() -> None:
    assert suspects(summary_of(batch((1, 5))), Library()) is None


def read_out_of(offset: int, *, every: int = 1) -> Batch:
    """Return a train of events, each `every` crossings behind the last, whose scores are those of another crossing."""
    true = batch((1, 5), events=80)
    true = replace(true, orbit=np.full(80, 7, np.uint32), bx=(200 + every * np.arange(80)).astype(np.uint16))
    return replace(true, score=np.roll(V1.score(true.inputs), -offset, axis=0))


@pytest.mark.parametrize("offset", [-2, -1, 1, 2])
def test_the_wrong_crossing_is_recognised(offset: int) -> None:
    said = found(summary_of(read_out_of(offset)))
    assert said.fits[0].hypothesis == f"the inputs of BX{offset:+d}"
    assert said.fits[0].of == 64
    assert said.fits[0].fits >= 62


def test_a_crossing_that_was_not_recorded_explains_nothing() -> None:
    assert not [fit for fit in found(summary_of(read_out_of(1, every=5))).fits if "BX" in fit.hypothesis]


def test_neighbours_are_in_the_same_orbit() -> None:
    train = read_out_of(1)
    apart = replace(train, orbit=np.arange(80, dtype=np.uint32))
    assert not [fit for fit in found(summary_of(apart)).fits if "BX" in fit.hypothesis]
