"""Classes, calibration, passes, leaked rows, size curve and maps, against scikit-learn and by hand."""

import base64

import numpy as np
import pyarrow as pa
import pytest

from proteinx_pipelines import metrics
from proteinx_pipelines.errors import LeakageFound
from proteinx_pipelines.flags.evaluate import EvaluateFlags
from proteinx_pipelines.flags.split import AllowedLeak
from proteinx_pipelines.pages.figures.mutation_map import RESIDUES
from proteinx_pipelines.records import Fold, Split, VariantTable
from proteinx_pipelines.stages.evaluate.calibration import about_calibration, calibration_facts
from proteinx_pipelines.stages.evaluate.classes import auc, class_facts, mcc
from proteinx_pipelines.stages.evaluate.intervals import Drawn
from proteinx_pipelines.stages.evaluate.leaked import leakage_facts
from proteinx_pipelines.stages.evaluate.maps import map_figure, mutated_sites
from proteinx_pipelines.stages.evaluate.predict import Predictions

DRAWN = Drawn("variants", "for a test", np.arange(4000))
sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="scikit-learn is the reference of metrics")


def predictions(values, fold=0, deviation=None):
    n = len(values)
    return Predictions(np.arange(n), np.full(n, fold, np.int32), np.asarray(values, float), deviation)


@pytest.mark.parametrize("decimals", [6, 1])
def test_auc_mcc_and_r2_are_scikit_learns(decimals):
    random = np.random.default_rng(3)
    score = random.normal(size=80)
    target = score + random.normal(size=80)
    positive = target > np.quantile(target, 0.7)
    prediction = np.round(score, decimals)
    assert auc(positive, prediction) == pytest.approx(sklearn_metrics.roc_auc_score(positive, prediction))
    called = prediction >= np.sort(prediction)[-positive.sum()]
    # As many as are positive, and all that tie with the last of them.
    assert called.sum() == positive.sum() if decimals == 6 else called.sum() > positive.sum()
    assert mcc(positive, prediction) == pytest.approx(sklearn_metrics.matthews_corrcoef(positive, called))
    assert metrics.compute("r2", target, prediction) == pytest.approx(
        sklearn_metrics.r2_score(target, prediction)
    )
    assert np.isnan(metrics.compute("r2", np.ones(5), np.arange(5.0)))


def test_the_binned_score_is_used_where_the_variants_carry_it(make_variants):
    variants = make_variants(20)
    bins = pa.array(["1" if row % 4 == 0 else "0" for row in range(19)] + [None])
    binned = VariantTable(variants.rows.append_column("score_bin", bins), variants.templates)
    prediction = predictions(np.where(np.arange(20) % 4 == 0, 1.0, 0.0))
    found = class_facts(binned, prediction)
    assert (found["n"], found["positive"], found["auc"], found["mcc"]) == (19, 5, 1.0, pytest.approx(1.0))
    assert found["cutoff"] == "DMS_score_bin is 1"
    assert class_facts(variants, prediction)["cutoff"].startswith("target above the median of all variants")
    assert class_facts(variants, predictions([np.nan] * 20)) is None


def test_true_deviations_are_calibrated_and_halved_ones_are_not():
    random = np.random.default_rng(0)
    deviation = random.uniform(0.5, 2, 4000)
    target = random.normal(size=4000) * deviation
    right, halved = (
        calibration_facts(
            target, predictions(np.zeros(4000), deviation=deviation / by), EvaluateFlags(), DRAWN
        )
        for by in (1, 2)
    )
    assert all(entry["inside"] == pytest.approx(entry["level"], abs=0.03) for entry in right["coverage"])
    assert {entry["level"]: entry["inside"] for entry in halved["coverage"]}[0.95] < 0.75
    assert right["error_correlation"] > 0.2
    assert right["log_likelihood"] > halved["log_likelihood"]
    assert calibration_facts(target, predictions(np.zeros(4000)), EvaluateFlags(), DRAWN) is None
    assert list(about_calibration(right)) == []
    (warning,) = about_calibration(halved)
    assert warning["code"] == "intervals_too_narrow"


def test_coverage_is_judged_by_what_its_own_interval_allows():
    """Coverage of 67 % went without a warning; 88 % of ten positions is within what chance gives."""
    groups = np.repeat(np.arange(20), 20)
    is_out = np.zeros(400, bool)
    is_out[:48] = True  # all at two or three positions
    found = predictions(np.zeros(400), deviation=np.ones(400))
    target = np.where(is_out, 3.0, 0.1)
    by_position = calibration_facts(target, found, EvaluateFlags(), Drawn("positions", "", groups))
    by_variant = calibration_facts(target, found, EvaluateFlags(), Drawn("variants", "", groups))
    assert list(about_calibration(by_position)) == []
    assert [entry["code"] for entry in about_calibration(by_variant)] == ["intervals_too_narrow"]
    poor = calibration_facts(np.where(np.arange(400) % 4, 0.1, 3.0), found, EvaluateFlags(bootstrap=0), DRAWN)
    assert [entry["code"] for entry in about_calibration(poor)] == ["intervals_too_narrow"]
    wide = calibration_facts(np.full(400, 0.1), found, EvaluateFlags(), Drawn("variants", "", groups))
    assert [entry["code"] for entry in about_calibration(wide)] == ["intervals_too_wide"]


def test_leaked_rows_are_scored_apart(make_variants, make_split):
    variants = make_variants(30)
    split = make_split(variants)
    ids = variants.column("id")[[20, 21, 22]].tolist()
    entry = {
        "check": "same_sequence",
        "sequences": 3,
        "test_rows": 3,
        "text": "...",
        "reason": "why",
        "ids": ids,
    }
    leaky = Split(split.ids, split.folds, split.reasons, {"leakage": [entry]})
    test = Predictions(np.arange(20, 30), np.zeros(10, np.int32), variants.column("target")[20:30].copy())
    test.prediction[3:] += 1.0
    facts = leakage_facts(("mse",), variants, leaky, test, in_target_units=True)
    assert [(row["rows"], row["n"], row["mse"]) for row in facts["scores"]] == [
        ("all", 10, pytest.approx(0.7)), ("leaked", 3, 0.0), ("clean", 7, pytest.approx(1.0)),
    ]  # fmt: skip
    assert facts["findings"][0] == {name: entry[name] for name in entry if name != "ids"}
    assert leakage_facts(("mse",), variants, split, test, in_target_units=True)["scores"] == []


def test_an_accepted_leak_is_a_warning_with_its_reason(make_experiment, page):
    experiment = make_experiment(60)
    fold = experiment.split.folds[0]
    entry = {"check": "synonymous_mutants", "sequences": 2, "test_rows": 2, "text": "t", "reason": "to compare",
             "ids": experiment.split.ids.take(pa.array(fold.test[:2])).to_pylist()}  # fmt: skip
    info = {"method": "file", "leakage": [entry], "near_identical": len(fold.test)}
    split = Split(experiment.split.ids, experiment.split.folds, experiment.split.reasons, info)
    found = experiment.but(split=split).evaluate()
    codes = {warning["code"]: warning["message"] for warning in found.report["warnings"]}
    assert 'is switched off: "to compare"' in codes["leak_allowed"]
    assert "(100%) differ in one residue" in codes["near_identical"]
    assert [row["rows"] for row in found.report["leakage"]["scores"]] == ["all", "leaked", "clean"]
    text = page(found)
    assert "to compare" in text
    assert "Score without leaked rows" in text


def test_repeats_are_averaged_and_every_row_counts_once(make_experiment, page):
    experiment = make_experiment(60, folds=3)
    passes = [*experiment.split.folds, *experiment.split.folds]
    split = Split(experiment.split.ids, passes, experiment.split.reasons,
                  {"method": "random", "passes": 2, "pass_kind": "repeat"})  # fmt: skip
    once, twice = experiment.evaluate(), experiment.but(split=split).evaluate()
    assert twice.report["passes"]["n"] == 2
    assert twice.summary["test/spearman"] == pytest.approx(once.summary["test/spearman"])
    assert twice.report["passes"]["sd"]["spearman"] == pytest.approx(0, abs=1e-12)
    values = [found.report["metrics"]["test"]["values"]["spearman"] for found in (once, twice)]
    assert values[1]["low"] == pytest.approx(values[0]["low"])
    assert twice.report["metrics"]["test"]["n"] == once.report["metrics"]["test"]["n"] == 60
    assert "Pass by pass" in page(twice)


@pytest.mark.slow
def test_the_size_curve_ends_below_the_whole_and_trains_on_the_rows_it_says(make_experiment):
    experiment = make_experiment(150, **{"evaluate.train_fractions": [0.05, 0.5], "evaluate.plots": True})
    found = experiment.evaluate()
    curve = found.report["size_curve"]
    assert [(entry["fraction"], entry["draw"]) for entry in curve] == [
        (f, d) for d in range(3) for f in (0.05, 0.5)
    ]
    assert {entry["n_train"] for entry in curve} == {5.0, 50.0}
    mean = {f: np.mean([entry["spearman"] for entry in curve if entry["fraction"] == f]) for f in (0.05, 0.5)}
    assert mean[0.05] < mean[0.5] < found.summary["test/spearman"] + 0.1
    assert "plots/size_curve.svg" in found.files


@pytest.mark.slow
def test_a_model_with_uncertainty_is_calibrated_in_the_report(make_experiment, monkeypatch):
    from proteinx_pipelines.stages.train.export import FittedModel

    monkeypatch.setattr(
        FittedModel, "predict_deviation", lambda self, embedding, rows: np.full(len(rows), 0.5)
    )
    experiment = make_experiment(60, folds=3, **{"evaluate.plots": True})
    found = experiment.evaluate()
    assert found.report["calibration"]["n"] == 60
    assert "plots/calibration.svg" in found.files
    assert found.predictions.column_names[-1] == "deviation"
    assert found.predictions["deviation"].to_pylist() == [0.5] * 60


def test_cells_of_the_map_are_those_of_the_mutants(make_variants):
    variants = make_variants(60)
    rows = np.arange(40, 60)
    test = Predictions(rows, np.zeros(20, np.int32), np.arange(20.0))
    drawn = map_figure(variants, mutated_sites(variants), test, None, in_target_units=True)
    labels = drawn.payload["labels"]
    measured, predicted = (
        np.frombuffer(base64.b64decode(panel["values"]["f32"]), "<f4").reshape(20, len(labels))
        for panel in drawn.payload["panels"][:2]
    )
    for row, mutant in enumerate(variants.column("mutant")):
        if row < 40 or mutant == "WT":
            continue
        for part in mutant.split(":"):
            column, at = labels.index(part[:-1]), RESIDUES.index(part[-1])
            own = [k for k in range(60) if part in variants.column("mutant")[k].split(":")]
            assert measured[at, column] == pytest.approx(variants.column("target")[own].mean())
            assert predicted[at, column] == pytest.approx(np.mean([k - 40.0 for k in own if k >= 40]))
    assert np.isnan(measured).any()


def test_a_scaling_fitted_with_test_rows_is_refused_unless_allowed(make_experiment):
    experiment = make_experiment(60, **{"train.target": "standardize"})
    fold = experiment.split.folds[0]
    leaky = Fold(np.arange(60), fold.val, fold.test[:0])
    everything = Split(experiment.split.ids, [leaky], experiment.split.reasons, {})
    training = experiment.but(split=everything).train()
    with pytest.raises(
        LeakageFound, match="fitted_on_test: the targets of fold 0's model were scaled with mean"
    ):
        experiment.evaluate(training=training)
    allowed = AllowedLeak(check="fitted_on_test", reason="to see what it is worth")
    chosen = experiment.flags.split.model_copy(update={"allow_leakage": (allowed,)})
    flags = experiment.flags.model_copy(update={"split": chosen})
    assert np.isfinite(experiment.but(flags=flags).evaluate(training=training).summary["test/spearman"])
    assert np.isfinite(experiment.evaluate().summary["test/spearman"])
