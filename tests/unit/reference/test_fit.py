from __future__ import annotations

import numpy as np
import pytest

from monitor.reference.fit import basis, fit_counts, fit_means, predictive

RNG = np.random.default_rng(9)
U = np.linspace(-1, 1, 400)
TERMS = basis(U)


def test_rates_that_grow_with_pileup_are_found_within_their_errors():
    truth = np.asarray([[-3.0, -1.0], [0.8, -0.3], [0.1, 0.2]])
    exposure = np.full((400, 2), 2000.0)
    counts = RNG.poisson(exposure * np.exp(TERMS @ truth)).astype(float)
    curves = fit_counts(counts, exposure, TERMS)
    error = np.sqrt(np.einsum("qii->iq", curves.covariance))
    assert (np.abs(curves.coefficients - truth) < 4 * error).all()
    assert (error < 0.02).all()


def test_means_are_found_within_their_errors_and_far_from_zero():
    truth = np.asarray([[1e4, 5.0], [0.5, -1.0], [0.0, 0.3]])
    entries = np.full((400, 2), 900.0)
    values = TERMS @ truth + RNG.normal(0, 1 / 30, (400, 2))
    curves = fit_means(values, entries, TERMS)
    error = np.sqrt(np.einsum("qii->iq", curves.covariance))
    assert (np.abs(curves.coefficients - truth) < 4 * error).all()


def test_a_row_without_exposure_says_nothing():
    counts, exposure = np.full((400, 1), 50.0), np.full((400, 1), 100.0)
    counts[7], exposure[7] = 0.0, 0.0
    without = np.arange(400) != 7
    one = fit_counts(counts, exposure, TERMS).coefficients
    two = fit_counts(counts[without], exposure[without], TERMS[without]).coefficients
    assert one == pytest.approx(two, abs=1e-9)


def test_a_quantity_that_was_never_seen_gets_a_small_finite_rate():
    curves = fit_counts(np.zeros((400, 1)), np.full((400, 1), 10.0), TERMS)
    value, variance = predictive(curves, TERMS)
    assert np.isfinite(value).all()
    assert np.isfinite(variance).all()
    assert (np.exp(value) < 1e-3).all()


def test_the_error_of_a_curve_grows_beyond_what_was_learnt():
    curves = fit_counts(RNG.poisson(20.0, (400, 1)).astype(float), np.ones((400, 1)), TERMS)
    _, variance = predictive(curves, basis(np.asarray([0.0, 1.0, 1.5])))
    assert variance[0, 0] < variance[1, 0] < variance[2, 0]
