"""Standard errors of merged scores, against random measurements and plain arithmetic."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measurements import selection_of

from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.records import STANDARD_ERROR, Selection, VariantTable
from proteinx_pipelines.stages.transform.transform import transform_variants

ERRORS = st.floats(1e-3, 1e3)


def merged(rows: list[tuple[str, float, float | None]], **flags: str) -> VariantTable:
    """Rows are (mutant, score, standard error)."""
    plain = selection_of(*(row[:2] for row in rows))
    errors = pa.array([row[2] for row in rows], pa.float64())
    selection = Selection(plain.rows.append_column(STANDARD_ERROR, errors), plain.templates, {})
    return transform_variants(selection, TransformFlags(**flags))


def errors_of(found: VariantTable) -> dict[str, float | None]:
    names = found.rows.column("mutant").to_pylist()
    return dict(zip(names, found.rows.column(STANDARD_ERROR).to_pylist(), strict=True))


ROWS = [("A1C", 9.0, 0.3), ("A1D", 5.0, 0.7), ("A1C", 2.0, 0.4), ("A1C", 3.0, 1.2)]


@pytest.mark.parametrize(
    ("how", "error"),
    [("mean", 1.3 / 3), ("median", 1.3 / 3 * (np.pi / 2) ** 0.5), ("first", 0.3)],
)
def test_the_error_is_that_of_the_merged_score(how: str, error: float) -> None:
    found = merged(ROWS, duplicates=how)
    assert errors_of(found) == pytest.approx({"A1C": error, "A1D": 0.7})


def test_the_median_of_two_is_their_mean() -> None:
    assert errors_of(merged(ROWS[::2][:2], duplicates="median"))["A1C"] == pytest.approx(0.25)


def test_an_unknown_error_of_one_row_makes_that_of_the_mean_unknown() -> None:
    rows = [*ROWS, ("A1D", 1.0, None), ("A1E", 1.0, None)]
    assert errors_of(merged(rows)) == {"A1C": pytest.approx(1.3 / 3), "A1D": None, "A1E": None}


def test_without_a_known_error_there_is_no_column() -> None:
    assert STANDARD_ERROR not in merged([("A1C", 1.0, None)]).rows.column_names


@settings(max_examples=30)
@given(
    st.lists(ERRORS, min_size=1, max_size=8),
    st.randoms(use_true_random=False),
    st.sampled_from(["mean", "median"]),
)
def test_the_order_of_the_rows_does_not_matter(errors: list[float], random, how: str) -> None:
    rows = [("A1C", float(k % 3), error) for k, error in enumerate(errors)]
    shuffled = random.sample(rows, len(rows))
    one, two = (merged(each, duplicates=how) for each in (rows, shuffled))
    assert one.rows.equals(two.rows)


@settings(max_examples=30)
@given(st.lists(ERRORS, min_size=1, max_size=8))
def test_a_mean_is_known_better_than_its_worst_row_and_equal_rows_by_the_root_of_their_number(
    errors: list[float],
) -> None:
    found = errors_of(merged([("A1C", 0.0, error) for error in errors]))["A1C"]
    assert found is not None
    assert found <= max(errors) * (1 + 1e-12)
    equal = errors_of(merged([("A1C", 0.0, errors[0])] * len(errors)))["A1C"]
    assert equal == pytest.approx(errors[0] / len(errors) ** 0.5)


def test_simulated_means_and_medians_scatter_as_said() -> None:
    """The median's error is that of many values: with few ones it is a little smaller, never larger."""
    random = np.random.default_rng(0)
    draws = random.normal(size=(20_000, 7)) * 0.5
    rows = [("A1C", 0.0, 0.5)] * 7
    for how, function in (("mean", np.mean), ("median", np.median)):
        said = errors_of(merged(rows, duplicates=how))["A1C"]
        assert function(draws, axis=1).std() == pytest.approx(said, rel=0.06)
