"""The whole transform against a plain Python one, row by row, and against published sequences."""

import random
import statistics

import measurements
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from measurements import TEMPLATE, needs_data, selection_of, variants_of

from proteinx_pipelines.errors import BadVariants
from proteinx_pipelines.flags.transform import TransformFlags
from proteinx_pipelines.mutants import parse_mutant
from proteinx_pipelines.records import AMINO_ACIDS, REPLICATE_DEVIATION, VARIANT_COLUMNS
from proteinx_pipelines.stages.transform import sequences
from proteinx_pipelines.stages.transform.transform import transform_variants

TEMPLATES = {"a": TEMPLATE, "b": "MKVW"}


def applied(template: str, mutant: str) -> str:
    residues = list(template)
    for mutation in parse_mutant(mutant):
        residues[mutation.position - 1] = mutation.residue
    return "".join(residues)


def rederived(template: str, sequence: str) -> str:
    pairs = enumerate(zip(template, sequence, strict=True), start=1)
    return ":".join(f"{old}{at}{new}" for at, (old, new) in pairs if old != new) or "WT"


@st.composite
def measured_rows(draw):
    source = draw(st.sampled_from(sorted(TEMPLATES)))
    template = TEMPLATES[source]
    positions = draw(st.lists(st.integers(1, len(template)), unique=True, max_size=3))
    letters = [draw(st.sampled_from(AMINO_ACIDS[:4] + template[at - 1])) for at in positions]
    parts = [f"{template[at - 1]}{at}{new}" for at, new in zip(positions, letters, strict=True)]
    score = draw(st.none() | st.floats(-1e3, 1e3, allow_subnormal=False))
    return source, ":".join(parts) or "WT", score


@settings(max_examples=150)
@given(st.lists(measured_rows(), min_size=1, max_size=40), st.sampled_from(["mean", "median"]))
@pytest.mark.slow
def test_every_variant_is_what_a_plain_reading_gives(rows, how):
    by_sequence = {}
    for source, mutant, score in rows:
        if score is not None:
            by_sequence.setdefault((source, applied(TEMPLATES[source], mutant)), []).append((mutant, score))
    selection = selection_of(*rows, templates=TEMPLATES)
    if not by_sequence:
        with pytest.raises(BadVariants, match="Nothing is left"):
            transform_variants(selection, TransformFlags(duplicates=how))
        return
    found = transform_variants(selection, TransformFlags(duplicates=how))
    replicated = any(len(measured) > 1 for measured in by_sequence.values())
    more = (REPLICATE_DEVIATION,) if replicated else ()
    assert tuple(found.rows.column_names) == (*VARIANT_COLUMNS, *more)
    assert sum(found.column("n_merged")) + sum(found.dropped[rule] for rule in ("missing_score",)) == len(
        rows
    )
    assert found.n_variants == len(by_sequence) == len(set(found.column("id")))
    for row in found.rows.to_pylist():
        measured = by_sequence[row["source"], row["sequence"]]
        template = TEMPLATES[row["source"]]
        assert row["id"] == f"{row['source']}/{row['mutant']}"
        assert row["mutant"] in {mutant for mutant, _ in measured}
        assert row["mutant"].count(":") == min(mutant.count(":") for mutant, _ in measured)
        assert row["mut_num"] == sum(a != b for a, b in zip(template, row["sequence"], strict=True))
        assert applied(template, rederived(template, row["sequence"])) == row["sequence"]
        assert row["n_merged"] == len(measured)
        expected = getattr(statistics, how)([score for _, score in measured])
        assert row["target"] == row["DMS_score"] == pytest.approx(expected, abs=1e-9)
        if more:
            deviation = statistics.stdev([score for _, score in measured]) if len(measured) > 1 else None
            assert row[REPLICATE_DEVIATION] == (
                deviation if deviation is None else pytest.approx(deviation, abs=1e-6)
            )


@settings(max_examples=60)
@given(st.lists(measured_rows(), min_size=1, max_size=40), st.randoms(use_true_random=False))
def test_the_order_of_the_catalog_does_not_show(rows, shuffler):
    rows = [
        *rows,
        ("a", "WT", 0.1),
        ("a", "WT", 0.2),
        ("a", "WT", 0.3),
    ]  # 0.1 + 0.2 + 0.3 depends on the order
    shuffled = shuffler.sample(rows, len(rows))
    one = transform_variants(selection_of(*rows, templates=TEMPLATES), TransformFlags())
    other = transform_variants(selection_of(*shuffled, templates=TEMPLATES), TransformFlags())
    assert one.rows.equals(other.rows)
    assert one.dropped == other.dropped


def test_rows_are_ordered_by_source_count_position_and_mutant():
    rows = [("b", "M1A", 1.0), ("a", "C2D:D3A", 1.0), ("a", "D3A", 1.0), ("a", "C2D", 1.0), ("a", "C2A", 1.0)]
    found = transform_variants(selection_of(*rows, ("a", "WT", 1.0), templates=TEMPLATES), TransformFlags())
    assert found.column("id").tolist() == ["a/WT", "a/C2A", "a/C2D", "a/D3A", "a/C2D:D3A", "b/M1A"]


def test_the_wild_type_is_its_template_with_no_mutations():
    row = variants_of("WT").rows.to_pylist()[0]
    assert (row["id"], row["sequence"], row["mut_num"]) == ("toy/WT", TEMPLATE, 0)


def test_a_mutation_that_changes_nothing_is_not_counted():
    row = variants_of("D3A:K9K").rows.to_pylist()[0]
    assert (row["mutant"], row["mut_num"], row["sequence"]) == ("D3A:K9K", 1, "ACAEFGHIKL")


def test_small_chunks_give_the_same_sequences(monkeypatch):
    mutants = [f"{letter}{at}{new}" for at, letter in enumerate(TEMPLATE, 1) for new in "WY"]
    whole = variants_of(*mutants)
    monkeypatch.setattr(sequences, "CHUNK_BYTES", 3 * len(TEMPLATE))
    cut = variants_of(*mutants)
    assert cut.rows.column("sequence").num_chunks == 7
    assert cut.rows.equals(whole.rows)


def test_nothing_left_says_what_was_dropped():
    with pytest.raises(
        BadVariants, match="Nothing is left of 3 selected rows: 2 with missing_score, 1 with stop"
    ):
        variants_of(("A1C", None), ("A1D", None), ("C2*", 1.0))


def test_no_row_at_all_is_said():
    with pytest.raises(BadVariants, match="Nothing is left of 0 selected rows: none selected"):
        variants_of()


class TestRealAssays:
    pytestmark = needs_data

    @pytest.mark.parametrize("name", ["GFP_AEQVI_Sarkisyan_2016_aa", "A4_HUMAN_Seuma_2021"])
    def test_sequences_are_the_published_ones(self, name):
        file = f"assays/{name}.csv.gz"
        published = measurements.read_csv(file)
        expected = dict(
            zip(published["mutant"].to_pylist(), published["mutated_sequence"].to_pylist(), strict=True)
        )
        found = measurements.real_variants(file, name).rows
        assert dict(zip(found["mutant"].to_pylist(), found["sequence"].to_pylist(), strict=True)) == expected

    @pytest.mark.parametrize(
        "file", sorted((measurements.SHARED / "leaky_folds").glob("*.csv.gz")), ids=lambda file: file.name[:5]
    )
    def test_synonymous_mutants_of_the_leaky_folds_become_one(self, file):
        name = file.name.split(".")[0]
        selection = measurements.real_selection(f"leaky_folds/{file.name}", name)
        mutants = selection.rows["mutant"].to_pylist()
        different = {applied(selection.templates[name], mutant) for mutant in mutants}
        found = transform_variants(selection, TransformFlags())
        assert found.n_variants == len(different) < len(mutants)
        assert found.dropped["synonymous_merged"] == len(mutants) - len(different)
        kept = transform_variants(selection, TransformFlags(synonymous="keep"))
        assert kept.n_variants == len(mutants)
        assert len(set(kept.column("sequence"))) == len(different)


def test_the_silent_rows_of_a_full_scan_become_the_template_once():
    template = "".join(random.Random(0).choices(AMINO_ACIDS, k=300))
    scan = [f"{old}{at}{new}" for at, old in enumerate(template, 1) for new in AMINO_ACIDS]
    found = variants_of(*scan, templates={"toy": template})
    assert found.n_variants == 19 * len(template) + 1
    assert found.rows["n_merged"][0].as_py() == len(template) == found.dropped["synonymous_merged"] + 1
    assert found.rows["sequence"][0].as_py() == template
