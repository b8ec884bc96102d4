"""Sections of the report with numbers about predictions: metrics, intervals, baselines, warnings."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.metrics import metric
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Embedding, Split, Training, VariantTable
from proteinx_pipelines.stages.evaluate import passes, scores
from proteinx_pipelines.stages.evaluate.baseline_scores import score_baselines
from proteinx_pipelines.stages.evaluate.baselines import make_baselines
from proteinx_pipelines.stages.evaluate.calibration import about_calibration, calibration_facts
from proteinx_pipelines.stages.evaluate.caveat_texts import Caveat, caveat
from proteinx_pipelines.stages.evaluate.caveats import find_caveats
from proteinx_pipelines.stages.evaluate.ceilings import about_noise, ceilings
from proteinx_pipelines.stages.evaluate.classes import class_facts
from proteinx_pipelines.stages.evaluate.error_facts import about_errors
from proteinx_pipelines.stages.evaluate.evidence_facts import about_evidence
from proteinx_pipelines.stages.evaluate.interval_caveats import about_intervals
from proteinx_pipelines.stages.evaluate.intervals import (
    MODEL,
    find_intervals,
    interval_facts,
    what_is_drawn,
    with_other_unit,
)
from proteinx_pipelines.stages.evaluate.leaked import leakage_facts
from proteinx_pipelines.stages.evaluate.predict import Predictions
from proteinx_pipelines.stages.evaluate.probabilities import (
    about_probabilities,
    probability_facts,
    summary_of,
)
from proteinx_pipelines.stages.evaluate.within_sources import source_facts


def judge(
    variants: VariantTable,
    embedding: Embedding,
    split: Split,
    training: Training,
    parts: Mapping[str, Predictions],
    flags: ExperimentFlags,
    monitor: StageMonitor,
) -> dict[str, Any]:
    """Score the predictions of every part.

    Args:
        variants: N rows.
        embedding: of those rows; read for a language model's own score.
        split: of those rows.
        training: gives the unit of the predictions.
        parts: of `predict.predict_parts`.
        flags: `evaluate.*`.
        monitor: receives progress.

    Returns:
        `summary`, `metrics`, `interval`, `lower_is_better`, `baselines`, `groups`, `sources`, `passes`, `classes`,
        `probabilities`, `calibration`, `ceilings`, `leakage`, `warnings` and `in_target_units` of `report.json`.
    """
    chosen = flags.evaluate
    in_units = training.info.get("target") != "rank"
    target = variants.column("target").astype(np.float64)
    by_pass = passes.passes_of(parts["test"], split)
    found = passes.score_passes(chosen.metrics, target, by_pass, in_target_units=in_units)
    test = by_pass[0]
    baselines = [make_baselines(variants, split, own, embedding) for own in by_pass]
    drawn = what_is_drawn(variants, split, test, chosen)
    intervals, other = find_intervals(
        chosen, drawn, target, by_pass, baselines,
        lambda share: monitor.progress(0.5 + share * 0.4, 1, "bootstrap"),
    )  # fmt: skip
    sources = source_facts(chosen.metrics, variants, by_pass, in_target_units=in_units)
    tables = {
        part: _part(chosen.metrics, target, predictions, in_units)
        for part, predictions in parts.items()
        if part not in ("none", "test")
    }
    folds = scores.score_folds(chosen.metrics, target, parts["test"], in_target_units=in_units)
    pooled = passes.mean_of_passes(found)
    # If a pass is a single model, the mean over folds is the mean over passes, which is the value itself.
    by_fold = folds if len(np.unique(test.fold)) > 1 else ()
    within = None if sources is None else sources["mean"]
    values = with_other_unit(
        scores.summarise(chosen.metrics, pooled, by_fold, intervals.get(MODEL, {}), within), drawn, other
    )
    tables["test"] = {"n": len(np.unique(test.rows)), "values": values, "folds": folds}
    if split.is_cross_validation:
        # Every row is trained on by K - 1 models, so only the mean over folds is meaningful.
        for entry in tables["train"]["values"].values():
            entry["value"] = float("nan")
    against = score_baselines(chosen.metrics, variants, by_pass, baselines, intervals)
    leakage = leakage_facts(chosen.metrics, variants, split, test, in_target_units=in_units)
    reachable = ceilings(variants, test.rows, chosen.metrics)
    probabilities = probability_facts(target, by_pass, flags, drawn)
    calibration: dict[str, Any] | None = None
    if flags.transform.bins:
        # A class has no normal interval, and the noise of replicates is that of scores.
        reachable["noise"], classes = None, _of_one_threshold(probabilities)
    else:
        classes = class_facts(variants, test)
        calibration = calibration_facts(target[test.rows], test, chosen, drawn)
    warnings = find_caveats(
        variants, split, test, values, against, leakage, sources=sources, in_target_units=in_units
    )
    warnings += [*about_intervals(chosen, drawn, len(test)), *about_calibration(calibration)]
    warnings += [*about_noise(reachable), *about_probabilities(probabilities)]
    if flags.transform.bins:
        warnings = [each for each in warnings if each["code"] != "classes_as_targets"]  # it asks for them
    warnings += [*_about_scaling(training), *about_evidence(embedding, training)]
    warnings += about_errors(variants, training, flags)
    return {
        "summary": {**summary_of(probabilities), **_summary(tables)},
        "metrics": tables,
        "interval": interval_facts(chosen, drawn),
        "lower_is_better": [name for name in chosen.metrics if metric(name).lower_is_better],
        "baselines": against,
        "groups": scores.score_groups(chosen.metrics, variants, test, in_target_units=in_units),
        "sources": sources,
        "passes": passes.pass_facts(split, by_pass, found),
        "classes": classes,
        "probabilities": probabilities,
        "calibration": calibration,
        "ceilings": reachable,
        "leakage": leakage,
        "warnings": warnings,
        "in_target_units": in_units,
    }


def _of_one_threshold(found: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """Entry `classes` of the report, if there is one threshold."""
    if found is None or len(found["counts"]) != 2 or not found["thresholds"]:
        return None
    (entry,) = found["thresholds"]
    return {
        "n": found["n"], "positive": entry["positive"], "cutoff": f"a target of at least {entry['threshold']:g}",
        "auc": entry["auc"]["value"], "mcc": entry["mcc"]["value"],
    }  # fmt: skip


def _about_scaling(training: Training) -> list[Caveat]:
    """Warning if targets were scaled differently from `train.target`."""
    sizes = [
        fold["standardized_because"]
        for fold in training.info.get("folds", ())
        if "standardized_because" in fold
    ]
    return [caveat("standardized", size=sizes[0])] if sizes else []


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
                for view in ("fold_mean", "source_mean"):
                    if part == "test" and view in entry:
                        summary[f"{part}/{name}_{view}"] = entry[view]
    return summary
