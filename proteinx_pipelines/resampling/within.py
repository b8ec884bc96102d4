"""Metrics within groups of rows, and their mean over groups."""

from collections.abc import Sequence

import numpy as np

from proteinx_pipelines.metrics import compute

MIN_GROUP_ROWS = 10
"""Least rows of a group that counts in the mean; metrics of smaller groups are noise."""
ARTEFACT_GAP = 0.05
"""Difference between a pooled Spearman and its mean over groups above which the two are said to disagree."""


def mean_within(
    names: Sequence[str], group: np.ndarray, target: np.ndarray, prediction: np.ndarray
) -> dict[str, float]:
    """Metric -> mean over the groups with at least `MIN_GROUP_ROWS` rows in which it is defined, else NaN.

    Args:
        names: metrics.
        group: [n], the group of each row; of one group the result is empty.
        target: float64 [n].
        prediction: float64 [n].
    """
    groups, sizes = np.unique(group, return_counts=True)
    if len(groups) < 2:
        return {}
    counted = [group == name for name in groups[sizes >= MIN_GROUP_ROWS]]
    values = {name: [compute(name, target[rows], prediction[rows]) for rows in counted] for name in names}
    return {name: mean_of_defined(found) for name, found in values.items()}


def mean_of_defined(values: Sequence[float]) -> float:
    """Mean of the finite values; NaN if there are none."""
    defined = [value for value in values if np.isfinite(value)]
    return float(np.mean(defined)) if defined else float("nan")
