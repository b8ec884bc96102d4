"""The evaluate stage: predictions of every row, metrics with intervals beside baselines, and the report.

The last stage. It trains nothing and looks at test targets for the first time; what it returns is written by
`experiment_dir.codecs.evaluate`, and its summary is what the result message carries.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from proteinx_pipelines.errors import EmptySplit
from proteinx_pipelines.experiment_dir.files import json_ready
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.metrics import metric
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Embedding, Evaluation, Split, Training, VariantTable
from proteinx_pipelines.stages.evaluate import facts, scores, words
from proteinx_pipelines.stages.evaluate.baselines import make_baselines
from proteinx_pipelines.stages.evaluate.bootstrap import Interval, bootstrap_intervals
from proteinx_pipelines.stages.evaluate.caveats import find_caveats
from proteinx_pipelines.stages.evaluate.learning_curve import learning_curve
from proteinx_pipelines.stages.evaluate.plots import draw_histogram, draw_learning_curve, draw_scatter
from proteinx_pipelines.stages.evaluate.predict import Predictions, predict_parts, predictions_table
from proteinx_pipelines.stages.evaluate.report import render_report

EVALUATE_VERSION = "1"
"""Raise it when the same models and flags give other predictions, metrics or another report."""

_MODEL = "model"  # the trained model's name among the predictors that are resampled


def evaluate_models(
    variants: VariantTable,
    embedding: Embedding,
    split: Split,
    training: Training,
    flags: ExperimentFlags,
    *,
    directory: ExperimentDir,
    monitor: StageMonitor,
) -> Evaluation:
    """Judge the trained models on rows they have not seen.

    Args:
        variants: N variants with finite targets in the test rows.
        embedding: row i belongs to variant i.
        split: one fold, or K for cross-validation; its test rows are judged.
        training: one model per fold.
        flags: `evaluate.*`; the others are described in the report.
        directory: read for the query as it was run; nothing is written.
        monitor: hears of progress and metrics, and may stop the evaluation.

    Returns:
        `predictions` as `predict.predictions_table` says. `summary` has `test/<metric>`, for cross-validation
        pooled over the out-of-fold predictions with `test/<metric>_fold_mean` beside it, and `val/<metric>`
        where there are validation rows; NaN where a metric is undefined. The same records and flags give the
        same bytes.

    Raises:
        EmptySplit: there is no test row; change `split.*`.
        ArtifactError: a model is missing or damaged; run the train stage again.
        PluginError: a plugin's metric failed; mend the plugin.
        Stopped: the monitor ended the evaluation.
    """
    from proteinx_pipelines.stages.train.export import load_model

    parts = predict_parts(
        lambda fold: load_model(training.model_dirs[fold]),
        embedding,
        split,
        progress=lambda done, total: monitor.progress(done / max(1, total) * 0.5, 1, "predicting"),
    )
    if not len(parts["test"]):
        raise EmptySplit("There is no test row to evaluate on; at least one is expected. Change `split.*`.")
    judged = _judge(variants, split, training, parts, flags, monitor)
    report = json_ready(
        {
            **judged,
            "experiment": facts.experiment_facts(flags, directory),
            "data": facts.data_facts(variants, embedding, split),
            "split": {
                **facts.split_facts(split),
                "words": _sentence(words.split_in_words(flags, len(split.folds))),
            },
            "training": facts.training_facts(training),
            "provenance": facts.provenance_facts(flags),
            "references": words.references(flags),
        }
    )
    report["methods"] = words.methods_paragraph(flags, report)
    _tell(monitor, judged)
    monitor.progress(0.9, 1, "report")
    pictures = _draw(variants, parts["test"], report, training) if flags.evaluate.plots else {}
    report["plots"] = sorted(pictures)
    page = render_report(report, pictures).encode("utf-8")
    table = predictions_table(variants, parts, folds=split.is_cross_validation)
    return Evaluation(table, judged["summary"], report, {"report.html": page, **pictures})


def _judge(
    variants: VariantTable,
    split: Split,
    training: Training,
    parts: Mapping[str, Predictions],
    flags: ExperimentFlags,
    monitor: StageMonitor,
) -> dict[str, Any]:
    """The sections of the report that hold numbers about predictions."""
    chosen, test = flags.evaluate, parts["test"]
    in_units = training.info.get("target") != "rank"
    target = variants.column("target").astype(np.float64)
    baselines = make_baselines(variants, split, test)
    predictors = {_MODEL: test.prediction, **{baseline.name: baseline.prediction for baseline in baselines}}
    intervals = bootstrap_intervals(
        chosen.metrics,
        target[test.rows],
        {name: values for name, values in predictors.items() if np.isfinite(values).all()},
        resamples=chosen.bootstrap,
        level=chosen.ci,
        seed=chosen.seed,
        progress=lambda done, total: monitor.progress(0.5 + done / total * 0.4, 1, "bootstrap"),
    )
    tables = {
        part: _part(
            chosen.metrics, target, predictions, intervals.get(_MODEL, {}) if part == "test" else {}, in_units
        )
        for part, predictions in parts.items()
        if part != "none"
    }
    if split.is_cross_validation:
        # Every row is trained on by K - 1 models: only the mean over folds has a meaning.
        for entry in tables["train"]["values"].values():
            entry["value"] = float("nan")
    against = scores.score_baselines(chosen.metrics, target, test, baselines, intervals)
    test_values = tables["test"]["values"]
    return {
        "summary": _summary(tables),
        "metrics": tables,
        "interval": {
            "level": chosen.ci,
            "resamples": chosen.bootstrap,
            "seed": chosen.seed,
            "method": "percentile",
        },
        "lower_is_better": [name for name in chosen.metrics if metric(name).lower_is_better],
        "baselines": against,
        "groups": scores.score_groups(chosen.metrics, variants, test, in_target_units=in_units),
        "warnings": find_caveats(variants, split, test, test_values, against, in_target_units=in_units),
        "in_target_units": in_units,
    }


def _part(
    names: tuple[str, ...],
    target: np.ndarray,
    predictions: Predictions,
    intervals: Mapping[str, Interval],
    in_units: bool,
) -> dict[str, Any]:
    """`n`, `values` by metric, and `folds` of one part."""
    pooled = scores.score(names, target[predictions.rows], predictions.prediction, in_target_units=in_units)
    folds = scores.score_folds(names, target, predictions, in_target_units=in_units)
    return {
        "n": len(np.unique(predictions.rows)),
        "values": scores.summarise(names, pooled, folds, intervals),
        "folds": folds,
    }


def _summary(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    summary = {}
    for part in ("test", "val"):
        if tables[part]["n"]:
            for name, entry in tables[part]["values"].items():
                summary[f"{part}/{name}"] = entry["value"]
                if part == "test" and "fold_mean" in entry:
                    summary[f"{part}/{name}_fold_mean"] = entry["fold_mean"]
    return summary


def _tell(monitor: StageMonitor, judged: Mapping[str, Any]) -> None:
    """Record the headline metrics, and those of each fold."""
    for name, value in judged["summary"].items():
        if np.isfinite(value):
            monitor.metric(name, value)
    folds = judged["metrics"]["test"]["folds"]
    for entry in folds if len(folds) > 1 else ():
        for name in judged["metrics"]["test"]["values"]:
            if np.isfinite(entry[name]):
                monitor.metric(f"test/{name}", entry[name], fold=entry["fold"])


def _draw(
    variants: VariantTable, test: Predictions, report: Mapping[str, Any], training: Training
) -> dict[str, bytes]:
    """Pictures by their name under `artifacts/`."""
    target = variants.column("target").astype(np.float64)[test.rows]
    histogram = report["data"]["histogram"]
    counts = {part: np.array(heights) for part, heights in histogram["counts"].items()}
    pictures = {"plots/histogram.png": draw_histogram(np.array(histogram["edges"]), counts)}
    if np.isfinite(test.prediction).all():
        first, entry = next(iter(report["metrics"]["test"]["values"].items()))
        value = "undefined" if entry["value"] is None else f"{entry['value']:.3f}"
        pictures["plots/scatter.png"] = draw_scatter(
            target,
            test.prediction,
            note=f"{len(target):,} test variants, {first} {value}",
            in_target_units=report["in_target_units"],
        )
    curve = draw_learning_curve(learning_curve(training))
    return pictures if curve is None else {**pictures, "plots/learning_curve.png": curve}


def _sentence(phrase: str) -> str:
    return f"{phrase[0].upper()}{phrase[1:]}."
