"""Sentence about the further properties that a model learned beside the target."""

from collections.abc import Mapping, Sequence
from typing import Any

from proteinx_pipelines.stages.evaluate.citations import short


def tasks_in_words(folds: Sequence[Mapping[str, Any]]) -> str | None:
    """Say what was learned jointly and from which rows; None where the target was learned alone.

    Args:
        folds: entries of `training.json`.
    """
    told = [fold["tasks"] for fold in folds if "tasks" in fold]
    if not told:
        return None
    further = sorted({name for entry in told for name in entry["names"][1:]})
    if not further:
        return "No further property had values among the training rows, so the target was learned alone."
    counts = sorted({entry["rows_without_score"] for entry in told})
    n = f"{counts[0]:,}" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,}"
    how = f" (intrinsic coregionalisation, {short('coregionalisation')})" if "correlation" in told[0] else ""
    return (
        f"The target was learned jointly with {' and '.join(further)}{how}, of training rows and of {n} variants "
        "without a score; no such value of a test variant was used."
    )
