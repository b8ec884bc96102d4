"""The sections of the report that hold numbers about predictions: metrics, intervals, baselines, warnings."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.metrics import metric
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Embedding, Split, Training, VariantTable
from proteinx_pipelines.resampling.bootstrap import Interval, bootstrap_intervals
from proteinx_pipelines.stages.evaluate import passes, scores
from proteinx_pipelines.stages.evaluate.baselines import make_baselines
from proteinx_pipelines.stages.evaluate.calibration import calibration_facts
from proteinx_pipelines.stages.evaluate.caveats import find_caveats
from proteinx_pipelines.stages.evaluate.classes import class_facts
from proteinx_pipelines.stages.evaluate.leaked import leakage_facts
from proteinx_pipelines.stages.evaluate.predict import Predictions

_MODEL = "model"  # the trained model's name among the predictors that are resampled


def judge(
    variants: VariantTable,
    embedding: Embedding,
    split: Split,
    training: Training,
    parts: Mapping[str, Predictions],
    flags: ExperimentFlags,
    monitor: StageMonitor,
) -> dict[str, Any]:
    """Judge the predictions of every part.

    Args:
        variants: N rows.
        embedding: of those rows; read for a language model's own score.
        split: of those rows.
        training: says in which unit predictions are.
        parts: of `predict.predict_parts`.
        flags: `evaluate.*`.
        monitor: hears of progress.

    Returns:
        `summary`, `metrics`, `interval`, `lower_is_better`, `baselines`, `groups`, `passes`, `classes`,
        `calibration`, `leakage`, `warnings` and `in_target_units` of `report.json`.
    """
    chosen = flags.evaluate
    in_units = training.info.get("target") != "rank"
    target = variants.column("target").astype(np.float64)
    by_pass = passes.passes_of(parts["test"], split)
    found = passes.score_passes(chosen.metrics, target, by_pass, in_target_units=in_units)
    test = by_pass[0]
    baselines = make_baselines(variants, split, test, embedding)
    predictors = {baseline.name: baseline.prediction for baseline in baselines}
    intervals = _intervals(flags, target, by_pass, predictors, monitor)
    tables = {
        part: _part(chosen.metrics, target, predictions, in_units)
        for part, predictions in parts.items()
        if part not in ("none", "test")
    }
    folds = scores.score_folds(chosen.metrics, target, parts["test"], in_target_units=in_units)
    pooled = passes.mean_of_passes(found)
    # Where a pass is a single model, the mean over folds is that over passes, which is the value.
    by_fold = folds if len(np.unique(test.fold)) > 1 else ()
    values = scores.summarise(chosen.metrics, pooled, by_fold, intervals.get(_MODEL, {}))
    tables["test"] = {"n": len(np.unique(test.rows)), "values": values, "folds": folds}
    if split.is_cross_validation:
        # Every row is trained on by K - 1 models: only the mean over folds has a meaning.
        for entry in tables["train"]["values"].values():
            entry["value"] = float("nan")
    against = scores.score_baselines(chosen.metrics, target, test, baselines, intervals)
    leakage = leakage_facts(chosen.metrics, variants, split, test, in_target_units=in_units)
    warnings = find_caveats(variants, split, test, values, against, leakage, in_target_units=in_units)
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
        "passes": passes.pass_facts(split, by_pass, found),
        "classes": class_facts(variants, test),
        "calibration": calibration_facts(target[test.rows], test),
        "leakage": leakage,
        "warnings": warnings,
        "in_target_units": in_units,
    }


def _intervals(
    flags: ExperimentFlags,
    target: np.ndarray,
    by_pass: Sequence[Predictions],
    baselines: Mapping[str, np.ndarray],
    monitor: StageMonitor,
) -> dict[str, dict[str, Interval]]:
    """Of the baselines, and of the mean of the model's passes where they test the same rows."""
    chosen, test = flags.evaluate, by_pass[0]
    # Passes that test the same rows are resampled alike. Of others no interval belongs to the mean: that of one
    # pass may lie beside it.
    resampled = by_pass if passes.same_rows(by_pass) else []
    of_pass = {f"{_MODEL} {number}": own.prediction for number, own in enumerate(resampled)}
    return bootstrap_intervals(
        chosen.metrics,
        target[test.rows],
        {name: values for name, values in {**of_pass, **baselines}.items() if np.isfinite(values).all()},
        resamples=chosen.bootstrap,
        level=chosen.ci,
        seed=chosen.seed,
        progress=lambda done, total: monitor.progress(0.5 + done / total * 0.4, 1, "bootstrap"),
        averaged={_MODEL: tuple(of_pass)} if of_pass else {},
    )


def _part(
    names: tuple[str, ...], target: np.ndarray, predictions: Predictions, in_units: bool
) -> dict[str, Any]:
    """`n`, `values` by metric, and `folds` of one part."""
    pooled = scores.score(names, target[predictions.rows], predictions.prediction, in_target_units=in_units)
    folds = scores.score_folds(names, target, predictions, in_target_units=in_units)
    values = scores.summarise(names, pooled, folds, {})
    return {"n": len(np.unique(predictions.rows)), "values": values, "folds": folds}


def _summary(tables: Mapping[str, Mapping[str, Any]]) -> dict[str, float]:
    summary = {}
    for part in ("test", "val"):
        if tables[part]["n"]:
            for name, entry in tables[part]["values"].items():
                summary[f"{part}/{name}"] = entry["value"]
                if part == "test" and "fold_mean" in entry:
                    summary[f"{part}/{name}_fold_mean"] = entry["fold_mean"]
    return summary
