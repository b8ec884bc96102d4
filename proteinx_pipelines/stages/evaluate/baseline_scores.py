"""Scores of the baselines, computed for every pass and averaged exactly as the model's."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from proteinx_pipelines.records import VariantTable
from proteinx_pipelines.resampling.bootstrap import Interval
from proteinx_pipelines.stages.evaluate import passes, scores
from proteinx_pipelines.stages.evaluate.baselines import Baseline
from proteinx_pipelines.stages.evaluate.predict import Predictions
from proteinx_pipelines.stages.evaluate.within_sources import source_means


def score_baselines(
    names: Sequence[str],
    variants: VariantTable,
    by_pass: Sequence[Predictions],
    baselines: Sequence[Sequence[Baseline]],
    intervals: Mapping[str, Mapping[str, Interval]],
) -> list[dict[str, Any]]:
    """Score every baseline on the test rows of every pass.

    Args:
        names: metrics.
        variants: N rows.
        by_pass: test predictions of the model, pass by pass; they give the rows and folds to score.
        baselines: of `baselines.make_baselines`, one list for each pass.
        intervals: baseline -> metric -> interval of its mean over the passes.

    Returns:
        One entry per baseline: `name`, `title` and `metrics` as `scores.summarise` gives them.
    """
    target = variants.column("target").astype(np.float64)
    entries = []
    for own in zip(*baselines, strict=True):
        units = own[0].in_target_units
        predicted = [
            replace(test, prediction=each.prediction, deviation=None)
            for test, each in zip(by_pass, own, strict=True)
        ]
        found = passes.score_passes(names, target, predicted, in_target_units=units)
        folds = [
            entry
            for each in predicted
            for entry in scores.score_folds(names, target, each, in_target_units=units)
        ]
        table = scores.summarise(
            names,
            passes.mean_of_passes(found),
            folds if len(np.unique(by_pass[0].fold)) > 1 else (),
            intervals.get(own[0].name, {}),
            source_means(names, variants, predicted, in_target_units=units),
        )
        entries.append({"name": own[0].name, "title": own[0].title, "metrics": table})
    return entries
