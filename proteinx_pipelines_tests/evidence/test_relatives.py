"""Kinship of proteins: against Biopython-free facts, and what chance gives."""

import numpy as np
import pytest

from proteinx_pipelines.blosum62 import blosum62
from proteinx_pipelines.evidence.relatives import GAP, families, is_related, kinship, relatives
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines_tests.evidence.proteins import relatives as made_relatives
from proteinx_pipelines_tests.evidence.proteins import sequence_of

GB1 = "MQYKLILNGKTLKGETTTEAVDAATAEKVFKQYANDNGVDGEWTYDDATKTFTVTE"
PROTEIN_L = "MEEVTIKANLIFANGSTQTAEFKGTFEKATSEAYAYADTLKKDNGEYTVDVADKGYTLNIKFAG"


def slow_score(one: str, other: str) -> float:
    """Smith-Waterman cell by cell, any length of gap."""
    scores = blosum62()
    table = np.zeros((len(one) + 1, len(other) + 1))
    for i in range(1, len(one) + 1):
        for j in range(1, len(other) + 1):
            pair = scores[AMINO_ACIDS.index(one[i - 1]), AMINO_ACIDS.index(other[j - 1])]
            up = max(table[i - k, j] - GAP * k for k in range(1, i + 1))
            left = max(table[i, j - k] - GAP * k for k in range(1, j + 1))
            table[i, j] = max(0.0, table[i - 1, j - 1] + pair, up, left)
    return float(table.max())


@pytest.mark.parametrize("seed", range(5))
def test_the_score_is_that_of_the_slow_algorithm(seed):
    one = sequence_of(25, seed)
    other = one[3:12] + sequence_of(4, seed + 50) + one[12:20]
    assert kinship(one, other).score == slow_score(one, other)


def test_strangers_are_none_and_relatives_are():
    strangers = [sequence_of(200, seed) for seed in range(40)]
    assert not any(is_related(strangers[0], other) for other in strangers[1:])
    template = sequence_of(120, 7)
    (_, relative) = made_relatives(template, 1, kept=0.45, seed=3)
    assert is_related(template, relative)
    domain = sequence_of(60, 3) + template[20:80] + sequence_of(60, 4)
    assert is_related(template, domain)  # a domain within another protein
    assert is_related(GB1, GB1[10:30])
    assert not is_related(GB1, PROTEIN_L)  # the same fold at 14 % identity: not found by sequence


def test_families_are_linked_through_their_members():
    first = sequence_of(100, 1)
    middle = first[50:] + sequence_of(50, 2)
    last = middle[50:] + sequence_of(50, 5)
    found = families({"a": first, "b": sequence_of(100, 9), "c": middle, "d": last})
    assert found == {"a": 0, "b": 1, "c": 0, "d": 0}
    assert relatives(middle, {"a": first, "b": sequence_of(100, 9), "d": last}) == ("a", "d")


def test_letters_outside_of_the_twenty_and_empty_sequences_are_no_problem():
    assert is_related("MKTUAYIAKQRQISFVKSHFSRQ", "MKTXAYIAKQRQISFVKSHFSRQ")
    assert not is_related("", GB1)
