"""Metrics on counts are the plain metrics on the rows that the counts stand for."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines import metrics
from proteinx_pipelines.resampling.resampled import RESAMPLED, Values


@pytest.mark.parametrize("name", sorted(RESAMPLED))
@given(st.integers(2, 40), st.integers(1, 30), st.integers(0, 2**32 - 1))
@settings(max_examples=40)
def test_counts_and_repeated_rows_give_the_same_value(name, n, levels, seed):
    random = np.random.default_rng(seed)
    target, prediction = random.integers(0, levels, n) / 3, random.integers(0, levels, n) / 7
    counts = random.multinomial(n, np.full(n, 1 / n), size=3).T.astype(float)
    found = RESAMPLED[name](Values(target), Values(prediction), counts)
    rows = [np.repeat(np.arange(n), column.astype(int)) for column in counts.T]
    expected = [metrics.compute(name, target[drawn], prediction[drawn]) for drawn in rows]
    np.testing.assert_allclose(found, expected, atol=1e-9, equal_nan=True)


def test_every_built_in_metric_has_a_form_for_counts():
    assert {
        name for name in metrics.names() if metrics.metric(name).function.__module__ == metrics.__name__
    } == set(RESAMPLED)
