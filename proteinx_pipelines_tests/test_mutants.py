"""The one-row parser is the oracle of the bulk parser; round trips hold for every well-formed mutant."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.mutants import (
    Mutation,
    canonical_mutants,
    format_mutant,
    parse_mutant,
    parse_mutants,
)

LETTERS = st.sampled_from("ACDEFGHIKLMNPQRSTVWYX*")
MUTATIONS = st.builds(Mutation, LETTERS, st.integers(1, 9_999_999), LETTERS)
MUTANTS = st.lists(MUTATIONS, max_size=6).map(tuple)
HOSTILE = st.one_of(
    st.none(),
    st.text(max_size=8),
    st.text(alphabet="AWT024:*x \x00é", max_size=12),
    MUTANTS.map(format_mutant),
)


def _parsed(text):
    try:
        return parse_mutant(text)
    except BadVariants:
        return None


def _rows(table):
    """The bulk result as what `parse_mutant` gives, None for a malformed row."""
    found = [None if bad else () for bad in table.malformed]
    for row, wild_type, position, residue in zip(
        table.row, table.wild_type, table.position, table.residue, strict=True
    ):
        found[row] = (*found[row], Mutation(chr(wild_type), int(position), chr(residue)))
    return found


@given(MUTANTS)
def test_what_is_written_reads_back_the_same(mutations):
    assert parse_mutant(format_mutant(mutations)) == mutations


@settings(max_examples=200)
@given(st.lists(HOSTILE, max_size=12))
def test_the_bulk_parser_agrees_with_the_single_one(texts):
    table = parse_mutants(texts)
    assert _rows(table) == [None if text is None else _parsed(text) for text in texts]
    assert table.counts.tolist() == [len(row or ()) for row in _rows(table)]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "A24",
        "24C",
        "A0C",
        "A024C",
        "a24c",
        "A24C:",
        ":A24C",
        "A24C::D40G",
        "A24C,D40G",
        "A12345678C",
        "wt",
    ],
)
def test_what_is_not_in_the_form_is_refused_by_name(text):
    with pytest.raises(BadVariants, match="is not a mutation") as raised:
        parse_mutant(text)
    assert repr(text) in str(raised.value)
    assert parse_mutants([text]).malformed.tolist() == [True]


def test_digits_of_other_scripts_are_not_positions():
    assert parse_mutants(["A٢٤C"]).malformed.tolist() == [True]
    assert _parsed("A٢٤C") is None


def test_slices_and_chunks_of_a_column_are_read_in_place():
    column = pa.array(["A1C", "WT", None, "D40G:E41*", "bad"])
    whole = _rows(parse_mutants(column))
    assert _rows(parse_mutants(column.slice(1, 3))) == whole[1:4]
    assert _rows(parse_mutants(pa.chunked_array([column, column.slice(3)]))) == whole + whole[3:]
    assert _rows(parse_mutants(column.dictionary_encode())) == whole


def test_no_mutants_give_empty_columns():
    for nothing in ([], pa.array([], pa.string()), pa.chunked_array([], pa.string())):
        table = parse_mutants(nothing)
        assert table.n_mutants == 0
        assert table.position.dtype == np.int64
        assert len(table.row) == 0


@given(st.lists(HOSTILE, max_size=20))
@settings(max_examples=150)
def test_the_canonical_form_is_sorted_and_without_silent_mutations(texts):
    def canonical(text):
        mutations = _parsed(text) if text is not None else None
        if mutations is None:
            return None
        changing = [mutation for mutation in mutations if mutation.wild_type != mutation.residue]
        return format_mutant(sorted(changing, key=lambda mutation: mutation.position))

    assert canonical_mutants(texts).to_pylist() == [canonical(text) for text in texts]
