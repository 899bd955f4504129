"""Summaries are a commutative monoid, byte for byte."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emulator.layout import Axis, Layout, ObjectGroup
from monitor.observe.summariser import Summariser
from monitor.observe.summary import Summary, SummaryKey
from monitor.trigger.batch import Batch
from monitor.trigger.header import Epoch, Header
from monitor.trigger.lumisection import Lumisection

PHI = Axis("phi", 0.0436, "rad", 0, 144, periodic=True)
LAYOUT = Layout(
    (
        ObjectGroup("met", 0, 1, (Axis("pt", 0.5, "GeV", 0, 4096), PHI)),
        ObjectGroup("jet", 2, 3, (Axis("pt", 0.5, "GeV", 0, 4096), Axis("eta", 0.0435, "", -115, 115), PHI)),
    )
)
KEY = SummaryKey("scout", Lumisection(1, 2), Epoch("m", "", "menu", "fw", "2a"))
HEADER = Header("scout", "m", "menu", "fw", "2a", "p", 0)
SUMMARISERS = (Summariser(LAYOUT, 11, 2, threshold=40), Summariser(None, 11, 2))


@st.composite
def events(draw: st.DrawFn) -> tuple[Batch, np.ndarray]:
    """Return a batch and emulated scores; wide inputs, unknown pile-up and equal event numbers all occur."""
    n = draw(st.integers(0, 120))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from([np.int16, np.int32]))
    bound = draw(st.sampled_from([200, np.iinfo(kind).max]))
    score = rng.integers(-(2**31), 2**32, (n, 2)) >> rng.integers(0, 32, (n, 2))
    emulated = np.where(rng.random((n, 2)) < draw(st.sampled_from([0.0, 0.1, 1.0])), score ^ 5, score)
    batch = Batch(
        header=HEADER,
        run=np.ones(n, np.uint32),
        ls=np.full(n, 2, np.uint32),
        orbit=rng.integers(0, draw(st.sampled_from([2, 2**32])), n, dtype=np.uint64).astype(np.uint32),
        event=rng.integers(0, draw(st.sampled_from([2, 2**63])), n, dtype=np.uint64),
        bx=rng.integers(0, draw(st.sampled_from([2, 3564])), n).astype(np.uint16),
        pileup=np.where(rng.random(n) < 0.1, np.nan, rng.uniform(0, 80, n)).astype(np.float32),
        inputs=np.where(rng.random((n, 11)) < 0.3, 0, rng.integers(-bound - 1, bound, (n, 11))).astype(kind),
        score=score,
        accept=draw(st.sampled_from([None, rng.random(n) < 0.2])),
    )
    return batch, emulated


def total(parts: list[Summary], summariser: Summariser) -> bytes:
    whole = Summary.empty(KEY, summariser.shape)
    for part in parts:
        whole = whole + part
    return whole.to_bytes()


@settings(deadline=None, max_examples=60)
@given(events(), st.lists(st.integers(0, 120), max_size=4), st.randoms(use_true_random=False), st.sampled_from([0, 1]))
def test_any_cut_into_batches_in_any_order_gives_the_same_bytes(drawn, cuts, random, which):  # type: ignore[no-untyped-def]
    batch, emulated = drawn
    summariser = SUMMARISERS[which]
    edges = sorted({0, len(batch), *(min(cut, len(batch)) for cut in cuts)})
    slices = [slice(low, high) for low, high in itertools.pairwise(edges)]
    random.shuffle(slices)
    parts = [summariser.summarise(KEY, batch.select(rows), emulated[rows]) for rows in slices]
    assert total(parts, summariser) == summariser.summarise(KEY, batch, emulated).to_bytes()


@settings(deadline=None, max_examples=40)
@given(events(), events(), events())
def test_addition_is_associative_commutative_and_has_a_zero(one, two, three):  # type: ignore[no-untyped-def]
    a, b, c = (SUMMARISERS[0].summarise(KEY, batch, emulated) for batch, emulated in (one, two, three))
    assert ((a + b) + c).to_bytes() == (a + (b + c)).to_bytes()
    assert (a + b).to_bytes() == (b + a).to_bytes()
    assert (a + Summary.empty(KEY, a.shape)).to_bytes() == a.to_bytes()


@settings(deadline=None, max_examples=40)
@given(events())
def test_reading_what_was_written_gives_the_same_summary(drawn):  # type: ignore[no-untyped-def]
    batch, emulated = drawn
    summary = SUMMARISERS[0].summarise(KEY, batch, emulated)
    again = Summary.from_bytes(summary.to_bytes())
    assert again.to_bytes() == summary.to_bytes()
    assert again.key == summary.key
    assert (again.events, again.compared, again.mismatched) == (len(batch), len(batch), summary.mismatched)
