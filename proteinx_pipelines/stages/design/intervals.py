"""Calibrated deviations, from held-out predictions of the cross-validated models.

A model's own deviation is scaled so that 95 % intervals contain 95 % of the held-out values; a model without one gets
a constant from its errors. The factor is the split conformal quantile of |error| / deviation, divided by 1.96.
Source: Lei et al. 2018, Distribution-free predictive inference for regression, JASA 113:1094,
doi:10.1080/01621459.2017.1307116 (locally weighted: section 5.2).
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from proteinx_pipelines.stages.train.export import FittedModel

LEVEL = 0.95
_NORMAL = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class Intervals:
    """Rule that turns a raw deviation into a calibrated one."""

    kind: str
    """`scaled` (the model's own, or its seeds') or `constant`."""
    factor: float
    """Multiplies the model's deviation; for `constant`, the deviation itself in the target's unit."""
    n: int
    """Number of held-out predictions used; 0 if there were none, and then coverage is not guaranteed."""
    split: str
    """Description of the split that held them out."""

    def calibrated(self, raw: np.ndarray) -> np.ndarray:
        """Calibrate raw deviations (NaN where the model has none); float64 [n]."""
        if self.kind == "constant":
            return np.full(len(raw), self.factor)
        return np.asarray(raw * self.factor)

    def bounds(self, mean: np.ndarray, deviation: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ends of the 95 % interval, float64 [n] each."""
        return mean - _NORMAL * deviation, mean + _NORMAL * deviation

    def document(self) -> dict[str, Any]:
        """Plain JSON."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Intervals":
        """Read back the output of `document`."""
        return cls(**document)


def calibrate(
    measured: np.ndarray, predicted: np.ndarray, deviation: np.ndarray | None, split: str
) -> Intervals:
    """Learn the factor from held-out predictions.

    Args:
        measured: float64 [P].
        predicted: float64 [P], by models not trained on the row.
        deviation: float64 [P], their own; None where they have none.
        split: description of the split that held the rows out.
    """
    known = np.isfinite(measured) & np.isfinite(predicted)
    if deviation is not None:
        known &= np.isfinite(deviation) & (deviation > 0)
    n = int(known.sum())
    if n == 0:
        return Intervals(
            "scaled" if deviation is not None else "constant",
            1.0 if deviation is not None else float("inf"),
            0,
            split,
        )
    error = np.abs(measured[known] - predicted[known])
    scores = error / deviation[known] if deviation is not None else error
    level = min(1.0, np.ceil((n + 1) * LEVEL) / n)
    quantile = float(np.quantile(scores, level, method="higher"))
    return Intervals("scaled" if deviation is not None else "constant", quantile / _NORMAL, n, split)


def calibrate_for(
    model: FittedModel, measured: np.ndarray, predicted: np.ndarray, deviation: np.ndarray, fold: np.ndarray,
    models: Sequence[FittedModel], split: str,
) -> Intervals:  # fmt: skip
    """Learn the factor of one model from held-out predictions of others, whose deviations may have another size.

    Each fit learns its own noise, so that equal errors have other deviations under other fits (by a sixth, measured on
    2,400 singles). So deviations are compared in units of each fit's typical one, where the model knows it.

    Args:
        model: whose deviations are calibrated.
        measured: float64 [P].
        predicted: float64 [P].
        deviation: float64 [P], the other models' own.
        fold: int64 [P], index of the model of each prediction.
        models: of the folds.
        split: description of the split that held the rows out.
    """
    own, others = model.typical_deviation(), [each.typical_deviation() for each in models]
    known = np.array([value for value in others if value is not None])
    if own is None or len(known) < len(others):
        return calibrate(measured, predicted, deviation, split)
    found = calibrate(measured, predicted, deviation / known[fold], split)
    return replace(found, factor=found.factor / own)
