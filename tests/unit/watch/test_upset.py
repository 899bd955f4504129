"""A flipped weight bit is searched for once, then only tried again, and searched for anew when it explains no more."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

import monitor.watch.upset
from emulator import load
from emulator.detector import MODELS, SCENARIOS, play
from emulator.detector.run import Block
from emulator.engines.gemm import GemmEngine
from emulator.explain import Flip, Upsets, search_upsets, with_flip
from monitor.app.shelf import Loaded
from monitor.observe.sample import Sample
from monitor.watch.stream import StreamWatch
from monitor.watch.upset import LEAST, upset

FLIP, OTHER = Flip("encode1", "weights", (3, 0), 12), Flip("mean", "bias", (2,), 10)


@pytest.fixture(scope="module")
def model() -> Iterator[Loaded]:
    with load(MODELS / "l1anomaly_v2", engine="gemm") as loaded:
        yield Loaded(loaded)


@pytest.fixture
def searches(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count real searches."""
    made: list[int] = []

    def counted(*given: object) -> Upsets:
        made.append(1)
        return search_upsets(*given)  # type: ignore[arg-type]

    monkeypatch.setattr(monitor.watch.upset, "search_upsets", counted)
    return made


def sample(model: Loaded, flip: Flip, events: int = 24) -> Sample:
    """Return mismatching events of a board with this flip."""
    blocks = play(SCENARIOS["quiet"], seed=3, lumisections=1, events_per_lumisection=2000, partitions=1)
    raw = np.concatenate([each.inputs for each in blocks if isinstance(each, Block)]).astype(np.int32)
    assert model.program is not None
    hardware, emulated = GemmEngine(with_flip(model.program, flip)).score(raw), model.score(raw)
    rows = np.flatnonzero((hardware != emulated).any(axis=1))[:events]
    assert len(rows) == events
    zeros = np.zeros(events, np.uint32)
    numbers = np.arange(events, dtype=np.uint64)
    return Sample(zeros, zeros.astype(np.uint16), numbers, raw[rows], hardware[rows], emulated[rows])


def test_the_flip_is_named_by_one_search_and_then_only_tried_again(model: Loaded, searches: list[int]) -> None:
    first = upset(model, sample(model, FLIP), None)
    assert first is not None
    assert FLIP in first.flips
    assert "layer encode1" in first.words
    again = upset(model, sample(model, FLIP, 40), first.flips)
    assert again is not None
    assert FLIP in again.flips
    assert (again.fits, len(searches)) == (40, 1)


def test_another_flip_in_its_place_is_searched_for(model: Loaded, searches: list[int]) -> None:
    found = upset(model, sample(model, OTHER), (FLIP,))
    assert found is not None
    assert OTHER in found.flips
    assert len(searches) == 1


def test_what_no_flip_explains_is_searched_for_once(model: Loaded, searches: list[int]) -> None:
    odd = sample(model, FLIP)
    odd.hardware[:] += 1_000_003
    found = upset(model, odd, None)
    assert found is not None
    assert found.flips == ()
    assert upset(model, odd, found.flips) is None
    assert len(searches) == 1


def test_too_few_events_are_not_searched(model: Loaded, searches: list[int]) -> None:
    assert upset(model, sample(model, FLIP, LEAST - 1), None) is None
    assert searches == []


def test_what_was_found_outlives_a_restart() -> None:
    before = StreamWatch("jets", expected=frozenset({0}), floor=None)
    before._flips = {("v1", "sha256:00"): (FLIP, OTHER), ("v2", "sha256:01"): ()}
    after = StreamWatch("jets", expected=frozenset({0}), floor=None)
    after.restore(before.to_bytes())
    assert after._flips == before._flips
    assert after.to_bytes() == before.to_bytes()
