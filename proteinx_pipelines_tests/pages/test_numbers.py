"""Numbers as a reader wants them."""

import pytest

from proteinx_pipelines.pages.numbers import duration, interval, number, plain
from proteinx_pipelines.pages.table import with_interval


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.75512, "0.755"), (-0.01, "−0.010"), (0.0, "0.000"), (None, "–"), (float("nan"), "–"), (12345.6, "12,346"),
        (0.00002, "2.0e-05"),
    ],
)  # fmt: skip
def test_a_number_is_shown_as_a_reader_wants_it(value, shown):
    assert number(value) == shown


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1, "1"),
        (True, "true"),
        (0, "0"),
        (None, "none"),
        ([1, "a"], "1, a"),
        ([], "none"),
        (0.5, "0.5"),
        ({"a": 1}, "a 1"),
    ],
)
def test_a_flag_of_one_is_not_shown_as_true(value, shown):
    """Looked up in a table of True and False, 1 was found as True: `data.mut_num.min true`."""
    assert plain(value) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0.04, "0.0 s"), (2.34, "2.3 s"), (59.0, "59 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_a_duration_is_in_the_unit_that_a_person_would_use(seconds, shown):
    assert duration(seconds) == shown


def test_an_interval_and_the_mean_over_folds_stand_below_their_value():
    cell = with_interval({"value": 0.5, "low": 0.4, "high": 0.6, "fold_mean": 0.49, "fold_sd": 0.02})
    assert cell == {"value": 0.5, "below": ["[0.400, 0.600]", "⌀ 0.490 ± 0.020"]}
    assert with_interval({"value": None}) == {"value": None, "below": []}
    assert interval(None, 1.0) == ""
