"""Clipping and functions of one score at a time."""

import math

import pytest
from measurements import variants_of

from proteinx_pipelines.errors import BadVariants, FlagError
from proteinx_pipelines.flags.base import Range
from proteinx_pipelines.flags.parsing import parse_flags


@pytest.mark.parametrize(
    ("function", "expected"),
    [
        ("none", 8.0), ("log", math.log(8)), ("log2", 3.0), ("log10", math.log10(8)), ("log1p", math.log(9)),
        ("exp", math.exp(8)), ("negate", -8.0),
    ],
)  # fmt: skip
def test_the_target_is_a_function_of_the_score(function, expected):
    found = variants_of(("A1C", 8.0), target=function)
    assert found.column("target")[0] == pytest.approx(expected, rel=1e-12)
    assert found.column("DMS_score") == [8.0]


def test_scores_are_clipped_before_the_function():
    found = variants_of(
        ("A1C", 0.0), ("A1D", 4.0), ("A1E", 100.0), clip=Range(min=1.0, max=16.0), target="log2"
    )
    assert found.column("target").tolist() == [0.0, 2.0, 4.0]
    assert found.column("DMS_score").tolist() == [0.0, 4.0, 100.0]


def test_merging_comes_before_the_function():
    assert variants_of(("A1C", 1.0), ("A1C", 3.0), target="log2").column("target") == [1.0]


@pytest.mark.parametrize(
    ("function", "score"), [("log", 0.0), ("log2", -1.0), ("log10", 0.0), ("log1p", -1.0)]
)
def test_a_score_without_logarithm_is_named_with_the_way_out(function, score):
    with pytest.raises(BadVariants) as caught:
        variants_of(("A1C", score), ("A1D", 2.0), target=function)
    message = str(caught.value)
    assert f"toy/A1C: score {score!r}" in message
    assert "1 of 2 variants" in message
    assert "`transform.clip.min`" in message


def test_an_exponential_that_overflows_is_named():
    with pytest.raises(BadVariants, match=r"toy/A1C: score 1000.0\nSet `transform.clip.min`"):
        variants_of(("A1C", 1000.0), target="exp")


def test_an_infinite_score_is_refused_unless_clipped():
    with pytest.raises(BadVariants, match="needs finite scores; 1 of 1 variants"):
        variants_of(("A1C", math.inf))
    assert variants_of(("A1C", math.inf), clip=Range(max=5.0)).column("target") == [5.0]


def test_targets_are_cut_into_classes_after_the_function():
    found = variants_of(
        ("A1C", 1.0), ("A1D", 2.0), ("A1E", 4.0), ("C2D", 16.0), target="log2", bins=(1.0, 3.0)
    )
    assert found.column("target").tolist() == [0.0, 1.0, 1.0, 2.0]  # a value equal to a threshold is above it
    assert found.column("DMS_score").tolist() == [1.0, 2.0, 4.0, 16.0]


def test_a_class_without_a_variant_is_refused_with_the_counts():
    with pytest.raises(BadVariants, match="Targets range from 1 to 4") as error:
        variants_of(("A1C", 1.0), ("A1D", 4.0), bins=(2.0, 9.0))
    assert "class 2 (9 to inf): 0 variants" in str(error.value)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ({"transform.bins": [1, 1]}, "ascending ones are expected"),
        ({"transform.bins": [2, 1]}, "found the thresholds 2, 1"),
        ({"transform.bins": list(range(21))}, "at most 20"),
        ({"transform.bins": "low"}, "transform.bins"),
        ({"transform.bins": 1, "design.library": "singles"}, "a design ranks scores"),
        ({"transform.bins": 1, "split.method": "low_vs_high"}, "take another `split.method`"),
    ],
)
def test_thresholds_that_make_no_classes_are_refused(flags, said):
    with pytest.raises(FlagError, match=said):
        parse_flags({"data.source": "toy", **flags})


def test_one_threshold_may_be_a_number():
    assert parse_flags({"data.source": "toy", "transform.bins": 0.5}).transform.bins == (0.5,)
    assert parse_flags("data.source=toy\ntransform.bins=[0.5,2]").transform.bins == (0.5, 2.0)
