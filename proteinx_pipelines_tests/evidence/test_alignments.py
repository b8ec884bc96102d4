"""Alignments: every form gives the same profile; shifted, shallow and foreign ones get a message."""

import numpy as np
import pytest

from proteinx_pipelines.errors import BadEvidence
from proteinx_pipelines.evidence.alignment_files import GAP, read_rows
from proteinx_pipelines.evidence.alignment_sites import IDENTITY, row_weights
from proteinx_pipelines.evidence.gather import GivenEvidence, gather
from proteinx_pipelines_tests.evidence.proteins import fasta, given, relatives, sequence_of

TEMPLATE = sequence_of(60)
ROWS = relatives(TEMPLATE, 60)


def found(text, name="toy.a2m", template=TEMPLATE):
    return gather(GivenEvidence({("alignment", None): given("alignment", text, name)}), {"toy": template})


def a3m(rows):
    """Insertions as small letters that other rows do not show."""
    return fasta(
        [rows[0], *(row[:30] + "gg" * (number % 3) + row[30:] for number, row in enumerate(rows[1:]))]
    )


def a2m(rows):
    """The same insertions, padded with dots in the other rows."""
    inserted = ["....", *(("gg" * (number % 3)).ljust(4, ".") for number in range(len(rows) - 1))]
    return fasta([row[:30] + middle + row[30:] for row, middle in zip(rows, inserted, strict=True)])


def stockholm(rows):
    lines = "".join(f"row{number} {row}\n" for number, row in enumerate(rows))
    return f"# STOCKHOLM 1.0\n\n{lines}//\n"


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("t.a2m", a2m),
        ("t.a3m", a3m),
        ("t.a3m.gz", a3m),
        ("t.sto", stockholm),
        ("t.sto.gz", stockholm),
        ("t.fasta", fasta),
    ],
)
def test_every_form_gives_the_same_profile(name, write):
    plain, evidence = found(fasta(ROWS)), found(write(ROWS), name)
    assert evidence.info["alignment"]["toy"]["used"]
    assert evidence.info["alignment"]["toy"]["rows"] == 61
    np.testing.assert_array_equal(evidence.arrays["preferences"], plain.arrays["preferences"])


def test_the_target_is_found_wherever_it_stands_and_a_part_of_it_is_placed():
    part = [row[10:50] for row in ROWS]
    facts = found(fasta([*part[1:], part[0]])).info["alignment"]["toy"]
    assert (facts["target"], facts["identity"], facts["sites"], facts["offset"]) == ("row60", 1.0, 40, -10)


def test_rows_are_weighed_by_those_at_least_80_percent_alike():
    """Against the definition, row by row."""
    rng = np.random.default_rng(3)
    base = rng.integers(0, 20, 40)
    tokens = np.array(
        [np.where(rng.random(40) < 0.15, rng.integers(0, GAP + 1, 40), base) for _ in range(50)], np.uint8
    )
    slow = []
    for row in tokens:
        own = row < GAP
        slow.append(1 / sum((other[own] == row[own]).sum() >= IDENTITY * own.sum() for other in tokens))
    np.testing.assert_allclose(row_weights(tokens), slow)


def test_conserved_sites_have_less_entropy():
    kept = np.where(np.arange(60) < 30, 0.98, 0.2)
    evidence = found(fasta(relatives(TEMPLATE, 80, kept=kept)))
    entropy = evidence.arrays["conservation"][0, :, 0]
    assert entropy[:30].max() < entropy[30:].min()


def test_a_shifted_alignment_is_not_used_and_the_message_says_by_how_much():
    shifted = [ROWS[0], *(f"-{row[:-1]}" for row in ROWS[1:])]
    evidence = found(fasta(shifted))
    assert not evidence.info["alignment"]["toy"]["used"]
    assert evidence.arrays == {}
    assert "moved by -1 columns" in evidence.info["warnings"][0]


def test_a_shallow_alignment_gets_a_message():
    evidence = found(fasta(ROWS[:4]))
    assert evidence.info["alignment"]["toy"]["used"]
    assert "shallow" in evidence.info["warnings"][0]


def test_an_alignment_of_another_protein_is_not_used():
    evidence = found(fasta(relatives(sequence_of(60, seed=9), 30)))
    assert evidence.arrays == {}
    assert "not that of toy" in evidence.info["warnings"][0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (">one\nACDE\n", "has 1 sequences"),
        (">one\nACDEF\n>two\nACDE\n", "not aligned"),
        ("no alignment at all\n", "mine.a2m"),
        ("# STOCKHOLM 1.0\nbroken", "mine.a2m"),
    ],
)
def test_what_is_no_alignment_is_refused_by_name(text, words):
    with pytest.raises(BadEvidence, match=words) as refused:
        read_rows(given("alignment", text, "mine.a2m"), TEMPLATE)
    assert "mine.a2m" in str(refused.value)
