"""Several sources of one protein: what any has measured is not proposed, and those of one scale count as one."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import EmptySelection, FlagError
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.records import AMINO_ACIDS, Selection, VariantTable
from proteinx_pipelines.stages.design.asked_library import make_library
from proteinx_pipelines.stages.design.candidates import Candidates, candidates_of
from proteinx_pipelines.stages.design.describe import measured_of
from proteinx_pipelines.stages.design.proposals import _controls
from proteinx_pipelines.stages.design.rules import rules_of
from proteinx_pipelines.stages.design.sources import chosen_sources, in_terms_of, same_protein, unmeasured

residues = st.sampled_from("ACDEK")
sequences = st.text(residues, min_size=4, max_size=6)


def table(pieces: dict[str, tuple[str, dict[str, float]]]) -> VariantTable:
    """Source -> (template, mutant -> target)."""
    rows = [
        pa.table(
            {
                "source": pa.array([source] * len(measured), pa.string()),
                "mutant": pa.array(list(measured), pa.string()),
                "target": pa.array(list(measured.values()), pa.float64()),
            }
        )
        for source, (_, measured) in pieces.items()
    ]
    return VariantTable(pa.concat_tables(rows), {name: each[0] for name, each in pieces.items()})


def mutant(template: str, sequence: str) -> str:
    return (
        ":".join(f"{a}{k}{b}" for k, (a, b) in enumerate(zip(template, sequence, strict=True), 1) if a != b)
        or "WT"
    )


@st.composite
def relatives(draw: st.DrawFn, template: str):
    """A template of the same protein (another parent, with a tag, a domain), and measured sequences of it."""
    kind = draw(st.sampled_from(["parent", "tag", "domain"]))
    if kind == "parent":
        changed = draw(st.dictionaries(st.integers(0, len(template) - 1), residues, max_size=2))
        other = "".join(changed.get(k, letter) for k, letter in enumerate(template))
    elif kind == "tag":
        other = draw(st.text(residues, max_size=3)) + template + draw(st.text(residues, max_size=3))
    else:
        cut = draw(st.integers(0, 1))
        other = template[cut : len(template) - 1]
    places = st.dictionaries(st.integers(0, len(other) - 1), residues, max_size=3)
    measured = [
        "".join(changes.get(k, letter) for k, letter in enumerate(other))
        for changes in draw(st.lists(places, max_size=8))
    ]
    return other, measured


def is_measured(sequence: str, template: str, other: str, measured: list[str]) -> bool:
    """By whole sequences: independent of substitutions and their positions."""
    if len(other) == len(template):
        return sequence in measured
    if len(other) > len(template):
        ahead = other.find(template)
        return other[:ahead] + sequence + other[ahead + len(template) :] in measured
    start = template.find(other)
    end = start + len(other)
    return any(template[:start] + each + template[end:] == sequence for each in measured)


@settings(deadline=None, max_examples=150)
@given(st.data())
def test_no_library_holds_what_any_named_source_has_measured(data: st.DataObject) -> None:
    template = data.draw(sequences)
    sibling, excluded = data.draw(relatives(template)), data.draw(relatives(template))
    pooled = data.draw(relatives(template))
    design = {
        "library": data.draw(st.sampled_from(["singles", "doubles", "combinations", "recombine"])),
        "positions": [1, 2, 3], "max_mutations": data.draw(st.integers(1, 3)), "source": ["own", "pooled"],
        "exclude_sources": "excluded",
    }  # fmt: skip
    flags = parse_flags({"data.source": ["own", "pooled", "sibling"], "design": design}).design

    def measured(relative: tuple[str, list[str]]) -> tuple[str, dict[str, float]]:
        return relative[0], {mutant(relative[0], each): float(k) for k, each in enumerate(relative[1])}

    own = data.draw(st.lists(st.text(residues, min_size=len(template), max_size=len(template)), min_size=1))
    of_experiment = {"own": (template, own), "pooled": pooled, "sibling": sibling}
    variants = table({name: measured(each) for name, each in of_experiment.items()})
    known = measured_of(variants, chosen_sources(flags, variants), flags.goal)
    inputs = SimpleNamespace(variants=variants, excluded=table({"excluded": measured(excluded)}))
    rules = rules_of(flags, "own", template, 0, np.arange(1, len(template) + 1))
    try:
        library = make_library(inputs, flags, rules, known, 0, lambda each: np.arange(each.n, 0.0, -1.0))
    except EmptySelection:
        return
    for sequence in library.candidates.sequences().to_pylist():
        for other, there in (*of_experiment.values(), excluded):
            assert not is_measured(sequence, template, other, there)


def test_sources_of_one_scale_count_as_one_and_what_two_have_measured_is_their_mean() -> None:
    """The best variant was that of the first source alone, and a plate had the same variant as two controls."""
    variants = table(
        {
            "a": ("ACDE", {"WT": 1.0, "A1C": 2.0, "C2D": 4.0}),
            "b": ("CCDE", {"WT": 3.0, "C1A:D3E": 9.0, "E4K": float("nan")}),
        }
    )
    both = measured_of(variants, ("a", "b"), "maximize")
    assert dict(zip(both.candidates.mutants(), both.target.tolist(), strict=True)) == {
        "WT": 1.0, "A1C": 2.5, "C2D": 4.0, "D3E": 9.0, "A1C:E4K": pytest.approx(float("nan"), nan_ok=True),
    }  # fmt: skip
    assert (both.best, both.wild_type, both.highest) == (9.0, 1.0, 9.0)
    assert measured_of(variants, "a", "maximize").best == 4.0
    names = _controls(both, DesignFlags(library="singles", controls=10)).mutants()
    assert names == ["WT", "D3E", "C2D", "A1C"]


def test_the_same_protein_is_one_parent_one_tag_or_one_domain_apart_and_no_further() -> None:
    assert same_protein("ACDEF", "ACDEF") == 0
    assert same_protein("ACDKK", "ACDEF") == 0
    assert same_protein("KKKEF", "ACDEF") is None
    assert same_protein("MHHACDEF", "ACDEF") == 3
    assert same_protein("DEF", "ACDEF") == -2
    assert same_protein("DKF", "ACDEF") is None
    tagged = candidates_of("t", "MHACDE", ["WT", "M1K", "A3C:E6K", "H2K:A3C"])
    moved, kept = in_terms_of(tagged, "s", "ACDE")
    assert (moved.mutants(), kept.tolist()) == (["WT", "A1C:E4K"], [0, 2])


def test_a_source_of_another_protein_is_refused_where_it_is_named_and_ignored_where_it_is_not() -> None:
    variants = table({"a": ("ACDE", {"A1C": 1.0}), "other": ("KKKKKKK", {"K1A": 2.0})})
    with pytest.raises(FlagError, match=r"`design\.source` names other, whose template \(7 residues\)"):
        measured_of(variants, ("a", "other"), "maximize")
    flags = DesignFlags(library="singles", source=("a",), exclude_sources=("other",))
    known = measured_of(variants, "a", "maximize")
    rules = rules_of(flags, "a", "ACDE", 0, np.arange(1, 5))

    def made(excluded: VariantTable | None) -> Candidates:
        inputs = SimpleNamespace(variants=variants, excluded=excluded)
        return make_library(inputs, flags, rules, known, 0, lambda each: np.zeros(each.n)).candidates

    assert made(None).n == 4 * (len(AMINO_ACIDS) - 1) - 1
    with pytest.raises(FlagError, match=r"`design\.exclude_sources` names other"):
        made(table({"other": ("KKKKKKK", {"K1A": 2.0})}))


def test_the_source_is_asked_for_by_all_the_names_that_there_are() -> None:
    variants = table({"a": ("ACDE", {"WT": 1.0}), "b": ("ACDE", {"WT": 1.0})})
    with pytest.raises(FlagError, match=r"is not given; the experiment has a, b\..*one scale as a list"):
        chosen_sources(DesignFlags(library="singles"), variants)
    with pytest.raises(FlagError, match=r"names 'c'; the experiment has a, b"):
        chosen_sources(DesignFlags(library="singles", source=("a", "c")), variants)
    assert chosen_sources(DesignFlags(library="singles", source=("b", "a")), variants) == ("b", "a")


def test_insertions_and_deletions_are_not_taken_for_the_wild_type() -> None:
    """A deletion parsed as no substitution, so that its score was averaged into that of the template."""
    variants = table({"a": ("ACDE", {"WT": 1.0, "A1C": 2.0, "C2del": 9.0})})
    known = measured_of(variants, "a", "maximize")
    assert known.candidates.mutants() == ["WT", "A1C"]
    assert (known.wild_type, known.best) == (1.0, 2.0)


def test_rows_without_a_score_that_no_design_can_be_are_not_proposed() -> None:
    """A stop that had not been measured stood on the plate."""
    variants = table({"a": ("ACDE", {"WT": 1.0})})
    rows = pa.table(
        {
            "source": ["a"] * 6,
            "mutant": ["A1C", "C2*", "D3X", "C2del", "D3K:E4*", "D3K:E4A"],
            "DMS_score": pa.nulls(6, pa.float64()),
        }
    )
    found = unmeasured(Selection(rows, variants.templates, {}), ["a"], "ACDE")
    assert found.mutants() == ["A1C", "D3K:E4A"]
