"""Noise that differs between rows: variants measured several times are known better than those measured once.

The pooled deviation of replicates gives the variance of one measurement; a mean of n has the n-th part of it. What the
model leaves unexplained besides is the same for all rows. Only the ratio between rows is used: its mean is 1, and the
noise itself is a parameter as ever.
"""

import numpy as np

from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.records import REPLICATE_DEVIATION, VariantTable

FEWEST_MEASURED_AGAIN = 20
"""Variants with replicates below which their noise is not estimated."""
_LEAST_REST = 0.1
"""Least share of the noise that replicates do not explain."""
_EVEN = 0.05
"""Spread of the ratios below which all rows count as alike."""


def measurement_variance(
    variants: VariantTable, flags: ExperimentFlags, training: np.ndarray
) -> np.ndarray | None:
    """Variance of each row's target by the noise of replicates, float64 [N], in squared units of the target.

    Estimated from the training rows (int64 [n]) alone.

    Returns:
        None if the targets are not the merged scores themselves, or too few were measured again.
    """
    names = variants.rows.column_names
    of_scores = flags.transform.target == "none" and not flags.transform.bins and flags.train.target != "rank"
    if REPLICATE_DEVIATION not in names or not of_scores:
        return None
    own, merged = (variants.column(name).astype(np.float64) for name in (REPLICATE_DEVIATION, "n_merged"))
    again = training[np.isfinite(own[training])]
    if len(again) < FEWEST_MEASURED_AGAIN:
        return None
    freedom = merged[again] - 1
    return np.asarray(float((own[again] ** 2 * freedom).sum() / freedom.sum()) / merged)


def relative_noise(variance: np.ndarray | None, noise: float) -> np.ndarray | None:
    """Noise of each row over the mean noise, float64 [n]; None if all are alike.

    Args:
        variance: float64 [n], of `measurement_variance` in the unit of the model.
        noise: variance that the model leaves unexplained, the same for all rows.
    """
    if variance is None or not variance.mean() > 0:
        return None
    rest = max(noise - float(variance.mean()), _LEAST_REST * noise)
    total = rest + variance
    ratio = total / total.mean()
    return np.asarray(ratio) if np.ptp(ratio) > _EVEN else None
