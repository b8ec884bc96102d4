"""Replicates and synonymous mutants: which mutant is kept, and which score."""

import pytest
from measurements import variants_of

from proteinx_pipelines.errors import BadVariants


@pytest.mark.parametrize(("how", "score"), [("mean", 4.0), ("median", 2.5), ("first", 9.0)])
def test_replicates_become_one_row(how, score):
    found = variants_of(("A1C", 9.0), ("A1D", 5.0), ("A1C", 2.0), ("A1C", 3.0), ("A1C", 2.0), duplicates=how)
    assert found.column("mutant").tolist() == ["A1C", "A1D"]
    assert found.column("DMS_score").tolist() == [score, 5.0]
    assert found.column("n_merged").tolist() == [4, 1]
    assert found.dropped["replicates_merged"] == 3


def test_replicates_can_be_refused():
    with pytest.raises(BadVariants, match=r"2 rows measure a mutant again .*:\n  toy/A1C\n  toy/A1C\n"):
        variants_of("A1C", "A1C", "A1C", "A1D", duplicates="error")


def test_one_row_for_each_variant_needs_no_merging():
    assert variants_of("A1C", "A1D", duplicates="error", synonymous="error").n_variants == 2


@pytest.mark.parametrize(
    ("mutants", "kept"),
    [
        (["C2A:K9K", "C2A"], "C2A"),  # fewest mutations written
        (["D3A:C2A", "C2A:D3A"], "C2A:D3A"),  # ascending positions
        (["K9K:C2A", "C2A:F5F"], "C2A:F5F"),  # the alphabet
        (["A1A", "WT"], "WT"),
    ],
)
def test_the_simplest_of_synonymous_mutants_is_kept(mutants, kept):
    for order in (mutants, mutants[::-1]):
        found = variants_of(*order)
        assert found.column("mutant").tolist() == [kept]
        assert found.column("DMS_score").tolist() == [0.5]
        assert found.dropped["synonymous_merged"] == 1


def test_the_first_score_of_synonymous_mutants_is_that_of_the_mutant_kept():
    assert variants_of(("C2A:K9K", 7.0), ("C2A", 1.0), ("C2A", 2.0), duplicates="first").column("target") == [
        1.0
    ]


def test_the_mean_is_over_all_rows_of_the_sequence():
    found = variants_of(("C2A:K9K", 7.0), ("C2A", 1.0), ("C2A", 1.0))
    assert found.column("target") == [3.0]
    assert (found.dropped["replicates_merged"], found.dropped["synonymous_merged"]) == (1, 1)


def test_synonymous_mutants_can_be_kept_apart():
    found = variants_of(("C2A", 1.0), ("C2A:K9K", 7.0), ("C2A", 3.0), synonymous="keep")
    assert found.column("mutant").tolist() == ["C2A", "C2A:K9K"]
    assert found.column("target").tolist() == [2.0, 7.0]
    assert len(set(found.column("sequence"))) == 1


@pytest.mark.parametrize("flags", [{"synonymous": "error"}, {"synonymous": "merge", "duplicates": "error"}])
def test_synonymous_mutants_can_be_refused(flags):
    with pytest.raises(
        BadVariants, match=r"1 mutants have the sequence of another mutant.*\n  toy/C2A:K9K\n"
    ):
        variants_of("C2A", "C2A:K9K", "D3A", **flags)


def test_one_mutant_in_two_sources_is_two_variants():
    templates = {"a": "ACD", "b": "ACD"}
    assert variants_of(("a", "A1C", 1.0), ("b", "A1C", 2.0), templates=templates).n_variants == 2
