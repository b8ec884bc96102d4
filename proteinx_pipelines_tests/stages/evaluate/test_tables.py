"""Numbers as a reader wants them, and nothing from outside unescaped."""

import pytest

from proteinx_pipelines.stages.evaluate.tables import (
    Html,
    number,
    pairs,
    picture,
    plain,
    table,
    with_all_views,
    with_interval,
)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (0.75512, "0.755"),
        (-0.01, "−0.010"),
        (0.0, "0.000"),
        (None, "–"),
        (float("nan"), "–"),
        (12345.6, "12,346"),
        (0.00002, "2.0e-05"),
    ],
)
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


def test_an_interval_stands_behind_its_value():
    shown = with_interval({"value": 0.5, "low": 0.4, "high": 0.6}).text
    assert shown == '0.500 <span class="interval">[0.400, 0.600]</span>'
    assert with_interval({"value": 0.5}).text == "0.500"


def test_text_from_outside_is_escaped_everywhere():
    evil = '<script>alert("x")</script>'
    for made in (
        table([evil, "n"], [(evil, 1)], caption=evil),
        pairs({evil: evil}, ("flag", "value")),
        picture(b"png", evil),
    ):
        assert "<script>" not in made
        assert "&lt;script&gt;" in made


def test_numbers_are_aligned_and_grouped():
    made = table(["name", "n", "x"], [("a", 1234, Html("0.5"))], marked=0)
    assert '<td class="number">1,234</td>' in made
    assert '<td class="number">0.5</td>' in made
    assert '<tr class="model"><td>a</td>' in made


def test_a_table_without_rows_is_left_out():
    assert table(["a"], []) == ""


@pytest.mark.parametrize(
    ("entry", "shown"),
    [
        ({"value": 0.5}, "0.500"),
        ({"value": 0.5, "low": 0.4, "high": 0.6, "fold_mean": 0.45, "fold_sd": 0.05},
         '0.500 <span class="interval">[0.400, 0.600]</span><span class="interval">⌀ 0.450 ± 0.050</span>'),
        ({"value": None, "fold_mean": 0.9, "fold_sd": None}, '<span class="interval">⌀ 0.900</span>'),
        ({"value": -0.1, "fold_mean": None, "fold_sd": None}, '−0.100<span class="interval">⌀ –</span>'),
        ({"value": None, "fold_mean": None, "fold_sd": None}, "–"),
    ],
)  # fmt: skip
def test_pooled_value_and_folds_share_a_cell_and_neither_hides_the_other(entry, shown):
    assert with_all_views(entry).text == shown
