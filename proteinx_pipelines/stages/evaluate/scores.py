"""Metric tables of the report: pooled, by fold, by group, and for each baseline.

Values are plain JSON types; NaN means "undefined here" and becomes null in `report.json`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.resampling.bootstrap import Interval
from proteinx_pipelines.resampling.within import MIN_GROUP_ROWS
from proteinx_pipelines.stages.evaluate.predict import Predictions

MAX_GROUPS = 12
"""Most groups listed in a breakdown, so that the table stays readable."""
_NAN = float("nan")


def score(
    names: Sequence[str], target: np.ndarray, prediction: np.ndarray, *, in_target_units: bool
) -> dict[str, float]:
    """Compute every metric of some rows; NaN for errors (MSE) if the prediction is not in the target's unit.

    Args:
        names: metrics.
        target: float64 [P].
        prediction: float64 [P].
        in_target_units: false for a ranking.
    """
    return {
        name: metrics.compute(name, target, prediction)
        if in_target_units or not metrics.metric(name).in_target_units
        else _NAN
        for name in names
    }


def score_folds(
    names: Sequence[str], target: np.ndarray, predictions: Predictions, *, in_target_units: bool
) -> list[dict[str, Any]]:
    """One entry per fold that has rows: `fold`, `n` and every metric. `target` is of the whole table [N]."""
    entries = []
    for fold in np.unique(predictions.fold):
        own = predictions.of_fold(int(fold))
        values = score(names, target[own.rows], own.prediction, in_target_units=in_target_units)
        entries.append({"fold": int(fold), "n": len(own), **values})
    return entries


def summarise(
    names: Sequence[str],
    pooled: Mapping[str, float],
    folds: Sequence[Mapping[str, Any]],
    intervals: Mapping[str, Interval],
    within: Mapping[str, float] | None = None,
) -> dict[str, dict[str, float]]:
    """Put the views of each metric side by side.

    Returns:
        metric -> `value`; `low` and `high` where there is an interval; with more than one fold `fold_mean`
        and `fold_sd` over the folds in which it is defined (n - 1 in the denominator); with several sources
        `source_mean`, of `within_sources.source_means`.
    """
    table: dict[str, dict[str, float]] = {}
    for name in names:
        table[name] = {"value": pooled[name]}
        if name in intervals and np.isfinite(pooled[name]):
            table[name]["low"], table[name]["high"] = intervals[name]
        if len(folds) > 1:
            defined = np.array([fold[name] for fold in folds if np.isfinite(fold[name])])
            table[name]["fold_mean"] = float(defined.mean()) if len(defined) else _NAN
            table[name]["fold_sd"] = float(defined.std(ddof=1)) if len(defined) > 1 else _NAN
        if within:
            table[name]["source_mean"] = within[name]
    return table


def score_groups(
    names: Sequence[str], variants: VariantTable, test: Predictions, *, in_target_units: bool
) -> list[dict[str, Any]]:
    """The test rows apart by source and by number of mutations, where there is more than one.

    Returns:
        One entry per group of at least `MIN_GROUP_ROWS` rows: `kind`, `group` (words), `n` and every metric;
        for each kind the largest `MAX_GROUPS`, in order.
    """
    target = variants.column("target")[test.rows].astype(np.float64)
    counts = variants.column("mut_num")[test.rows]
    kinds: dict[str, tuple[np.ndarray, Any]] = {
        "source": (variants.column("source")[test.rows].astype(str), str),
        "mutations": (counts, lambda count: f"{count} mutation" + ("" if count == 1 else "s")),
    }
    entries = []
    for kind, (labels, words) in kinds.items():
        groups, sizes = np.unique(labels, return_counts=True)
        largest = np.sort(np.argsort(-sizes, kind="stable")[:MAX_GROUPS])
        for group in groups[largest] if len(groups) > 1 else ():
            rows = labels == group
            if rows.sum() >= MIN_GROUP_ROWS:
                values = score(names, target[rows], test.prediction[rows], in_target_units=in_target_units)
                entries.append({"kind": kind, "group": words(group), "n": int(rows.sum()), **values})
    return entries
