"""Class probabilities: scikit-learn's measures, reliability, and what the report says of them."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from sklearn import metrics as oracle

from proteinx_pipelines.stages.evaluate.probabilities import (
    about_probabilities,
    measures,
    reliability,
    spiegelhalter,
)


@pytest.mark.parametrize("ties", [False, True])
def test_the_measures_are_those_of_scikit_learn(ties):
    random = np.random.default_rng(3)
    probability = random.random(80)
    probability = np.round(probability, 1) if ties else probability
    positive = random.random(80) < np.clip(probability, 0.05, 0.95)
    counts = np.stack([np.ones(80), *random.integers(0, 4, (3, 80))], axis=1).astype(float)
    found = measures(positive, probability, counts)
    for column in range(4):
        rows = np.repeat(np.arange(80), counts[:, column].astype(int))
        y, p = positive[rows], probability[rows]
        expected = {
            "auc": oracle.roc_auc_score(y, p),
            "average_precision": oracle.average_precision_score(y, p),
            "accuracy": oracle.accuracy_score(y, p >= 0.5),
            "mcc": oracle.matthews_corrcoef(y, p >= 0.5),
            "brier": oracle.brier_score_loss(y, p),
            "log_loss": oracle.log_loss(y, np.clip(p, 1e-12, 1 - 1e-12)),
        }
        for name, value in expected.items():
            assert found[name][column] == pytest.approx(value, rel=1e-6), name


def test_a_resample_of_one_class_has_no_value():
    found = measures(np.array([True, False]), np.array([0.9, 0.2]), np.array([[1.0, 2.0], [1.0, 0.0]]))
    assert found["auc"][0] == 1.0
    assert all(np.isnan(values[1]) for values in found.values())


def test_groups_of_the_reliability_hold_all_rows_and_keep_ties_together():
    random = np.random.default_rng(0)
    probability = np.where(random.random(200) < 0.5, 0.3, random.random(200))
    positive = random.random(200) < probability
    groups = reliability(positive, probability)
    assert sum(group["n"] for group in groups) == 200
    assert sum(group["n"] * group["observed"] for group in groups) == pytest.approx(positive.sum())
    assert np.all(np.diff([group["predicted"] for group in groups]) > 0)
    assert max(group["n"] for group in groups) >= (probability == 0.3).sum()
    assert all(group["low"] <= group["observed"] <= group["high"] for group in groups)


def test_right_probabilities_are_believed_and_too_sure_ones_are_not():
    random = np.random.default_rng(1)
    probability = random.uniform(0.1, 0.9, 2000)
    positive = random.random(2000) < probability
    assert spiegelhalter(positive, probability) > 0.01
    odds = np.log(probability / (1 - probability))
    assert spiegelhalter(positive, 1 / (1 + np.exp(-2 * odds))) < 1e-6
    assert spiegelhalter(positive, np.full(2000, 0.5)) is None


def with_classes(experiment, cuts):
    """The experiment, its targets cut into classes as the transform stage does."""
    target = np.searchsorted(cuts, experiment.variants.column("target"), side="right").astype(float)
    at = experiment.variants.rows.column_names.index("target")
    rows = experiment.variants.rows.set_column(at, "target", pa.array(target))
    return experiment.but(variants=replace(experiment.variants, rows=rows))


def test_a_report_of_two_classes(make_experiment, page):
    flags = {
        "transform.bins": [0.0],
        "evaluate.plots": True,
        "evaluate.bootstrap": 100,
        "evaluate.train_fractions": [0.05],
    }
    experiment = with_classes(make_experiment(150, folds=3, **flags), [0.0])
    found = experiment.evaluate()
    table = found.predictions.to_pandas()
    y, p = table.target > 0, table.p_at_least_1
    assert found.summary["test/auc"] == pytest.approx(oracle.roc_auc_score(y, p))
    assert found.summary["test/brier"] == pytest.approx(oracle.brier_score_loss(y, p))
    report = found.report
    (entry,) = report["probabilities"]["thresholds"]
    assert entry["auc"]["low"] < entry["auc"]["value"] < entry["auc"]["high"]
    assert report["probabilities"]["counts"] == [int((~y).sum()), int(y.sum())]
    assert report["classes"]["auc"] == entry["auc"]["value"]
    assert report["classes"]["cutoff"] == "a target of at least 0"
    assert report["calibration"] is None
    assert len(report["size_curve"]) == 3  # too few training rows for probabilities, which it does not need
    assert "plots/reliability.svg" in report["plots"]
    assert "classes_as_targets" not in {each["code"] for each in report["warnings"]}
    assert "cut at 0; probabilities are a proportional-odds function of the predictions" in report["methods"]
    text = page(found)
    assert "Reliability at 0" in text
    assert "test AUC" in text
    assert "average precision" in text


def test_several_thresholds_and_training_rows_without_a_probability(make_experiment, page):
    flags = {"transform.bins": [-1.0, 1.0], "evaluate.metrics": ["spearman"]}
    experiment = with_classes(make_experiment(150, val=20, **flags), [-1.0, 1.0])
    found = experiment.evaluate()
    table = found.predictions.to_pandas()
    known = table.part != "train"
    assert table.p_at_least_1[known].notna().all()
    assert table.p_at_least_1[~known].isna().all()
    assert (table.p_at_least_1[known] >= table.p_at_least_2[known]).all()
    assert {"test/auc_at_least_1", "test/auc_at_least_2", "test/spearman"} <= set(found.summary)
    assert found.report["classes"] is None
    assert "test AUC at -1" in page(found)


def test_scores_have_no_probabilities(make_experiment):
    found = make_experiment(60).evaluate()
    assert found.report["probabilities"] is None
    assert not [name for name in found.predictions.column_names if name.startswith("p_at_least")]
    assert "test/auc" not in found.summary


@pytest.mark.parametrize(
    ("brier", "p", "codes"),
    [
        (0.1, 0.5, []),
        (0.1, None, []),
        (0.3, 0.5, ["probabilities_say_nothing"]),
        (0.1, 1e-5, ["probabilities_off"]),
    ],
)
def test_probabilities_that_cannot_be_relied_on_are_warned_of(brier, p, codes):
    entry = {
        "threshold": 0.5, "brier": {"value": brier}, "base_brier": 0.25, "calibration_p": p, "mean_probability": 0.4,
        "positive": 50,
    }  # fmt: skip
    found = {"n": 100, "counts": [50, 50], "thresholds": [entry]}
    assert [each["code"] for each in about_probabilities(found)] == codes
    assert not list(about_probabilities(None))
