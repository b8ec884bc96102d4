"""Rows that cannot be used: all of them in one message, by kind, with the flag to change."""

import pytest
from measurements import TEMPLATE, variants_of

from proteinx_pipelines.errors import BadVariants


def test_a_wild_type_letter_that_the_template_does_not_have_is_named():
    with pytest.raises(BadVariants) as caught:
        variants_of("A1C", "G2C", "C2D:K99A")
    message = str(caught.value)
    assert "2 of 3 selected rows contradict their template" in message
    assert "toy/G2C: G2C needs 'G', the template has 'C' there" in message
    assert "toy/C2D:K99A: K99A is outside the template of 10 residues" in message
    assert "--offset" in message


def test_many_bad_rows_are_counted_and_twenty_shown():
    with pytest.raises(BadVariants) as caught:
        variants_of(*(f"W{at}{new}" for at in range(1, 11) for new in "AC"), "W1D", "W1E", "W1F", "WT")
    message = str(caught.value)
    assert "23 of 24 selected rows" in message
    assert message.count("needs 'W'") == 20
    assert "... and 3 more" in message


def test_every_kind_of_problem_is_in_one_message():
    with pytest.raises(BadVariants) as caught:
        variants_of(
            "nonsense", "G1C", "A1C:A1D", "C2X", ("D3A", None), ("E4*", 1.0), stops="error", missing="error"
        )
    message = str(caught.value)
    for expected in (
        "1 of 6 selected rows have a mutant that is not in the form",
        "toy/nonsense",
        "1 of 6 selected rows contradict their template",
        "toy/A1C:A1D: position 1 is named more than once",
        "have a letter that is no amino acid:\n  toy/C2X",
        "have no score:\n  toy/D3A",
        "have a stop (`*`):\n  toy/E4*",
        "Set `transform.missing` to 'drop'",
        "Set `transform.stops` to 'drop'",
        "Set `transform.unknown` to 'drop'",
    ):
        assert expected in message


@pytest.mark.parametrize(
    ("row", "rule", "flag"),
    [
        (("A1C", None), "missing_score", "missing"),
        (("A1C", float("nan")), "missing_score", "missing"),
        (("A1*", 1.0), "stop", "stops"),
        (("A1X", 1.0), "unknown_letter", "unknown"),
        (("A1U:C2D", 1.0), "unknown_letter", "unknown"),
    ],
)
def test_a_row_that_cannot_be_used_is_dropped_and_counted_or_refused(row, rule, flag):
    found = variants_of(row, ("C2A", 1.0), **{flag: "drop"})
    assert found.column("mutant").tolist() == ["C2A"]
    assert found.dropped[rule] == 1
    assert sum(found.dropped.values()) == 1
    with pytest.raises(BadVariants, match=f"toy/{row[0]}".replace("*", r"\*")):
        variants_of(row, ("C2A", 1.0), **{flag: "error"})


def test_a_row_that_breaks_two_rules_is_counted_once():
    assert variants_of(("A1*:C2X", None), ("C2A", 1.0), unknown="drop").dropped == {
        "missing_score": 1, "stop": 0, "unknown_letter": 0, "replicates_merged": 0, "synonymous_merged": 0,
    }  # fmt: skip


def test_an_unknown_letter_of_the_template_counts_unless_it_is_mutated():
    templates = {"toy": "AXD"}
    found = variants_of("A1C", "X2C", "X2C:D3A", "WT", "X2B", templates=templates, unknown="drop")
    assert found.column("mutant").tolist() == ["X2C", "X2C:D3A"]
    assert found.dropped["unknown_letter"] == 3
    with pytest.raises(
        BadVariants, match=r"The template of toy holds X at 2, .* with `transform.unknown=drop`"
    ):
        variants_of("A1C", "X2C", "WT", templates=templates)


def test_a_source_without_a_template_is_named():
    with pytest.raises(BadVariants, match="source 'other' has no template"):
        variants_of(("toy", "A1C", 1.0), ("other", "WT", 1.0), templates={"toy": TEMPLATE})
