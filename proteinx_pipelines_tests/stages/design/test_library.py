"""Libraries hold what the rules allow, nothing twice, and nothing that is known; whatever the protein and the rules."""

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proteinx_pipelines.errors import BadVariants, CatalogError, EmptySelection, FlagError
from proteinx_pipelines.flags.design import DesignFlags
from proteinx_pipelines.flags.parsing import parse_flags
from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.design import library as libraries
from proteinx_pipelines.stages.design.asked_library import make_library
from proteinx_pipelines.stages.design.candidates import candidates_of, distinct, joined
from proteinx_pipelines.stages.design.codons import clones, library_facts, mutated_dna, shares, translate
from proteinx_pipelines.stages.design.describe import Measured
from proteinx_pipelines.stages.design.given import from_files
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
        "cysteines": draw(st.booleans()),
        "codons": draw(st.sampled_from([None, "NNK", "NDT", "DBK"])),
        "must_not": [
            f"{template[at - 1]}{at + offset}{to}"
            for at, to in draw(st.dictionaries(places, residues)).items()
            if to != template[at - 1]
        ],
        "must_have": [
            f"{template[at - 1]}{at + offset}{to}"
            for at, to in draw(st.dictionaries(places, residues, max_size=2)).items()
            if to != template[at - 1]
        ],
        "best": draw(st.integers(2, 30)),
        "exclude": [f"{template[0]}{1 + offset}{draw(residues.filter(lambda to: to != template[0]))}"],
    }
    return template, offset, names, parse_flags({"data.source": "s", "design": design}).design


def known(template: str, names: list[str]) -> Measured:
    candidates = candidates_of("s", template, names)
    target = np.random.default_rng(len(names)).normal(size=len(names))
    seen = np.ones((len(template), 256), bool)
    return Measured(candidates, target, float("nan"), 0.0, 0, seen, 1.0, -1.0)


def inputs_of(measured: Measured, **others) -> SimpleNamespace:
    return SimpleNamespace(variants=measured.candidates.table(), excluded=None, **others)


@settings(deadline=None, max_examples=150)
@given(proteins())
def test_nothing_measured_excluded_twice_or_impossible_is_in_a_library(protein) -> None:
    template, offset, names, flags = protein
    measured = known(template, names)
    try:
        rules = rules_of(flags, "s", template, offset, np.arange(1, len(template) + 1))
    except FlagError:  # what must be there contradicts another rule, which a plate would break
        assert flags.must_have
        return
    try:
        made = make_library(
            inputs_of(measured),
            flags,
            rules,
            measured,
            offset,
            lambda each: np.arange(each.n, 0.0, -1.0),
        ).candidates
    except EmptySelection:
        return
    found = made.mutants(offset)
    assert len(set(found)) == len(found)
    assert not set(found) & {*measured.candidates.mutants(offset), *flags.exclude, "WT"}
    for mutant in found:
        parts = mutant.split(":")
        assert 1 <= len(parts) <= flags.max_mutations
        assert {*flags.must_have} <= {*parts}
        for part in parts:
            at, to = int(part[1:-1]), part[-1]
            assert template[at - offset - 1] == part[0] != to
            assert part in flags.must_have or at in flags.positions
            assert at not in flags.fixed
            assert part in flags.must_have or to in flags.allowed.get("*", AMINO_ACIDS)
            assert to not in flags.forbidden.get(str(at), "")
            assert part not in flags.must_not
            assert flags.cysteines or "C" not in (part[0], to)
            assert flags.codons is None or to in shares(flags.codons)
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


def test_degenerate_codons_are_those_of_the_table_and_cost_what_they_are_diluted() -> None:
    nnk = shares("NNK")
    assert set(nnk) == {*AMINO_ACIDS, "*"}
    assert (nnk["L"] * 32, nnk["W"] * 32, nnk["*"] * 32) == (3, 1, 1)
    assert set(shares("NDT")) == set("RNDCGHILFSYV")
    assert clones("NNK", ["W", "L"]) == pytest.approx(32 * 32 / 3)
    facts = library_facts("NNK", 2)
    assert facts["stops"] == pytest.approx(1 - (31 / 32) ** 2)
    assert facts["clones_95"] == pytest.approx(np.log(0.05) / np.log(1 - 1 / 1024), abs=1)
    flags = DesignFlags(library="singles", codons="NNK", most_clones=12.0)
    rules = rules_of(flags, "s", "MA", 0, np.array([1, 2]))
    made = libraries.singles("s", "MA", rules)
    kept = made.take(np.flatnonzero(rules.keep(made)))
    assert {chr(letter) for letter in kept.residue} == {"L", "S", "R"}  # three of 32 codons each
    with pytest.raises(FlagError, match=r"most_clones. is given and .codons. is not"):
        parse_flags({"data.source": "s", "design.library": "singles", "design.most_clones": 5})


def test_given_variants_are_taken_as_they_are_unless_a_constraint_is_set() -> None:
    measured = known("ACDEFG", ["A1D"])
    given = candidates_of("s", "ACDEFG", ["A1D", "A1K:C2D:D3E:E4F:F5G", "G6A", "G6C"])

    def left(**design) -> list[str]:
        flags = DesignFlags(library="unmeasured", **design)
        rules = rules_of(flags, "s", "ACDEFG", 0, np.arange(1, 7))
        selection = SimpleNamespace(
            rows=given.table().rows.set_column(5, "DMS_score", pa.nulls(given.n, pa.float64())),
            templates={"s": "ACDEFG"},
        )
        return make_library(
            inputs_of(measured, selection=selection),
            flags,
            rules,
            measured,
            0,
            lambda each: np.zeros(each.n),
        ).candidates.mutants()

    assert left() == ["A1K:C2D:D3E:E4F:F5G", "G6A", "G6C"]
    assert left(cysteines=False) == ["G6A"]
    assert left(must_not=("G6A",), max_mutations=5) == ["A1K:C2D:D3E:E4F:F5G", "G6C"]


def test_all_that_is_wrong_with_the_constraints_is_said_at_once_in_the_peoples_numbering() -> None:
    flags = DesignFlags(library="singles", positions=(1, 290), must_have=("C102A",), coding_sequence="ATGATG")
    with pytest.raises(FlagError) as raised:
        rules_of(flags, "protein", "ACDE", 100, np.arange(1, 5))
    text = str(raised.value)
    assert "positions 1, 290 are not in protein, which has 101 to 104" in text
    assert "2 codons" in text
    assert "C102A" not in text  # it fits: the second residue is C
    with pytest.raises(FlagError, match=r"exclude`: foo, A103C do not fit the template of protein"):
        rules_of(
            DesignFlags(library="singles", exclude=("foo", "A103C", "A101C:C102D", "WT")), "protein", "ACDE", 100,
            np.arange(1, 5),
        )  # fmt: skip
    with pytest.raises(FlagError, match=r"W102A do not fit the template of protein"):
        rules_of(
            DesignFlags(library="singles", must_have=("W102A",)), "protein", "ACDE", 100, np.arange(1, 5)
        )


def test_dna_of_another_protein_is_refused_where_it_differs() -> None:
    """A plate was proposed with DNA to order that was shifted by a base: of another protein, and not a word of it."""
    positions = np.array([1, 2, 3])

    def refused(dna: str, template: str = "MAK") -> str:
        with pytest.raises(FlagError) as raised:
            rules_of(DesignFlags(library="singles", coding_sequence=dna), "s", template, 100, positions)
        return str(raised.value)

    assert "2 of 3 codons differ, the first at position 102 (GCT is A, C is expected)" in refused(
        "AUGGCTAAA", "MCW"
    )
    assert "the first at position 101 (TGG is W, M is expected)" in refused("TGGCTAAAA")
    assert "2 codons, s has 3 residues" in refused("ATGGCT")
    for dna in ("ATGGCTAAA", "gtggctaag"):  # genes of bacteria may begin with GTG
        rules_of(DesignFlags(library="singles", coding_sequence=dna), "s", "MAK", 0, positions)
    rules_of(DesignFlags(library="singles", coding_sequence="ATGGCTTGA"), "s", "MAU", 0, positions)


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ({"must_have": ["C102A", "C102D"]}, "C102A and C102D, which change the same position"),
        ({"must_have": ["C102A"], "must_not": ["c102a"]}, "C102A, and `design.must_not` names it too"),
        ({"must_have": ["C102A"], "fixed": [102]}, "C102A, and `design.fixed` keeps 102 as it is"),
        ({"must_have": ["C102M"], "forbidden": {"*": "CM"}}, "C102M, and `design.forbidden` has M"),
        ({"must_have": ["C102M"], "allowed": {"102": "AG"}}, "C102M, and `design.allowed` has AG at 102"),
        ({"must_have": ["C102A"], "cysteines": False}, "C102A, and `design.cysteines` is false"),
        ({"must_have": ["C102W"], "codons": "NDT"}, "`design.codons` NDT does not encode W"),
        (
            {"must_have": ["C102A"], "coding_sequence": "GCTTGTGATGAA"},
            "one nucleotide of `design.coding_sequence` does not reach it",
        ),
        ({"must_have": ["C102*"]}, "C102*, and * is none of the twenty residues"),
        (
            {"must_have": ["C102A", "D103A"], "max_mutations": 1},
            "2 mutations and `design.max_mutations` is 1",
        ),
        ({"must_have": ["C102C"]}, "'C102C' changes nothing"),
        ({"must_have": ["E4del"]}, "E4del do not fit the template of s"),
    ],
)
def test_what_must_be_there_and_must_not_is_refused(design: dict, said: str) -> None:
    """Plates were proposed with two residues at one position, a stop, or what another rule forbids."""
    flags = parse_flags({"data.source": "s", "design": {"library": "singles", **design}}).design
    with pytest.raises(FlagError) as raised:
        rules_of(flags, "s", "ACDE", 100, np.arange(1, 5))
    assert said in str(raised.value)


def test_mutations_of_a_rule_are_read_in_any_notation_and_those_of_stops_are_harmless() -> None:
    flags = parse_flags(
        {"data.source": "s", "design.library": "singles"},
        [
            "design.must_not=c102a,p.Asp103Gly,D103*",
            "design.exclude=A101C/C102D,wt,E104*",
            "design.fixed=104",
        ],
    ).design
    rules = rules_of(flags, "s", "ACDE", 100, np.arange(1, 5))
    assert not {chr(letter) for letter in rules.residues_at(2)} & {"A", "C"}
    assert "G" not in {chr(letter) for letter in rules.residues_at(3)}
    assert rules.excluded.mutants(100) == ["A101C:C102D", "WT", "E104*"]
    assert list(rules.positions()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("design", "said"),
    [
        ({"library": "singles", "forbidden": {"*": AMINO_ACIDS}}, "leave no residue at any position"),
        ({"library": "recombine"}, "no measured variant has mutations"),
        ({"library": "singles", "codons": "NDT", "most_clones": 3}, "none of 46 holds the rules"),
        (
            {"library": "combinations", "positions": [1], "allowed": {"1": "C"}, "exclude": ["A1C"]},
            "of 1, 1 hold",
        ),
    ],
)
def test_an_empty_library_says_what_emptied_it(design: dict, said: str) -> None:
    measured = known("ACDE", ["WT"])
    flags = parse_flags({"data.source": "s", "design": design}).design
    rules = rules_of(flags, "s", "ACDE", 0, np.arange(1, 5))
    with pytest.raises(EmptySelection, match=said):
        make_library(inputs_of(measured), flags, rules, measured, 0, lambda each: np.zeros(each.n))


def test_several_files_are_one_library_in_which_a_variant_counts_once(tmp_path) -> None:
    (tmp_path / "one.csv").write_text("mutant\nA1C\nA1C:C2D\nA1C\nM11A:N12A\n")
    (tmp_path / "two.tsv").write_text("mutant\tDMS_score\nC2D:A1C\t1\nD3E\t2\n")
    (tmp_path / "three.fasta").write_text(">a\nACEEFGHIKLMN\n>b\nACDEFAHIKLMN\n")
    files = [tmp_path / name for name in ("one.csv", "two.tsv", "three.fasta")]
    template = "ACDEFGHIKLMN"
    assert from_files(files, "s", template, 0).mutants() == ["A1C", "A1C:C2D", "M11A:N12A", "D3E", "G6A"]
    assert from_files([files[0], files[0]], "s", template, 0).n == 3


def test_the_problems_of_all_files_are_told_at_once_each_with_its_file(tmp_path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "a" / "plate.csv").write_text("mutant\nK1C\n")
    (tmp_path / "b" / "plate.csv").write_text("mutant,note\nA1C,\nA9C,\nC2D,x,y\nA1U,\nC2del,\n")
    (tmp_path / "good.csv").write_text("mutant\nA1C\n")
    files = [
        tmp_path / "a" / "plate.csv",
        tmp_path / "gone.csv",
        tmp_path / "good.csv",
        tmp_path / "b" / "plate.csv",
    ]
    with pytest.raises(BadVariants) as refused:
        from_files(files, "s", "ACDEFG", 0)
    said = str(refused.value)
    assert f"{tmp_path / 'a' / 'plate.csv'}: plate.csv has rows" in said
    assert f"{tmp_path / 'b' / 'plate.csv'}: plate.csv has rows" in said
    # The third line had no two cells and was left out without a word; lines were counted without the header.
    assert "variant of s: line 3: 'A9C'" in said
    assert "; line 4: 3 cells, the header has 2; line 5: 'A1U' puts in U; one of" in said
    assert "; line 6: 'C2del' has an insertion" in said
    assert f"{tmp_path / 'gone.csv'} is not there" in said
    assert "good.csv" not in said
    with pytest.raises(BadVariants, match=r"^plate\.csv has rows that are no variant of s: line 2: 'K1C'"):
        from_files(files[:1], "s", "ACDEFG", 0)
    with pytest.raises(CatalogError, match="is not there"):
        from_files(files[1:2], "s", "ACDEFG", 0)
