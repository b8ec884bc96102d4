"""Rows left out of a Gaussian process, from one factor: against fitting again, and slopes against differences."""

import numpy as np
import pytest

from proteinx_pipelines.stages.train.gaussian_process import JITTER
from proteinx_pipelines.stages.train.left_out import Weighed, _value, by_groups, left_out, marginal, weigh


@pytest.fixture
def process():
    """Two terms, targets drawn from the first, and groups of unequal size."""
    rng = np.random.default_rng(1)
    n = 24
    terms = []
    for length in (1.0, 0.2):
        place = rng.normal(size=(n, 2))
        apart = ((place[:, None] - place[None]) ** 2).sum(axis=-1)
        terms.append(np.exp(-apart / length))
    targets = np.linalg.cholesky(terms[0] + 0.1 * np.eye(n)) @ rng.normal(size=n)
    return np.array(terms), targets, rng.integers(0, 6, n)


def test_left_out_rows_are_predicted_as_by_a_process_fitted_without_them(process):
    terms, targets, groups = process
    weighed = Weighed(np.log([0.8, 0.3]), 0.2, 0.0)
    predictions = left_out(terms, targets, weighed, groups)
    at = np.append(weighed.parameters, np.log(weighed.noise))
    total, density = 0.8 * terms[0] + 0.3 * terms[1], 0.0
    for group in np.unique(groups):
        out, rest = groups == group, groups != group
        inner = total[np.ix_(rest, rest)] + (0.2 + JITTER) * np.eye(rest.sum())
        cross = total[np.ix_(out, rest)]
        mean = cross @ np.linalg.solve(inner, targets[rest])
        spread = (
            total[np.ix_(out, out)]
            + (0.2 + JITTER) * np.eye(out.sum())
            - cross @ np.linalg.solve(inner, cross.T)
        )
        np.testing.assert_allclose(predictions[out], mean, atol=1e-8)
        away = targets[out] - mean
        density -= 0.5 * (away @ np.linalg.solve(spread, away) + np.linalg.slogdet(spread)[1])
    np.testing.assert_allclose(_value(terms, targets, at, by_groups(groups))[0], density)


@pytest.mark.parametrize("kind", ["marginal", "groups"])
def test_the_slope_of_a_criterion_is_that_of_differences(process, kind):
    terms, targets, groups = process
    criterion = marginal if kind == "marginal" else by_groups(groups)
    at = np.log([0.8, 0.3, 0.2])
    _, slope = _value(terms, targets, at, criterion)
    for number in range(3):
        step = 1e-5 * np.eye(3)[number]
        values = [_value(terms, targets, at + sign * step, criterion)[0] for sign in (1, -1)]
        np.testing.assert_allclose(slope[number], (values[0] - values[1]) / 2e-5, rtol=1e-4, atol=1e-6)


def test_a_term_of_noise_loses_its_weight(process):
    terms, targets, groups = process
    found = weigh(terms, targets, np.log([0.3, 0.3]), by_groups(groups))
    assert found.parameters[0] > found.parameters[1]
