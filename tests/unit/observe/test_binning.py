from __future__ import annotations

import numpy as np
import pytest

from emulator.layout import Axis
from monitor.observe.binning import BINS, SCORE_BINS, Binning, cells, score_bin, score_edges

PT = Binning.of(Axis("pt", 0.5, "GeV", 0, 4096))
ETA = Binning.of(Axis("eta", 0.0435, "", -115, 116))
PHI = Binning.of(Axis("phi", 0.01, "rad", 0, 576, periodic=True))
PLAIN = Binning("signed")


@pytest.mark.parametrize(
    ("binning", "raw"),
    [(PT, np.arange(0, 30_000)), (ETA, np.arange(-115, 116)), (PHI, np.arange(576)), (PLAIN, np.arange(-9_000, 9_000))],
)
def test_every_raw_value_lies_between_the_edges_of_its_bin(binning: Binning, raw: np.ndarray):
    edges, bins = binning.edges(), binning.bins(raw.astype(np.int64)).astype(int)
    assert len(edges) == BINS + 1
    assert (np.diff(edges) > 0).all()
    low, high = edges[bins], edges[bins + 1]
    inside = (low <= raw) & (raw < high) | (raw < 0) & (low < raw) & (raw <= high)
    assert inside.all(), raw[~inside][:5]


def test_every_score_lies_between_the_edges_of_its_bin():
    score = np.concatenate([np.arange(-5000, 5000), 2 ** np.arange(31, dtype=np.int64), -(2 ** np.arange(31))])
    edges, bins = score_edges(), score_bin(score)
    assert len(edges) == SCORE_BINS + 1
    inside = (edges[bins] <= score) & (score < edges[bins + 1]) | (score < 0) & (score <= edges[bins + 1])
    assert inside.all(), score[~inside][:5]
    assert (np.diff(score_bin(np.sort(score))) >= 0).all()


def test_values_outside_the_domain_stay_in_the_end_bins():
    far = np.asarray([-(2**31), 2**31 - 1])
    for binning in (PT, ETA, PLAIN):
        low, high = binning.bins(far)
        assert low == binning.bins(np.asarray([-(2**30)]))[0]
        assert high <= BINS - 1
    assert 0 <= score_bin(np.asarray([-(2**40)]))[0] < score_bin(np.asarray([2**40]))[0] < SCORE_BINS


def test_an_angle_wraps_into_its_period():
    axis = Axis("phi", 0.01, "rad", 0, 144, periodic=True)
    assert (cells(axis, 18, np.asarray([-1, 143, 144, 0])) == [17, 17, 0, 0]).all()
    assert (Binning.of(axis).bins(np.asarray([-1, 144])) == Binning.of(axis).bins(np.asarray([143, 0]))).all()
