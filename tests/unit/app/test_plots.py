"""What the page draws is what was counted, beside what the Book expects of as many events."""

from __future__ import annotations

import numpy as np
import pytest

from monitor.app import plots
from monitor.reference.learn import learn_page
from tests.unit.observe.crossings import INPUTS, THRESHOLD, batch, crossings, key
from tests.unit.reference.fills import SUMMARISER, fill, reference

PAGE = learn_page(reference(fills=3, lumisections=15))
ROWS = list(fill(900, lumisections=5, pileup=(52.0, 48.0)))


def pooled(*, known: bool = True) -> plots.Pooled:
    return plots.pool(ROWS, [PAGE.histograms(row) if known else None for row in ROWS])


def test_lumisections_add_up():
    sums = pooled()
    assert sums.counts["score"].sum() == 5 * 400
    assert sums.expected is not None
    assert sums.expected["score"].sum() == pytest.approx(5 * 400, rel=1e-6)


def test_one_lumisection_without_reference_leaves_all_without():
    sums = plots.pool(ROWS, [PAGE.histograms(ROWS[0]), None, None, None, None])
    assert sums.expected is None
    assert plots.score_histogram(sums).expected is None
    assert plots.maps(sums, moved=["jet"]) == ()


def test_the_score_is_drawn_with_the_trigger_s_threshold_and_no_event_is_lost():
    drawn = plots.score_histogram(pooled())
    assert (drawn.name, drawn.unit, drawn.threshold, drawn.log) == ("score", "raw", float(THRESHOLD), True)
    assert sum(drawn.counts) == 5 * 400
    assert len(drawn.counts) <= plots.MOST_BINS
    assert list(drawn.edges) == sorted(drawn.edges)
    assert drawn.expected is not None
    assert sum(drawn.expected) == pytest.approx(5 * 400, rel=0.02)


def test_the_score_s_bins_hold_the_scores():
    """Counted again, event by event."""
    events = crossings(300, np.random.default_rng(3))
    summary = SUMMARISER.summarise(key(1, 1), events)
    drawn = plots.score_histogram(plots.pool([summary], [None]))
    again, _ = np.histogram(events.score[:, 0], drawn.edges)
    assert again.sum() == 300
    assert np.abs(np.cumsum(again) - np.cumsum(drawn.counts)).max() <= 2  # an integer on an edge


def test_inputs_of_what_moved_come_first_with_all_their_axes():
    names = [each.name for each in plots.input_histograms(pooled(), moved=["jet"])]
    assert names[:3] == ["jet[0].pt", "jet[0].eta", "jet[0].phi"]
    assert "met[0].pt" in [name.replace("met.pt", "met[0].pt") for name in names]
    assert len(plots.input_histograms(pooled(), moved=["jet"], most=2)) == 2


def test_inputs_are_drawn_in_physical_units():
    drawn = {each.name: each for each in plots.input_histograms(pooled(), moved=["jet"])}
    pt, eta = drawn["jet[0].pt"], drawn["jet[0].eta"]
    assert pt.unit == "GeV"
    assert pt.edges[0] <= 30.0 <= pt.edges[-1] <= 1100.0  # raw 60 and more, half a GeV each
    assert -5.2 <= eta.edges[0] < eta.edges[-1] <= 5.2


def test_maps_are_drawn_for_what_moved_and_only_there():
    (drawn,) = plots.maps(pooled(), moved=["jet"])
    assert drawn.object == "jet"
    assert len(drawn.pull) == len(drawn.eta_edges) - 1
    assert {len(row) for row in drawn.pull} == {len(drawn.phi_edges) - 1}
    pulls = [pull for row in drawn.pull for pull in row if pull is not None]
    assert pulls
    assert abs(float(np.mean(pulls))) < 0.5
    assert plots.maps(pooled(), moved=["met"]) == ()


def test_a_wide_spectrum_is_drawn_with_few_bins_and_every_event():
    score = np.concatenate([-np.logspace(0, 7, 250), np.logspace(0, 7, 250)]).astype(np.int64)[:, None]
    summary = SUMMARISER.summarise(key(1, 1), batch(np.zeros((500, INPUTS), np.int16), score))
    drawn = plots.score_histogram(plots.pool([summary], [None]))
    assert len(drawn.counts) <= plots.MOST_BINS
    assert sum(drawn.counts) == 500


def test_an_empty_histogram_is_still_a_histogram():
    nothing = SUMMARISER.summarise(key(1, 1), batch(np.zeros((0, INPUTS), np.int16), np.zeros((0, 1), np.int64)))
    drawn = plots.score_histogram(plots.pool([nothing], [None]))
    assert sum(drawn.counts) == 0
    assert len(drawn.edges) == len(drawn.counts) + 1
