"""Repeats and inner folds: what is averaged, what is counted, and what the report says of it."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from proteinx_pipelines.records import Fold, Split
from proteinx_pipelines.stages.split.assign import assign_split


def in_passes(split, folds, kind):
    """The split with these lists of folds, one for each pass."""
    info = {"method": "random", "passes": len(folds), "pass_kind": kind}
    return Split(split.ids, [fold for own in folds for fold in own], split.reasons, info)


def folds_of(rows, n, seed):
    """Folds of `rows` in an order of their own; all that a fold does not test is trained on."""
    place = np.random.default_rng(seed).permutation(len(rows)) % n
    return [Fold(rows[place != k], rows[:0], rows[place == k]) for k in range(n)]


def nested(split, n):
    """A single split whose training rows are validated on in n passes."""
    (fold,) = split.folds
    place = np.arange(len(fold.train)) % n
    inner = [[Fold(fold.train[place != k], fold.train[place == k], fold.test)] for k in range(n)]
    return in_passes(split, inner, "inner fold")


def test_a_single_split_with_inner_folds_is_judged(make_experiment, page):
    """All models were trained, then it failed: a mean over folds was asked of baselines that have one fold."""
    experiment = make_experiment(90)
    found = experiment.but(split=nested(experiment.split, 3)).evaluate()
    rows = found.predictions.to_pandas()
    rows = rows[rows.part == "test"]
    each = [stats.spearmanr(own.target, own.prediction).statistic for _, own in rows.groupby("fold")]
    assert len(each) == 3
    assert found.summary["test/spearman"] == pytest.approx(np.mean(each))
    assert "test/spearman_fold_mean" not in found.summary
    test = found.report["metrics"]["test"]
    assert test["n"] == 30
    assert test["values"]["spearman"]["low"] < test["values"]["spearman"]["value"]
    codes = {entry["code"] for entry in found.report["warnings"]}
    assert codes.isdisjoint({"small_folds", "constant_in_folds", "pooled_differs"})
    text = page(found)
    assert "averaged over 3 passes (inner folds)" in text
    assert "Pass by pass" in text
    assert "Fold by fold" not in text


def test_a_mean_of_passes_that_test_other_rows_has_no_interval(make_experiment, page):
    """It had that of the first pass, beside which the mean of five passes may lie."""
    experiment = make_experiment(90, noise=1.0)
    rows = np.arange(90)
    split = in_passes(experiment.split, [folds_of(rows, 3, 0), folds_of(rows[5:], 3, 1)], "repeat")
    found = experiment.but(split=split).evaluate()
    assert found.report["passes"]["same_rows"] is False
    assert found.report["passes"]["n_test"] == [90, 85]
    assert "low" not in found.report["metrics"]["test"]["values"]["spearman"]
    assert "low" not in found.report["baselines"][-1]["metrics"]["spearman"]
    text = page(found)
    assert "There are no intervals: the passes test different variants." in text
    assert "Metrics are over 85 to 90 test variants a pass, not the same ones in all," in text


@pytest.mark.slow
def test_a_point_of_the_size_curve_with_all_rows_is_the_whole(make_experiment):
    """Its points were pooled over passes, the whole was averaged over them: a kink that was no effect."""
    flags = {"evaluate.train_fractions": [0.999], "evaluate.metrics": ["spearman", "ndcg", "top10_recall"]}
    experiment = make_experiment(60, noise=1.0, **flags)
    rows = np.arange(60)
    split = in_passes(experiment.split, [folds_of(rows, 3, seed) for seed in range(2)], "repeat")
    found = experiment.but(split=split).evaluate()
    for entry in found.report["size_curve"]:
        assert entry["n_train"] == 40
        for name in flags["evaluate.metrics"]:
            assert entry[name] == pytest.approx(found.summary[f"test/{name}"])


@pytest.mark.slow
@pytest.mark.parametrize(("names", "drawn"), [(["mse", "spearman"], True), (["mse"], False)])
def test_the_size_curve_shows_a_metric_that_is_defined(make_experiment, names, drawn):
    """With errors first and ranked targets there was no point to draw, and the report failed."""
    flags = {"evaluate.metrics": names, "train.target": "rank", "evaluate.train_fractions": [0.3]}
    found = make_experiment(60, **{**flags, "evaluate.plots": True}).evaluate()
    assert ("plots/size_curve.svg" in found.files) is drawn


@pytest.mark.slow
def test_the_kernel_of_the_report_is_the_one_that_was_fitted(make_experiment):
    """One-hot beside scales is vectors, and the process takes rbf; the methods paragraph said mutation."""
    experiment = make_experiment(60, **{"model.name": "gp", "embedding.also": ["scales"]})
    info = {"name": "onehot+scales"}
    vectors = replace(experiment.embedding, info=info, vectors=experiment.embedding.dense(), tokens=None)
    assert "(rbf kernel, parameters of" in experiment.but(embedding=vectors).evaluate().report["methods"]
    assert "(mutation kernel, parameters of" in experiment.evaluate().report["methods"]


def test_baselines_are_averaged_over_passes_as_the_model_is(make_experiment):
    """They were scored on the first pass alone, beside a model that is a mean over five."""
    experiment = make_experiment(90, noise=1.0)
    rows = np.arange(90)
    split = in_passes(
        experiment.split, [folds_of(rows[: 90 - 9 * seed], 3, seed) for seed in range(3)], "repeat"
    )
    found = experiment.but(split=split).evaluate()
    target = experiment.variants.column("target")
    distance = -experiment.variants.column("mut_num")
    each = [
        stats.spearmanr(target[: 90 - 9 * seed], distance[: 90 - 9 * seed]).statistic for seed in range(3)
    ]
    values = {entry["name"]: entry["metrics"]["spearman"] for entry in found.report["baselines"]}
    assert values["mutation_count"]["value"] == pytest.approx(np.mean(each))
    assert values["mutation_count"]["value"] != pytest.approx(each[0])
    whole = experiment.but(
        split=in_passes(experiment.split, [folds_of(rows, 3, seed) for seed in range(2)], "repeat")
    )
    intervals = whole.evaluate().report["baselines"][-1]["metrics"]["spearman"]
    assert intervals["low"] < intervals["value"] < intervals["high"]


def test_each_row_counts_as_often_as_the_others_when_sets_overlap(make_experiment, page):
    """Pooled over all tests, a row in three of the sets would count three times as much as a row in one."""
    experiment = make_experiment(
        31, noise=1.0, **{"split.method": "leave_p_out", "split.p": 10, "split.sets": 7}
    )
    split = assign_split(experiment.variants, experiment.flags.split)
    found = experiment.but(split=split).evaluate()
    assert split.info["times_tested"] == 2
    rows = found.predictions.to_pandas()
    rows = rows[rows.part == "test"]
    assert len(rows) == 70
    assert set(rows.groupby("id").size()) == {2, 3}
    rows["turn"] = rows.groupby("id").cumcount()
    each = [stats.spearmanr(own.target, own.prediction).statistic for _, own in rows.groupby("turn")]
    assert found.summary["test/spearman"] == pytest.approx(np.mean(each[:2]))
    report = found.report
    assert report["metrics"]["test"]["n"] == 30
    assert len(report["metrics"]["test"]["folds"]) == 7
    assert (report["passes"]["kind"], report["passes"]["n"], report["passes"]["same_rows"]) == (
        "round",
        2,
        True,
    )
    values = report["metrics"]["test"]["values"]["spearman"]
    assert values["low"] < values["value"] < values["high"]
    assert (
        "leaves out 10 variants at a time. 7 of 30,045,015 possible sets were drawn."
        in report["split"]["words"]
    )
    assert "7 of 30,045,015 possible sets were drawn." in report["methods"]
    assert "averaged over 2 passes (rounds)" in page(found)
    near, drawn = report["leakage"]["near_identical"], split.info["near_identical"]
    assert near == round(drawn * 30 / 70)
    assert near <= 30


def test_leaving_one_out_is_scored_once_over_all_rows(make_experiment):
    experiment = make_experiment(25, **{"split.method": "leave_p_out"})
    split = assign_split(experiment.variants, experiment.flags.split)
    found = experiment.but(split=split).evaluate()
    rows = found.predictions.to_pandas()
    rows = rows[rows.part == "test"]
    assert found.report["passes"] is None
    assert len(rows) == found.report["metrics"]["test"]["n"] == 24
    assert found.summary["test/spearman"] == pytest.approx(
        stats.spearmanr(rows.target, rows.prediction).statistic
    )
