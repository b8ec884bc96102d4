"""Libraries hold what the rules allow, nothing twice, and nothing that is known; whatever the protein and the rules."""

from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import EmptySelection, FlagError
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.design import library as libraries
from proteinx_pipelines.stages.design.candidates import candidates_of, distinct, joined
from proteinx_pipelines.stages.design.codons import mutated_dna, translate
from proteinx_pipelines.stages.design.describe import Measured
from proteinx_pipelines.stages.design.design import make_library
from proteinx_pipelines.stages.design.neighbours import nearest
from proteinx_pipelines.stages.design.rules import rules_of

residues = st.sampled_from(AMINO_ACIDS)
templates = st.text(residues, min_size=3, max_size=8)


@st.composite
def proteins(draw: st.DrawFn):
    """A template, measured variants of it, an offset and flags."""
    template = draw(templates)
    offset = draw(st.integers(-3, 300))
    places = st.integers(1, len(template))
    mutants = draw(st.lists(st.dictionaries(places, residues, max_size=3), max_size=12))
    names = [
        ":".join(
            f"{template[at - 1]}{at}{to}" for at, to in sorted(changes.items()) if template[at - 1] != to
        )
        or "WT"
        for changes in mutants
    ]
    wanted = draw(st.lists(places, unique=True, max_size=4))
    fixed = draw(st.lists(places, unique=True, max_size=2))
    letters = st.text(residues, min_size=1, max_size=6)
    design = {
        "library": draw(st.sampled_from(["singles", "doubles", "recombine", "combinations"])),
        "positions": [at + offset for at in wanted or [1, 2]],
        "fixed": [at + offset for at in fixed],
        "allowed": {"*": draw(letters)} if draw(st.booleans()) else {},
        "forbidden": {str(draw(places) + offset): draw(letters)} if draw(st.booleans()) else {},
        "max_mutations": draw(st.integers(1, 3)),
        "best": draw(st.integers(2, 30)),
        "exclude": [f"{template[0]}{1 + offset}{draw(residues)}"],
    }
    return template, offset, names, parse_flags({"data.source": "s", "design": design}).design


def known(template: str, names: list[str]) -> Measured:
    candidates = candidates_of("s", template, names)
    target = np.random.default_rng(len(names)).normal(size=len(names))
    seen = np.ones((len(template), 256), bool)
    return Measured(candidates, target, float("nan"), 0.0, 0, seen, 1.0, -1.0)


@settings(deadline=None, max_examples=150)
@given(proteins())
def test_nothing_measured_excluded_twice_or_impossible_is_in_a_library(protein) -> None:
    template, offset, names, flags = protein
    measured = known(template, names)
    rules = rules_of(flags, "s", template, offset, np.arange(1, len(template) + 1))
    try:
        made = make_library(
            SimpleNamespace(), flags, rules, measured, offset, lambda each: np.arange(each.n, 0.0, -1.0), None
        )
    except EmptySelection:
        return
    found = made.mutants(offset)
    assert len(set(found)) == len(found)
    assert not set(found) & {*measured.candidates.mutants(offset), *flags.exclude, "WT"}
    for mutant in found:
        parts = mutant.split(":")
        assert 1 <= len(parts) <= flags.max_mutations
        for part in parts:
            at, to = int(part[1:-1]), part[-1]
            assert template[at - offset - 1] == part[0] != to
            assert at in flags.positions
            assert at not in flags.fixed
            assert to in flags.allowed.get(str(at), flags.allowed.get("*", AMINO_ACIDS))
            assert to not in flags.forbidden.get(str(at), "")
    assert [len(name.split(":")) for name in found] == made.counts.tolist()


@settings(deadline=None, max_examples=100)
@given(templates, st.data())
def test_the_nearest_measured_variant_is_that_of_the_sequences(template: str, data: st.DataObject) -> None:
    def drawn(most: int):
        sequences = data.draw(
            st.lists(
                st.text(residues, min_size=len(template), max_size=len(template)), min_size=1, max_size=most
            )
        )
        names = [
            ":".join(f"{a}{k}{b}" for k, (a, b) in enumerate(zip(template, each, strict=True), 1) if a != b)
            or "WT"
            for each in sequences
        ]
        return sequences, candidates_of("s", template, names)

    asked, candidates = drawn(6)
    there, measured = drawn(6)
    assert candidates.sequences().to_pylist() == asked
    found = nearest(candidates, measured)
    for sequence, row, distance in zip(asked, found.row, found.distance, strict=True):
        apart = [sum(a != b for a, b in zip(sequence, other, strict=True)) for other in there]
        assert distance == min(apart)
        assert apart[row] == distance


def test_a_set_is_distinct_by_its_substitutions_and_keeps_its_order() -> None:
    first = candidates_of("s", "ACDE", ["A1C", "WT", "A1C:D3E", "A1C"])
    both = joined([first, candidates_of("s", "ACDE", ["D3E:A1C", "E4K"])])
    assert distinct(both).mutants() == ["A1C", "WT", "A1C:D3E", "E4K"]
    assert distinct(both, without=candidates_of("s", "ACDE", ["E4K", "WT"])).mutants() == ["A1C", "A1C:D3E"]


def test_a_coding_sequence_allows_what_one_base_reaches_and_gives_the_dna() -> None:
    dna = "ATGGCT"  # M, A
    flags = DesignFlags(library="singles", coding_sequence=dna)
    rules = rules_of(flags, "s", "MA", 0, np.array([1, 2]))
    assert {chr(letter) for letter in rules.residues_at(1)} == set("LVKTRI")
    assert {chr(letter) for letter in rules.residues_at(2)} == set("STPDGV")
    made = libraries.singles("s", "MA", rules)
    for position, residue in zip(made.position.tolist(), made.residue.tolist(), strict=True):
        changed = mutated_dna(dna, [position], [chr(residue)])
        assert sum(a != b for a, b in zip(changed, dna, strict=True)) == 1
        assert translate(changed[3 * position - 3 : 3 * position]) == chr(residue)


def test_all_that_is_wrong_with_the_constraints_is_said_at_once_in_the_peoples_numbering() -> None:
    flags = DesignFlags(library="singles", positions=(1, 290), must_have=("C102A",), coding_sequence="ATGATG")
    with pytest.raises(FlagError) as raised:
        rules_of(flags, "protein", "ACDE", 100, np.arange(1, 5))
    text = str(raised.value)
    assert "positions 1, 290 are not in protein, which has 101 to 104" in text
    assert "2 codons" in text
    assert "C102A" not in text  # it fits: the second residue is C
    with pytest.raises(FlagError, match=r"W102A do not fit the template of protein"):
        rules_of(
            DesignFlags(library="singles", must_have=("W102A",)), "protein", "ACDE", 100, np.arange(1, 5)
        )
