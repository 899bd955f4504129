from __future__ import annotations

from math import pi

import numpy as np
import pytest

from emulator.detector.layout import L1_LAYOUT
from monitor.observe.binning import STEPS, magnitude_bin
from monitor.observe.quantities import catalogue, measure
from monitor.observe.shape import Shape
from monitor.observe.summariser import Summariser
from tests.unit.observe.crossings import INPUTS, LAYOUT, THRESHOLD, crossings, key

SUMMARISER = Summariser(LAYOUT, INPUTS, 1, THRESHOLD)
EVENTS = crossings(3000, np.random.default_rng(3))
SUMMARY = SUMMARISER.summarise(key(), EVENTS)
CATALOGUE, SEEN = catalogue(SUMMARY.shape), measure(SUMMARY)


def value(name: str) -> float:
    return float(SEEN.value[CATALOGUE.names.index(name)])


def test_names_are_unique_and_every_vector_has_their_length():
    assert len(set(CATALOGUE.names)) == len(CATALOGUE.names) >= 60
    lengths = {
        len(v) for v in (CATALOGUE.regions, CATALOGUE.family, CATALOGUE.counted, SEEN.value, SEEN.exposure, SEEN.spread)
    }
    assert lengths == {len(CATALOGUE)}


@pytest.mark.parametrize("shape", [Shape(L1_LAYOUT, 57, 1, None), Shape(None, 252, 3, 10), Shape(None, 1, 1, None)])
def test_every_model_has_quantities(shape: Shape):
    empty = Summariser(shape.layout, shape.inputs, shape.outputs, shape.threshold)
    found = catalogue(empty.shape)
    assert len(set(found.names)) == len(found)
    assert {"rate", "score", "occupancy", "response", "spectrum", "dependence"} <= set(found.families)


def test_counts_are_what_a_cut_selects():
    assert value("accept rate") == (EVENTS.score[:, 0] >= THRESHOLD).sum()
    assert value("jet[1] present") == (EVENTS.inputs[:, 6] > 0).sum()
    assert value("jet[0] pt >= 48 GeV") == (EVENTS.inputs[:, 3] >= 96).sum()
    assert value("score >= 256") == (EVENTS.score[:, 0] >= 256).sum()


def test_means_are_means():
    octaves = magnitude_bin(EVENTS.inputs[:, 0].astype(np.int64), steps=STEPS, last=95) / STEPS
    assert value("met leading pt (log mean)") == pytest.approx(octaves.mean())
    spread = SEEN.spread[CATALOGUE.names.index("met leading pt (log mean)")]
    assert spread == pytest.approx(octaves.var())
    assert value("jet multiplicity") == pytest.approx((EVENTS.inputs[:, 3::3] > 0).sum(axis=1).mean())


def test_correlations_are_pearsons():
    many = (EVENTS.inputs[:, 3::3] > 0).sum(axis=1)
    lead = magnitude_bin(EVENTS.inputs[:, 3].astype(np.int64), steps=STEPS, last=95)
    expected = np.corrcoef(many, lead)[0, 1]
    assert value("correlation of jet multiplicity and jet leading") == pytest.approx(expected)


def test_a_constant_feature_has_no_correlation_and_is_not_measured():
    constant = crossings(100, np.random.default_rng(3))
    constant.inputs[:, 0] = 7
    seen = measure(SUMMARISER.summarise(key(), constant))
    assert seen.exposure[CATALOGUE.names.index("correlation of met leading and jet leading")] == 0
    assert np.isfinite(seen.value).all()


def test_places_are_in_physical_units():
    rings = [r for n, r in zip(CATALOGUE.names, CATALOGUE.regions, strict=True) if n.startswith("jet ring")]
    assert rings[0].eta is not None
    assert rings[0].eta[0] == pytest.approx(-115 * 0.0435)
    assert rings[-1].eta is not None
    assert rings[-1].eta[1] == pytest.approx(116 * 0.0435)
    sectors = [r for n, r in zip(CATALOGUE.names, CATALOGUE.regions, strict=True) if n.startswith("met sector")]
    assert len(sectors) == 18
    assert sectors[0].phi == pytest.approx((0.0, 2 * pi / 18))
    assert sectors[0].eta is None
