"""Proportional odds: scikit-learn's numbers for two classes, and probabilities that are in order for more."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import approx_fprime
from sklearn.linear_model import LogisticRegression

from proteinx_pipelines.stages.train.ordinal import _loss, fit_class_map, mean_class_map, read_class_map


def drawn(n, slope, cuts, seed=0):
    """Predictions and classes that follow proportional odds."""
    random = np.random.default_rng(seed)
    predictions = random.normal(3.0, 2.0, n)
    at_least = 1 / (1 + np.exp(np.asarray(cuts) - slope * predictions[:, None]))
    return predictions, (random.random(n)[:, None] < at_least).sum(axis=1), at_least


def test_two_classes_are_plain_logistic_calibration():
    predictions, classes, _ = drawn(4000, 0.8, [2.0])
    oracle = LogisticRegression(C=1e9, tol=1e-10).fit(predictions[:, None], classes)
    found = fit_class_map(predictions, classes, (0.5,))
    assert found.slope / found.scale == pytest.approx(oracle.coef_[0, 0], rel=5e-3)
    assert np.allclose(
        found.probabilities(predictions)[:, 0], oracle.predict_proba(predictions[:, None])[:, 1], atol=3e-3
    )


def test_the_probabilities_of_several_classes_are_found_again():
    predictions, classes, truth = drawn(20_000, 0.8, [1.0, 2.5, 4.0])
    found = fit_class_map(predictions, classes, (0.1, 0.2, 0.3)).probabilities(predictions)
    assert np.abs(found - truth).max() < 0.03
    assert np.abs(found.mean(axis=0) - [(classes >= k).mean() for k in (1, 2, 3)]).max() < 0.002


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_the_gradient_is_that_of_the_loss(seed, k):
    random = np.random.default_rng(seed)
    z, y, weight = random.normal(size=40), random.integers(0, k + 1, 40), random.random(40)
    at = np.concatenate([[1.3], random.normal(size=1), random.normal(-0.5, 0.5, k - 1)])
    value, slope = _loss(at, z, y, weight)
    assert np.allclose(
        slope, approx_fprime(at, lambda x: _loss(x, z, y, weight)[0], 1e-6), atol=1e-3, rtol=1e-3
    )
    assert np.isfinite(value)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 4))
def test_probabilities_fall_with_the_class_and_never_with_the_prediction(seed, k):
    random = np.random.default_rng(seed)
    predictions, classes = random.normal(size=30), random.integers(0, k + 1, 30)
    found = fit_class_map(predictions, classes, tuple(range(k)))
    table = found.probabilities(np.linspace(-4, 4, 50))
    assert (np.diff(table, axis=1) <= 1e-12).all()
    assert (np.diff(table, axis=0) >= -1e-12).all()
    assert np.array_equal(
        read_class_map(found.document()).probabilities(predictions), found.probabilities(predictions)
    )


def test_few_rows_that_happen_to_be_apart_give_no_certainty():
    found = fit_class_map(np.arange(10.0), np.repeat([0, 1], 5), (0.5,))
    assert 0.9 < found.probabilities(np.array([9.0]))[0, 0] < 0.9999


def test_equal_predictions_give_the_share_of_the_class():
    found = fit_class_map(np.full(200, 2.0), np.repeat([0, 1], [150, 50]), (0.5,))
    assert found.probabilities(np.array([2.0, 99.0]))[0, 0] == pytest.approx(0.25, abs=0.01)


def test_the_mean_of_models_has_the_mean_of_their_log_odds():
    one, other = (
        fit_class_map(predictions, classes, (0.5, 1.5))
        for predictions, classes, _ in (drawn(500, 0.8, [1.0, 3.0], 1), drawn(500, 0.5, [0.5, 2.0], 2))
    )
    at = np.linspace(-2, 6, 9)
    log_odds = [np.log(p / (1 - p)) for p in (each.probabilities(at) for each in (one, other))]
    found = mean_class_map([one, other]).probabilities(at)
    assert np.allclose(np.log(found / (1 - found)), np.mean(log_odds, axis=0))
    assert mean_class_map([one, None]) is None


def test_a_model_against_the_order_is_not_turned_round():
    found = fit_class_map(-np.arange(100.0), np.repeat([0, 1], 50), (0.5,))
    assert found.slope == 0.0
    assert read_class_map(None) is None
