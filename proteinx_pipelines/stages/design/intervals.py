"""Deviations that mean what they say: calibrated on predictions of rows that the judged models had not seen.

A model's own deviation is multiplied so that 95 % intervals held 95 % of the held-out values; a model without one gets
what it missed by. The factor is the quantile of |error| / deviation of split conformal prediction, divided by 1.96.
Source: Lei et al. 2018, Distribution-free predictive inference for regression, JASA 113:1094,
doi:10.1080/01621459.2017.1307116 (locally weighted: section 5.2).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

LEVEL = 0.95
_NORMAL = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""


@dataclass(frozen=True)
class Intervals:
    """How a raw deviation becomes a calibrated one."""

    kind: str
    """`scaled` (the model's own, or its seeds') or `constant`."""
    factor: float
    """Multiplies the model's deviation; for `constant`, the deviation itself in the target's unit."""
    n: int
    """Held-out predictions behind it; 0 where there were none and nothing is promised."""
    split: str
    """How those were held out, in words."""

    def calibrated(self, raw: np.ndarray) -> np.ndarray:
        """float64 [n], of raw deviations (NaN where the model has none)."""
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
        """What `document` wrote down."""
        return cls(**document)


def calibrate(
    measured: np.ndarray, predicted: np.ndarray, deviation: np.ndarray | None, split: str
) -> Intervals:
    """Learn the factor from held-out predictions.

    Args:
        measured: float64 [P].
        predicted: float64 [P], by models that had not seen the row.
        deviation: float64 [P], their own; None where they have none.
        split: how the rows were held out, in words.
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
