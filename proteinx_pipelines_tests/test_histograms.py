"""Any finite numbers have bins."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.domain.histograms import bin_edges, histogram


@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=30), st.integers(1, 60)
)
def test_every_number_is_in_a_bin_and_bins_ascend(values: list[float], bins: int) -> None:
    counts, edges = histogram(np.array(values), bins)
    assert counts.sum() == len(values)
    assert len(edges) == bins + 1
    assert np.isfinite(edges).all()
    assert (np.diff(edges) >= 0).all()


@pytest.mark.parametrize("values", [[0.0, 1.0, 2.5], [5.0], [-3.0, -3.0], list(range(100))])
def test_ordinary_numbers_have_numpy_s_bins(values: list[float]) -> None:
    assert (bin_edges(np.array(values), 40) == np.histogram_bin_edges(np.array(values, float), 40)).all()


def test_numpy_makes_none_of_equal_large_ones() -> None:
    """Guard off: `transform.clip.min` of 1e300 ended the experiment in the middle of its report."""
    with pytest.raises(ValueError, match="Too many bins"):
        np.histogram_bin_edges(np.full(5, 1e300), 40)
