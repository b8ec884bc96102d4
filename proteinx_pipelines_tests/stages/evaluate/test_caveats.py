"""Each warning appears when it should, and none appears on a sound experiment."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines.records import Embedding, Fold, Split, VariantTable
from proteinx_pipelines.stages.evaluate import scores
from proteinx_pipelines.stages.evaluate.baseline_scores import score_baselines
from proteinx_pipelines.stages.evaluate.baselines import make_baselines
from proteinx_pipelines.stages.evaluate.caveats import find_caveats
from proteinx_pipelines.stages.evaluate.predict import Predictions
from proteinx_pipelines.stages.evaluate.target_caveats import about_targets
from proteinx_pipelines.stages.evaluate.within_sources import source_facts

NAMES = ("spearman", "mse")


def caveats(variants, split, prediction, in_target_units=True):
    """`prediction` is of all rows; the test rows of each fold are judged."""
    rows = np.concatenate([fold.test for fold in split.folds])
    fold = np.concatenate([np.full(len(part.test), k, np.int32) for k, part in enumerate(split.folds)])
    test = Predictions(rows, fold, np.asarray(prediction, float)[rows])
    target = variants.column("target")
    pooled = scores.score(NAMES, target[rows], test.prediction, in_target_units=in_target_units)
    folds = scores.score_folds(NAMES, target, test, in_target_units=in_target_units)
    sources = source_facts(NAMES, variants, [test], in_target_units=in_target_units)
    table = scores.summarise(NAMES, pooled, folds, {}, None if sources is None else sources["mean"])
    one_hot = Embedding(variants.rows.column("id").combine_chunks(), {"name": "onehot"})
    baselines = [make_baselines(variants, split, test, one_hot)]
    against = score_baselines(NAMES, variants, [test], baselines, {})
    return find_caveats(
        variants, split, test, table, against, sources=sources, in_target_units=in_target_units
    )


def codes(*arguments, **options):
    return [caveat["code"] for caveat in caveats(*arguments, **options)]


@pytest.fixture
def sound(make_variants, make_split):
    variants = make_variants(150)
    target = variants.column("target")
    return variants, make_split(variants), target + np.random.default_rng(0).normal(size=150) * 0.2


def test_a_sound_experiment_has_no_warning(sound):
    assert caveats(*sound) == []


def test_sound_folds_have_no_warning(sound, make_split):
    variants, _, prediction = sound
    split = make_split(variants, folds=3)
    # The wild type is row 0 and is tested in some fold: that is the one thing to say.
    assert codes(variants, split, prediction) == ["wild_type_in_test"]


def test_few_test_rows_are_mentioned_with_their_number(make_variants, make_split):
    variants = make_variants(60)
    found = caveats(variants, make_split(variants), variants.column("target"))
    assert found[0]["code"] == "small_test"
    assert found[0]["message"].startswith("Few test rows: 20.")


def test_constant_predictions_leave_the_correlation_undefined(sound):
    variants, split, _ = sound
    assert codes(variants, split, np.zeros(150)) == ["constant_predictions", "undefined"]


def test_tied_predictions_are_mentioned(sound):
    variants, split, prediction = sound
    assert codes(variants, split, np.round(prediction)) == ["ties"]


def test_predictions_that_are_not_finite_are_counted(sound):
    variants, split, prediction = sound
    prediction = prediction.copy()
    prediction[[120, 130]] = np.nan
    found = caveats(variants, split, prediction)
    assert found[0]["message"].startswith("Test predictions that are not finite: 2 of 50.")


def test_scores_of_ranks_are_not_in_the_targets_unit(sound):
    assert codes(*sound, in_target_units=False) == ["other_units"]


def test_predictions_constant_within_folds_make_the_pooled_value_an_artefact(sound, make_split):
    """A one-hot ridge on unseen positions predicts one value per fold; pooled Spearman was quoted as negative skill."""
    variants, _, _ = sound
    split = make_split(variants, folds=3)
    found = codes(variants, split, np.arange(150) % 3)
    assert "constant_in_folds" in found


def test_pooled_and_fold_mean_that_disagree_are_both_quoted(sound, make_split):
    variants, _, prediction = sound
    shifted = prediction + 100.0 * (np.arange(150) % 3)
    found = {
        entry["code"]: entry["message"] for entry in caveats(variants, make_split(variants, folds=3), shifted)
    }
    assert "pooled_differs" in found
    assert "its mean over folds (0.9" in found["pooled_differs"]


def test_small_folds_are_mentioned(sound, make_split):
    variants, _, prediction = sound
    assert "small_folds" in codes(variants, make_split(variants, folds=6), prediction)


def test_the_wild_type_in_the_test_part_is_mentioned(sound):
    variants, split, prediction = sound
    rows = np.arange(150)
    turned = Split(split.ids, [Fold(rows[50:], rows[:0], rows[:50])], split.reasons)
    assert codes(variants, turned, prediction) == ["wild_type_in_test"]


def test_a_sequence_in_train_and_test_is_counted(sound):
    variants, split, prediction = sound
    sequences = variants.column("sequence").copy()
    sequences[[100, 101]] = sequences[[1, 2]]
    position = variants.rows.column_names.index("sequence")
    rows = variants.rows.set_column(position, "sequence", pa.array(sequences, pa.string()))
    found = caveats(VariantTable(rows, variants.templates), split, prediction)
    assert [entry["code"] for entry in found] == ["same_sequence"]
    assert "also trained on: 2." in found[0]["message"]


def test_a_model_that_a_baseline_beats_is_called_so(sound):
    variants, split, prediction = sound
    found = caveats(variants, split, -prediction)
    assert {entry["code"] for entry in found} == {"no_better"}
    assert "number of mutations" in found[0]["message"]


def test_equal_test_targets_are_mentioned(sound):
    variants, split, prediction = sound
    position = variants.rows.column_names.index("target")
    flat = variants.rows.set_column(position, "target", pa.array(np.ones(150)))
    assert "constant_targets" in codes(VariantTable(flat, variants.templates), split, prediction)


def test_a_shared_sequence_counts_once_however_often_it_is_tested(sound):
    variants, split, prediction = sound
    sequences = variants.column("sequence").copy()
    sequences[[100, 101]] = sequences[[1, 2]]
    position = variants.rows.column_names.index("sequence")
    rows = variants.rows.set_column(position, "sequence", pa.array(sequences, pa.string()))
    again = Split(split.ids, split.folds * 3, split.reasons)
    found = caveats(VariantTable(rows, variants.templates), again, prediction)
    assert "also trained on: 2." in {entry["code"]: entry["message"] for entry in found}["same_sequence"]


def targets(variants, values):
    """The variants with other targets."""
    return VariantTable(
        variants.rows.set_column(4, "target", pa.array(np.asarray(values, float))), variants.templates
    )


def test_ranks_and_classes_are_not_taken_for_measurements(sound):
    variants, split, prediction = sound
    order = np.argsort(np.argsort(variants.column("target")))
    assert "ranked_targets" in codes(targets(variants, order), split, prediction)
    assert "ranked_targets" in codes(targets(variants, order / 150), split, prediction)
    found = codes(targets(variants, variants.column("target") > 0), split, prediction)
    assert "classes_as_targets" in found
    assert "ranked_targets" not in found


def test_the_best_that_tied_targets_allow_is_said():
    """743 of 760 variants had the same target: top10_recall was 0.103 for any model, and nobody knew why."""
    values = np.zeros(760)
    values[:17] = 1 + np.arange(17)
    of_spearman, found = about_targets(values, values, ("spearman", "top10_recall"))
    assert of_spearman["code"] == "tied_spearman"
    assert "above 0.256" in of_spearman["message"]
    assert found["code"] == "tied_targets"
    assert "top10_recall 0.100" in found["message"]
    assert list(about_targets(values, np.random.default_rng(0).normal(size=200), ("top10_recall",))) == []


def test_what_the_file_of_a_split_left_out_is_said_with_its_numbers(sound):
    variants, split, prediction = sound
    facts = {
        "file": "folds.csv", "variants": 4807, "variants_not_in_file": 3, "matched_by": "mutant",
        "numbering": {"toy": "the source's own"}, "unmatched_because": "new rows", "marks_not_used": "validation",
    }  # fmt: skip
    found = caveats(variants, replace(split, info={**split.info, **facts}), prediction)
    assert [entry["code"] for entry in found] == ["not_in_file", "marks_not_used"]
    assert found[0]["message"] == (
        '3 of 4,807 variants are not in folds.csv and in no part (accepted: "new rows"). The file was read by `mutant` '
        "in the source's own numbering."
    )


def test_no_warning_sends_to_an_interval_of_three_rows(make_variants, make_split):
    """Three test rows: "look at the interval", which was [-1, -1]."""
    variants = make_variants(9)
    found = caveats(variants, make_split(variants), variants.column("target"))
    assert found[0]["code"] == "tiny_test"
    assert "small_test" not in [entry["code"] for entry in found]


def test_an_outlier_is_named(sound):
    """One value of 1e6 decided Pearson's correlation, and nothing said so."""
    variants, split, prediction = sound
    values = variants.column("target").copy()
    values[120] = 1e6
    position = variants.rows.column_names.index("target")
    far = VariantTable(variants.rows.set_column(position, "target", pa.array(values)), variants.templates)
    found = {entry["code"]: entry["message"] for entry in caveats(far, split, prediction)}
    assert f"{variants.column('mutant')[120]} (1e+06)" in found["outliers"]
    assert "train.target=rank" in found["outliers"]
    assert "outliers" not in codes(variants, split, prediction)
