"""Scaling of targets, fitted on training rows only.

Row-wise functions (log, clip) belong to the transform stage. The scaling of a fold is stored in its exported
model, which turns predictions back into the unit of `target`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

TargetMethod = Literal["none", "standardize", "rank"]
"""Values of `train.target`."""
UNITS = {
    "none": "predictions are in the unit of `target`",
    "standardize": "predictions are in the unit of `target`",
    "rank": "predictions are normal scores of ranks among the training targets, not in the unit of `target`",
}
"""Unit of the predictions, by `train.target`."""


SIZES = (0.01, 10.0)
"""Deviations of targets between which a network learns them as they are. Measured with `mlp` and its defaults on 500
singles, Spearman (0.58 on standardised targets): deviation 0.4: 0.58, 4: 0.54, 41: 0.40, 410: 0.01; 0.04: 0.29, and at
0.004 errors are larger than the targets."""
FARTHEST = 10.0
"""Most deviations between the mean of the targets and 0. Measured as above: 25 away, Spearman 0.13."""


@dataclass(frozen=True)
class TargetScaling:
    """Scaling learned from the training targets of one fold."""

    method: str
    mean: float = 0.0
    """`standardize`: subtracted from targets."""
    deviation: float = 1.0
    """`standardize`: targets are divided by it."""
    quantiles: tuple[np.ndarray, np.ndarray] | None = None
    """`rank`: distinct training targets, ascending, and their normal scores, float64 [n]; not exported."""

    def scale(self, targets: np.ndarray) -> np.ndarray:
        """Scale targets for the model, float64 [n].

        With `rank`, a value between two training targets gets a score between theirs, and one beyond all of them the
        outermost score.
        """
        if self.method == "rank":
            assert self.quantiles is not None, "a scaling read from an exported model only unscales"
            return np.asarray(np.interp(targets, *self.quantiles))
        return (np.asarray(targets, dtype=np.float64) - self.mean) / self.deviation

    def unscale(self, predictions: np.ndarray) -> np.ndarray:
        """Predictions in the unit of `target`, float64 [n]; `rank` leaves them as they are."""
        return np.asarray(predictions, dtype=np.float64) * self.deviation + self.mean

    def document(self) -> dict[str, Any]:
        """Description for `model.json`."""
        return {
            "method": self.method,
            "mean": self.mean,
            "deviation": self.deviation,
            "note": UNITS[self.method],
        }


def fit_scaling(method: str, targets: np.ndarray) -> TargetScaling:
    """Learn a scaling from the training targets of one fold.

    `standardize` uses the population deviation (divided by n, as scikit-learn's StandardScaler); constant
    targets are only centred. `rank` gives tied targets the score of their mean rank r: the normal quantile
    of (r - 3/8) / (n + 1/4).

    Args:
        method: `none`, `standardize` or `rank`.
        targets: float64 [n], finite, n >= 1.

    Source:
        Blom 1958, "Statistical Estimates and Transformed Beta-Variables", for the constants of the ranks.
    """
    if method == "standardize":
        return TargetScaling(method, mean=float(np.mean(targets)), deviation=deviation_of(targets))
    if method == "rank":
        return TargetScaling(method, quantiles=_normal_scores(np.asarray(targets, dtype=np.float64)))
    return TargetScaling("none")


def network_scaling(method: TargetMethod, targets: np.ndarray) -> tuple[TargetMethod, str | None]:
    """Choose the scaling of a network's targets, and give the reason if it differs from `train.target`.

    A network starts at predictions near 0 and moves by its learning rate: targets of 2e7 are never reached, and
    targets of 1e-6 are below its own noise. Such targets are standardised; predictions are scaled back.

    Args:
        method: `train.target`.
        targets: float64 [n], of the training rows of one fold, finite.
    """
    mean, deviation = float(np.mean(targets)), float(np.std(targets))
    fits = SIZES[0] <= deviation <= SIZES[1] and abs(mean) <= FARTHEST * deviation
    if method != "none" or fits or np.ptp(targets) == 0:
        return method, None
    return "standardize", f"mean {mean:.4g}, deviation {deviation:.4g}"


def deviation_of(targets: np.ndarray) -> float:
    """Population deviation of float64 [n], n >= 1; 1.0 where all are equal.

    Equal numbers are detected by their range: the mean of three times 0.1 is rounded, and their deviation 1.4e-17.
    """
    return (float(np.std(targets)) if np.ptp(targets) > 0 else 0.0) or 1.0


def read_scaling(document: Mapping[str, Any]) -> TargetScaling:
    """Read back the output of `TargetScaling.document`; sufficient for `unscale`."""
    return TargetScaling(str(document["method"]), float(document["mean"]), float(document["deviation"]))


def _normal_scores(targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Distinct targets in ascending order, and the normal score of the mean rank of each."""
    from scipy.special import ndtri  # deferred: SciPy is not needed to load definitions

    values, counts = np.unique(targets, return_counts=True)
    last_ranks = np.cumsum(counts)
    mean_ranks = last_ranks - (counts - 1) / 2
    return values, ndtri((mean_ranks - 3 / 8) / (len(targets) + 1 / 4))
