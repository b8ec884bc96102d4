"""Baselines: what they predict, row by row, and BLOSUM62 itself."""

import gzip
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pytest

from proteinx_pipelines import metrics
from proteinx_pipelines.blosum62 import blosum62
from proteinx_pipelines.records import AMINO_ACIDS, Embedding, Fold, Split, VariantTable
from proteinx_pipelines.stages.evaluate.additive import additive_predictions
from proteinx_pipelines.stages.evaluate.baselines import make_baselines, template_similarity
from proteinx_pipelines.stages.evaluate.predict import Predictions

DATA = Path(__file__).parents[3] / "../shared/data/assays"


def one_hot(variants):
    """An embedding that says nothing of a score."""
    return Embedding(variants.rows.column("id").combine_chunks(), {"name": "onehot"})


RESIDUES = {residue: row for row, residue in enumerate(AMINO_ACIDS)}


def test_blosum62_is_symmetric_and_has_the_known_scores():
    scores = blosum62()
    assert (scores == scores.T).all()
    known = {
        "WW": 11,
        "CC": 9,
        "IV": 3,
        "WG": -2,
        "DE": 2,
        "LI": 2,
        "PW": -4,
        "AS": 1,
        "HY": 2,
        "KR": 2,
        "MK": -1,
    }
    for pair, score in known.items():
        assert scores[RESIDUES[pair[0]], RESIDUES[pair[1]]] == score, pair


def test_blosum62_has_the_known_diagonal():
    diagonal = {"A": 4, "R": 5, "N": 6, "D": 6, "C": 9, "Q": 5, "E": 5, "G": 6, "H": 8, "I": 4}
    diagonal |= {"L": 4, "K": 5, "M": 5, "F": 6, "P": 7, "S": 4, "T": 5, "W": 11, "Y": 7, "V": 4}
    found = np.diagonal(blosum62())
    assert diagonal == dict(zip(AMINO_ACIDS, found, strict=True))


def test_similarity_is_the_sum_of_score_changes(make_variants):
    variants = make_variants(40)
    scores, template = blosum62(), variants.templates["toy"]
    expected = [
        sum(
            scores[RESIDUES[old], RESIDUES[new]] - scores[RESIDUES[old], RESIDUES[old]]
            for old, new in zip(template, sequence, strict=True)
        )
        for sequence in variants.column("sequence")
    ]
    rows = np.arange(39, -1, -1)
    np.testing.assert_array_equal(template_similarity(variants, rows), np.array(expected)[rows])


def test_each_source_is_compared_with_its_own_template():
    rows = pa.table({"source": ["a", "b", "a"], "sequence": ["AC", "WWW", "AA"]})
    found = template_similarity(VariantTable(rows, {"a": "AC", "b": "WWG"}), np.arange(3))
    assert found.tolist() == [0, -2 - 6, 0 - 9]


def test_a_shorter_sequence_and_unknown_letters_do_not_break_it():
    rows = pa.table({"source": ["a", "a"], "sequence": ["A", "XC"]})
    assert template_similarity(VariantTable(rows, {"a": "AC"}), np.arange(2)).tolist() == [0, -4]


def test_the_training_mean_is_of_the_folds_own_training_rows(make_variants, make_split):
    variants = make_variants(30)
    split = make_split(variants, folds=3)
    rows = np.arange(30)
    baselines = make_baselines(
        variants, split, Predictions(rows, (rows % 3).astype(np.int32), np.zeros(30)), one_hot(variants)
    )
    target = variants.column("target")
    expected = [target[rows % 3 != row % 3].mean() for row in rows]
    assert baselines[0].name == "training_mean"
    np.testing.assert_allclose(baselines[0].prediction, expected)


def test_fewer_mutations_rank_higher(make_variants, make_split):
    variants = make_variants(30)
    rows = np.arange(20, 30)
    test = Predictions(rows, np.zeros(10, np.int32), np.zeros(10))
    count = make_baselines(variants, make_split(variants), test, one_hot(variants))[1]
    assert not count.in_target_units
    np.testing.assert_array_equal(count.prediction, -variants.column("mut_num")[rows])


def test_the_additive_baseline_is_scikit_learns_ridge_on_one_hot(make_variants, make_split):
    from sklearn.linear_model import Ridge

    variants = make_variants(60)
    split = make_split(variants, folds=3)
    rows = np.arange(60)
    dense = np.array([[letter == other for letter in text for other in AMINO_ACIDS]
                      for text in variants.column("sequence")], float)  # fmt: skip
    target, found = variants.column("target"), np.full(60, np.nan)
    for fold in split.folds:
        found[fold.test] = (
            Ridge(alpha=1.0).fit(dense[fold.train], target[fold.train]).predict(dense[fold.test])
        )
    test = Predictions(rows, (rows % 3).astype(np.int32), np.zeros(60))
    np.testing.assert_allclose(additive_predictions(variants, split, test), found, rtol=1e-9)


def test_effects_of_two_proteins_are_not_mixed(make_variants):
    """The same mutations have opposite effects in the second protein; a third has no training row."""
    one = make_variants(60, noise=0.0)
    other = one.rows.set_column(one.rows.column_names.index("source"), "source", pa.array(["b"] * 60))
    other = other.set_column(other.column_names.index("target"), "target", pa.array(-one.column("target")))
    third = other.set_column(other.column_names.index("source"), "source", pa.array(["c"] * 60)).slice(0, 5)
    template = one.templates["toy"]
    both = VariantTable(
        pa.concat_tables([one.rows, other, third]), {"toy": template, "b": template, "c": template}
    )
    rows = np.arange(125)
    fold = Fold(rows[(rows < 120) & (rows % 3 != 0)], rows[:0], rows[(rows >= 120) | (rows % 3 == 0)])
    split = Split(both.rows.column("id").combine_chunks(), [fold], pa.array([""] * 125))
    test = Predictions(fold.test, np.zeros(len(fold.test), np.int32), np.zeros(len(fold.test)))
    found = additive_predictions(both, split, test)
    np.testing.assert_allclose(found[:20], -found[20:40], atol=1e-9)
    assert metrics.compute("spearman", both.column("target")[fold.test[:20]], found[:20]) > 0.9
    np.testing.assert_allclose(found[40:], both.column("target")[fold.train].mean())


@pytest.mark.parametrize(("also", "column"), [(None, 2), ("scales", 2)])
def test_a_language_models_own_score_is_a_baseline(make_variants, make_split, also, column):
    variants = make_variants(30)
    vectors = np.random.default_rng(0).normal(size=(30, 5 if also else 3)).astype(np.float32)
    info = {"name": "esm2_t6_8M_UR50D", "width": vectors.shape[1], "zero_shot": "masked_marginals"}
    if also:
        parts = [{"name": "esm2_t6_8M_UR50D", "width": 3}, {"name": also, "width": 2}]
        info = {**info, "name": f"esm2_t6_8M_UR50D+{also}", "parts": parts}
    rows = np.arange(20, 30)
    test = Predictions(rows, np.zeros(10, np.int32), np.zeros(10))
    embedding = Embedding(variants.rows.column("id").combine_chunks(), info, vectors)
    found = make_baselines(variants, make_split(variants), test, embedding)[-1]
    assert (found.name, found.title) == ("zero_shot", "Zero-shot masked marginals of esm2_t6_8M_UR50D")
    np.testing.assert_array_equal(found.prediction, vectors[rows, column].astype(float))
    assert not found.in_target_units


@pytest.mark.data
def test_gb1_baselines_are_near_those_published_for_flip():
    """FLIP's test parts: Levenshtein 0.173 and 0.162, BLOSUM62 0.150 and 0.136 (xGPR's table)."""
    if not (DATA / "GB1_FLIP_splits.csv.gz").is_file():
        pytest.skip("FLIP's GB1 split file is not in ../shared/data")
    with gzip.open(DATA / "GB1_FLIP_splits.csv.gz") as stream:
        table = pyarrow.csv.read_csv(stream)
    template = json.loads((DATA / "SPG1_STRSG_Wu_2016.json").read_text())["template"]
    sites = np.array([264, 265, 266, 279])
    letters = np.array([list(four) for four in table.column("Variants").to_pylist()])
    full = np.tile(np.array(list(template)), (len(letters), 1))
    full[:, sites] = letters
    rows = pa.table({"source": ["g"] * len(letters), "sequence": ["".join(row) for row in full]})
    similarity = template_similarity(VariantTable(rows, {"g": template}), np.arange(len(letters)))
    fewer = -(letters != np.array(list(template))[sites]).sum(axis=1).astype(float)
    fitness = table.column("Fitness").to_numpy()
    for split, published in {"one_vs_rest": (0.173, 0.150), "two_vs_rest": (0.162, 0.136)}.items():
        test = table.column(split).to_numpy(zero_copy_only=False) == "test"
        assert metrics.compute("spearman", fitness[test], fewer[test]) == pytest.approx(
            published[0], abs=0.01
        )
        assert metrics.compute("spearman", fitness[test], similarity[test]) == pytest.approx(
            published[1], abs=0.01
        )
