"""Insertions and deletions become sequences of other lengths; what cannot be used is refused as for substitutions."""

import pytest
from measurements import variants_of

from proteinx_pipelines.errors import BadVariants

TEMPLATES = {"toy": "ACDEFGHIKL"}


def test_each_row_gets_its_own_sequence():
    found = variants_of("WT", "A1C", "D3del", "D3_E4insGG", "C2_E4delinsW", "A1C:F5del", templates=TEMPLATES)
    rows = dict(zip(found.column("mutant"), found.column("sequence"), strict=True))
    assert rows == {
        "WT": "ACDEFGHIKL", "A1C": "CCDEFGHIKL", "D3del": "ACEFGHIKL", "D3_E4insGG": "ACDGGEFGHIKL",
        "C2_E4delinsW": "AWFGHIKL", "A1C:F5del": "CCDEGHIKL",
    }  # fmt: skip
    counts = dict(zip(found.column("mutant"), found.column("mut_num"), strict=True))
    assert counts == {"WT": 0, "A1C": 1, "D3del": 1, "D3_E4insGG": 1, "C2_E4delinsW": 1, "A1C:F5del": 2}


def test_two_spellings_of_one_sequence_are_one_variant():
    found = variants_of(("A1del", 1.0), ("A2del", 3.0), ("A1_A2delinsA", 5.0), templates={"toy": "AACD"})
    assert found.column("sequence").tolist() == ["ACD"]
    assert found.column("DMS_score").tolist() == [3.0]
    assert found.dropped["synonymous_merged"] == 2


def test_stops_and_unknown_letters_are_seen_in_what_is_inserted():
    found = variants_of("D3_E4insX", "A1*:F5del", "A1C", templates=TEMPLATES, unknown="drop")
    assert found.column("mutant").tolist() == ["A1C"]
    assert (found.dropped["unknown_letter"], found.dropped["stop"]) == (1, 1)


def test_indels_that_contradict_the_template_are_named():
    with pytest.raises(BadVariants) as caught:
        variants_of("C3del", "A1C", templates=TEMPLATES)
    assert "1 of 2 selected rows have insertions or deletions that contradict their template" in str(
        caught.value
    )
    assert "'C3' is written against a template that has D there" in str(caught.value)


def test_derived_columns_know_them():
    derived = ["positions", "mutated_residues", "charge_change"]
    found = variants_of("E4del", "D3_E4insKK", "A1C", templates=TEMPLATES, derived=derived)
    rows = {row["mutant"]: row for row in found.rows.to_pylist()}
    assert (rows["E4del"]["positions"], rows["E4del"]["mutated_residues"]) == ("4", "-")
    assert rows["E4del"]["charge_change"] == 1.0
    assert rows["D3_E4insKK"]["charge_change"] == 2.0


def test_a_letter_of_the_template_that_no_row_changes_is_no_reason_to_drop():
    """A selenoprotein's U once made every row unusable, and the remedy that was named left nothing."""
    found = variants_of("A1C", "C2D", "WT", templates={"toy": "ACDUF"})
    assert found.column("sequence").tolist() == ["ACDUF", "CCDUF", "ADDUF"]
