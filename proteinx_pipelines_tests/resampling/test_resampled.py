"""Metrics on counts are the plain metrics on the rows that the counts stand for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines import metrics
from proteinx_pipelines.resampling.resampled import RESAMPLED, Counted, Resamples, Values


def on(counts: np.ndarray, *numbers: np.ndarray) -> list[Counted]:
    chunk = Resamples(counts)
    return [chunk.of(Values(each)) for each in numbers]


@pytest.mark.parametrize("name", sorted(RESAMPLED))
@given(st.integers(2, 40), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_counts_and_repeated_rows_give_the_same_value(name, n, levels, seed):
    random = np.random.default_rng(seed)
    target, prediction = random.integers(0, levels, n) / 3, random.integers(0, levels, n) / 7
    counts = random.multinomial(n, np.full(n, 1 / n), size=3).T.astype(float)
    counts[:, 2] *= random.integers(0, 3, n)  # whole groups are drawn: a resample has any number of rows
    counts[0, 2] += counts[:, 2].sum() == 0
    found = RESAMPLED[name](*on(counts, target, prediction))
    rows = [np.repeat(np.arange(n), column.astype(int)) for column in counts.T]
    expected = [metrics.compute(name, target[drawn], prediction[drawn]) for drawn in rows]
    np.testing.assert_allclose(found, expected, atol=1e-9, equal_nan=True)


def test_every_built_in_metric_has_a_form_for_counts():
    assert {
        name for name in metrics.names() if metrics.metric(name).function.__module__ == metrics.__name__
    } == set(RESAMPLED)


@pytest.mark.parametrize("size", [1e-170, 1e170])
@pytest.mark.parametrize("name", ["pearson", "spearman"])
def test_correlations_neither_overflow_nor_vanish(name, size):
    """The product of two variances was rooted: NaN or 0 / 0 for targets of 1e100 or 1e-100."""
    random = np.random.default_rng(0)
    target = random.normal(size=30)
    prediction = target + random.normal(size=30)
    counts = random.multinomial(30, np.full(30, 1 / 30), size=4).T.astype(float)
    scaled = RESAMPLED[name](*on(counts, size * target, size * prediction))
    np.testing.assert_allclose(scaled, RESAMPLED[name](*on(counts, target, prediction)), rtol=1e-9)
