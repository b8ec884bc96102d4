"""A file of a source with two numberings: read in one of them, whole, or not at all."""

import pyarrow as pa
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from proteinx_pipelines.mutants import renumbered
from proteinx_pipelines.variant_files.numbering import AS_WRITTEN, TEMPLATE, fitting_offset, read_mutants

LETTERS = "ACDEFGHIKLMNPQRSTVWY"


@st.composite
def assays(draw):
    """A template, an offset, and some of its single mutants."""
    template = draw(st.text("AGVK", min_size=4, max_size=30))
    places = draw(st.lists(st.integers(0, len(template) - 1), min_size=2, max_size=12, unique=True))
    letters = draw(st.lists(st.sampled_from("CDEF"), min_size=len(places), max_size=len(places)))
    mutants = [f"{template[place]}{place + 1}{letter}" for place, letter in zip(places, letters, strict=True)]
    return template, draw(st.integers(-12, 40).filter(bool)), pa.array(mutants)


@given(assays(), st.booleans(), st.integers(0, 3))
def test_a_file_is_read_in_the_numbering_it_is_in_or_not_at_all(assay, in_template, n_missing):
    """Templates of four letters repeat: often a file fits in both numberings, and must then be refused."""
    template, offset, own = assay
    inside = own[: max(1, len(own) - n_missing)]
    found = read_mutants(inside if in_template else renumbered(inside, offset), template, offset, own)
    if found.problem is None:
        assert found.mutants.to_pylist() == inside.to_pylist()
        assert found.numbering == (TEMPLATE if in_template else AS_WRITTEN)
    else:
        assert "does not show in which numbering" in found.problem


@given(assays(), st.booleans())
def test_a_file_of_all_variants_is_never_refused_where_letters_differ(assay, in_template):
    template, offset, own = assay
    file = own if in_template else renumbered(own, offset)
    other = read_mutants(file, template, -offset if in_template else offset, own)
    assume(other.problem is None)
    assert read_mutants(file, template, offset, own).problem is None or in_template


def test_some_bad_lines_do_not_hide_the_numbering_and_many_do():
    template, own = (
        "MKTAYIAKQRQISFVKSHFSRQ",
        pa.array([f"{letter}{place}W" for place, letter in enumerate("MKTAYIAKQRQISFVKSHFSRQ", 1)]),
    )
    written = renumbered(own, 100).to_pylist()
    assert read_mutants(pa.array([*written, "Z999A", None, "WT"]), template, 100, own).numbering == AS_WRITTEN
    mixed = pa.array([*written[:11], *own.to_pylist()[11:]])
    assert "11 of its 22 mutants fit" in read_mutants(mixed, template, 100, own).problem


def test_a_source_without_an_offset_has_one_numbering():
    mutants = pa.array(["A1C", None, "rubbish"])
    assert read_mutants(mutants, "AC", 0, mutants).mutants.equals(mutants)


@pytest.mark.parametrize("by", [0, 100, 5])
def test_other_notations_are_read_in_either_numbering(by):
    own = pa.array(["M1W", "K2A:T3G", "WT"])
    written = pa.array([f"p.Met{1 + by}Trp", f"k{2 + by}a/t{3 + by}g", "wt"])
    assert read_mutants(written, "MKTAYIAKQR", by, own).mutants.to_pylist() == own.to_pylist()


@pytest.mark.parametrize(("by", "found"), [(0, 0), (226, 226), (-1, None)])
def test_the_offset_that_a_file_would_fit_with(by, found):
    mutants = pa.array(["M1A", "K2A", "T3A", "Y5A:I6A"])
    assert fitting_offset(renumbered(mutants, by), "MKTAYIAKQR") == found
    assert fitting_offset(pa.array([], pa.string()), "MK") is None
