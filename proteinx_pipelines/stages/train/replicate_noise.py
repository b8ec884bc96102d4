"""Noise that differs between rows: variants measured precisely, or several times, are known better than others.

Two sources tell the variance of a row's score, and a row has it from one of them, so nothing counts twice:

- its standard error, where the data have one. It holds whatever merged rows say: their own spread is in it;
- otherwise replicates: the pooled deviation of rows measured again gives the variance of one measurement, and a mean of
  n has the n-th part of it. Without replicates a row of unknown error counts as typical: it has the median variance.

What the model leaves unexplained besides is the same for all rows. Only the ratio between rows is used: its mean is 1,
and the noise itself is a parameter as ever. By how much standard errors matter is chosen by `scales`.
"""

from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.records import REPLICATE_DEVIATION, STANDARD_ERROR, VariantTable

FEWEST_MEASURED_AGAIN = 20
"""Variants with replicates below which their noise is not estimated."""
FEWEST_WITH_ERROR = 20
"""Training rows with a standard error below which errors are not used."""
FARTHEST_ERROR = 10.0
"""An error counts as at most so many times the median of the training rows, and at least the inverse."""
_LEAST_REST = 0.1
"""Least share of the noise that replicates do not explain."""
_EVEN = 0.05
"""Spread of the ratios below which all rows count as alike."""


@dataclass(frozen=True)
class RowNoise:
    """Variance of each row's measurement."""

    variance: np.ndarray
    """float64 [N], in squared units of the target."""
    n_errors: int = 0
    """Number of training rows with a standard error; 0 if the variance is known from replicates alone."""

    def of(self, rows: np.ndarray, deviation: float = 1.0) -> "RowNoise":
        """Noise of some rows (int64 [n]), of targets divided by a deviation."""
        return RowNoise(self.variance[rows] / deviation**2, self.n_errors)

    def scaled(self, deviation: float) -> "RowNoise":
        """Noise of targets divided by a deviation."""
        return RowNoise(self.variance / deviation**2, self.n_errors)


def row_noise(variants: VariantTable, flags: ExperimentFlags, training: np.ndarray) -> RowNoise | None:
    """Noise of each row's target, from the training rows (int64 [n]) alone.

    Returns:
        None if the targets are not the merged scores themselves, or too few rows have a standard error or were measured
        again.
    """
    if not flags.trains_on_scores:
        return None
    replicates = measurement_variance(variants, training)
    errors = _squared_errors(variants)
    known = np.isfinite(errors)
    n = int(known[training].sum())
    if n < FEWEST_WITH_ERROR:
        return None if replicates is None else RowNoise(replicates)
    typical = float(np.median(errors[training][known[training]]))
    others = np.full(len(errors), typical) if replicates is None else replicates
    bounds = typical / FARTHEST_ERROR**2, typical * FARTHEST_ERROR**2
    return RowNoise(np.clip(np.where(known, errors, others), *bounds), n)


def _squared_errors(variants: VariantTable) -> np.ndarray:
    """Square of each row's standard error, float64 [N], NaN where it is unknown."""
    if STANDARD_ERROR not in variants.rows.column_names:
        return np.full(variants.n_variants, np.nan)
    errors = variants.column(STANDARD_ERROR).astype(np.float64)
    return np.asarray(np.where(np.isfinite(errors) & (errors > 0), errors, np.nan) ** 2)


def measurement_variance(variants: VariantTable, training: np.ndarray) -> np.ndarray | None:
    """Variance of each row's score by the noise of replicates, float64 [N], in squared units of the score.

    Estimated from the training rows (int64 [n]) alone.

    Returns:
        None if too few were measured again.
    """
    if REPLICATE_DEVIATION not in variants.rows.column_names:
        return None
    own, merged = (variants.column(name).astype(np.float64) for name in (REPLICATE_DEVIATION, "n_merged"))
    again = training[np.isfinite(own[training])]
    if len(again) < FEWEST_MEASURED_AGAIN:
        return None
    freedom = merged[again] - 1
    return np.asarray(float((own[again] ** 2 * freedom).sum() / freedom.sum()) / merged)


def relative_noise(variance: np.ndarray | None, noise: float) -> np.ndarray | None:
    """Noise of each row over the mean noise by replicates, float64 [n]; None if all are alike.

    Args:
        variance: float64 [n], of `measurement_variance` in the unit of the model.
        noise: variance that the model leaves unexplained, the same for all rows.
    """
    if variance is None or not variance.mean() > 0:
        return None
    rest = max(noise - float(variance.mean()), _LEAST_REST * noise)
    return _unless_even(rest + variance)


def noise_by_share(variance: np.ndarray, share: float) -> np.ndarray | None:
    """Noise of each row over the mean noise if errors explain a share of the noise, float64 [n]; None if all are alike.

    Their size does not matter, only their ratio: error bars that are too small everywhere give the same.

    Args:
        variance: float64 [n], squared standard errors.
        share: 0 to below 1.
    """
    return _unless_even(1 - share + share * variance / variance.mean())


def _unless_even(total: np.ndarray) -> np.ndarray | None:
    ratio = total / total.mean()
    return np.asarray(ratio) if np.ptp(ratio) > _EVEN else None
