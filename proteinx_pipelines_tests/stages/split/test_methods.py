"""By count and by score: what each method decides, on variants small enough to count."""

import measurements
import pytest
from measurements import needs_data, variants_of

from proteinx_pipelines.errors import BadVariants, EmptySplit
from proteinx_pipelines.flags.split import SplitFlags
from proteinx_pipelines.stages.split.assign import assign_split


def mutants_in(split, part, fold=0):
    ids = split.ids.take(getattr(split.folds[fold], part)).to_pylist()
    return [text.partition("/")[2] for text in ids]


def test_few_mutations_train_and_more_test():
    split = assign_split(
        variants_of("WT", "A1C", "A1C:C2D", "A1C:C2D:D3A"), SplitFlags(method="n_vs_rest", n=1)
    )
    assert mutants_in(split, "train") == ["WT", "A1C"]
    assert mutants_in(split, "test") == ["A1C:C2D", "A1C:C2D:D3A"]
    assert split.reasons.to_pylist() == [
        "0 mutations, at most 1: train.",
        "1 mutation, at most 1: train.",
        "2 mutations, more than 1: test.",
        "3 mutations, more than 1: test.",
    ]


def test_a_silent_mutation_does_not_count():
    variants = variants_of("A1C:C2C", "A1C:C2D")
    assert mutants_in(assign_split(variants, SplitFlags(method="n_vs_rest")), "train") == ["A1C:C2C"]


def test_low_targets_train_and_high_ones_test_by_each_source():
    templates = {"a": "ACD", "b": "ACD"}
    rows = [("a", f"A1{new}", float(i)) for i, new in enumerate("CDEF")]
    rows += [("b", f"A1{new}", 100.0 + i) for i, new in enumerate("CDEF")]
    split = assign_split(variants_of(*rows, templates=templates), SplitFlags(method="low_vs_high"))
    assert split.info["thresholds"] == {"a": 1.0, "b": 101.0}
    assert split.ids.take(split.folds[0].train).to_pylist() == ["a/A1C", "a/A1D", "b/A1C", "b/A1D"]
    assert split.reasons[0].as_py() == "target at most 1, the 0.5 quantile of a: train."
    assert split.reasons[7].as_py() == "target above 101, the 0.5 quantile of b: test."


def test_the_wild_type_as_threshold_is_not_tested_itself():
    variants = variants_of(("WT", 1.0), ("A1C", 0.5), ("A1D", 1.0), ("A1E", 2.0))
    split = assign_split(variants, SplitFlags(method="low_vs_high", threshold="wild_type"))
    assert mutants_in(split, "train") == ["A1C"]
    assert mutants_in(split, "test") == ["A1D", "A1E"]
    assert split.reasons[0].as_py() == "the wild type, which is never tested: in no part."


def test_a_missing_wild_type_is_named():
    with pytest.raises(BadVariants, match="no row `WT`: toy"):
        assign_split(variants_of("A1C", "A1D"), SplitFlags(method="low_vs_high", threshold="wild_type"))


def test_equal_targets_cannot_be_split_by_score():
    with pytest.raises(EmptySplit, match="test is empty"):
        assign_split(variants_of(("A1C", 1.0), ("A1D", 1.0)), SplitFlags(method="low_vs_high"))


class TestFlip:
    """FLIP's GB1 sets have 28, 424 and 2,990 training rows, wild type included; low_vs_high has 5,089
    (and tests the wild type, which is never tested here)."""

    pytestmark = needs_data

    @pytest.fixture(scope="class")
    @classmethod
    def gb1(cls):
        return measurements.real_variants(
            "assays/GB1_FLIP_four_sites.csv.gz", "GB1_FLIP_four_sites", ("WT", 1.0)
        )

    @pytest.mark.parametrize(
        ("flags", "sizes"),
        [
            ({"method": "n_vs_rest", "n": 1}, (28, 8705)),
            ({"method": "n_vs_rest", "n": 2}, (424, 8309)),
            ({"method": "n_vs_rest", "n": 3}, (2990, 5743)),
            ({"method": "low_vs_high", "threshold": "wild_type"}, (5089, 3643)),
        ],
    )
    def test_the_rule_gives_the_published_counts(self, gb1, flags, sizes):
        (fold,) = assign_split(gb1, SplitFlags(**flags)).folds
        assert (len(fold.train), len(fold.test), len(fold.val)) == (*sizes, 0)

    @pytest.mark.parametrize(("n", "name"), [(1, "one_vs_rest"), (2, "two_vs_rest"), (3, "three_vs_rest")])
    def test_the_rule_and_the_published_file_agree_on_every_row(self, gb1, n, name):
        path = str(measurements.SHARED / "assays/GB1_FLIP_splits.csv.gz")
        rule = assign_split(gb1, SplitFlags(method="n_vs_rest", n=n))
        file = assign_split(gb1, SplitFlags(method="file", path=path, column=name))
        assert rule.folds[0].train.tolist() == file.folds[0].train.tolist()
        assert rule.folds[0].test.tolist() == file.folds[0].test.tolist()
        assert len(file.folds[0].val) == 0

    def test_validation_rows_are_set_apart_only_when_their_column_is_named(self, gb1):
        path = str(measurements.SHARED / "assays/GB1_FLIP_splits.csv.gz")
        flags = SplitFlags(
            method="file", path=path, column="one_vs_rest", val_column="one_vs_rest_validation"
        )
        (fold,) = assign_split(gb1, flags).folds
        assert (len(fold.train), len(fold.val), len(fold.test)) == (25, 3, 8705)
