"""Insertions and deletions: what is written reads back, and every sequence has an account that leads to it."""

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from proteinx_pipelines.edits import (
    canonical_edits,
    edit_problems,
    edited_sequence,
    mutant_of,
    parse_edits,
    rows_with_indels,
)
from proteinx_pipelines.errors import BadVariants

TEMPLATE = "MSEQKTLDAVWRGHNPFYIC"
SEQUENCES = st.text(alphabet="ACDM", min_size=1, max_size=25)


@given(SEQUENCES, SEQUENCES)
def test_a_mutant_of_a_sequence_leads_back_to_it(template, sequence):
    mutant = mutant_of(sequence, template)
    edits = parse_edits(mutant)
    assert edit_problems(edits, template) == []
    assert edited_sequence(edits, template) == sequence
    assert canonical_edits(mutant, template) == mutant


@pytest.mark.parametrize(
    ("mutant", "sequence"),
    [
        ("WT", "MSEQKTLDAVWRGHNPFYIC"),
        ("S2A:A9C", "MAEQKTLDCVWRGHNPFYIC"),
        ("L7del", "MSEQKTDAVWRGHNPFYIC"),
        ("A9_W11del", "MSEQKTLDRGHNPFYIC"),
        ("S2_E3insAC", "MSACEQKTLDAVWRGHNPFYIC"),
        ("A9_W11delinsGG", "MSEQKTLDGGRGHNPFYIC"),
        ("C20delinsCM", "MSEQKTLDAVWRGHNPFYICM"),
        ("A9C:L7del", "MSEQKTDCVWRGHNPFYIC"),
    ],
)
def test_each_form_means_its_sequence(mutant, sequence):
    edits = parse_edits(mutant)
    assert edit_problems(edits, TEMPLATE) == []
    assert edited_sequence(edits, TEMPLATE) == sequence


def test_of_several_places_in_a_repeat_an_indel_gets_the_last():
    assert mutant_of("MSSEQ", "MSEQ") == "S2_E3insS"
    assert mutant_of("MAQ", "MAAAQ") == "A3_A4del"


@pytest.mark.parametrize("text", ["L7delX9", "L7_D9insA", "L9_D7del", "7del", "insA", "L7dele", "L7del:"])
def test_what_is_no_edit_is_refused(text):
    with pytest.raises(BadVariants):
        parse_edits(text)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("L8del", "'L8' is written against a template that has D there"),
        ("A21del", "'A21' lies outside the template, which goes from 1 to 20"),
        ("L7_A9del:D8C", "it changes position 8 more than once"),
    ],
)
def test_edits_that_do_not_fit_are_worded(text, problem):
    assert edit_problems(parse_edits(text), TEMPLATE) == [problem]


def test_rows_with_indels_are_found_among_many():
    mutants = pa.chunked_array([["A1C", "L7del", None], ["T2_Y3insA", "WT"]])
    assert rows_with_indels(mutants).tolist() == [False, True, False, True, False]
