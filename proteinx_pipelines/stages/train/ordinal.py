"""Probabilities of ordered classes from a model's predictions: proportional odds.

P(class >= k) is the logistic function of (slope times prediction - cut k), with one slope for all cuts, so that the
probability never rises with k. With two classes this is Platt's calibration. Fitted on predictions of rows that the
model has not seen (`class_probabilities`); what a model says of its own training rows would make it too sure.

Source:
    McCullagh 1980, "Regression Models for Ordinal Data", J. R. Stat. Soc. B 42:109; Platt 1999, "Probabilistic Outputs
    for Support Vector Machines".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

_PRIOR_WIDTH = 5.0
"""Width of the normal prior about 0 of the slope per standard deviation of the predictions: classes that happen to be
apart in few rows would give probabilities of 0 and 1."""
_PSEUDO = 0.5
"""Weight of one further row of each class at the mean prediction, for the same reason."""
_LEAST = 1e-12


@dataclass(frozen=True)
class ClassMap:
    """Map from predictions to the probabilities of being at or above each of K thresholds."""

    thresholds: tuple[float, ...]
    """K, in the unit of the target before it was cut."""
    location: float
    scale: float
    slope: float
    """At least 0: a map never turns a model's order round."""
    cuts: tuple[float, ...]
    """K, ascending."""

    def probabilities(self, predictions: np.ndarray) -> np.ndarray:
        """float64 [n, K] from float64 [n], the model's predictions; NaN where they are."""
        return _logistic(self._at(predictions)[:, None] * self.slope - np.array(self.cuts))

    def _at(self, predictions: np.ndarray) -> np.ndarray:
        return np.asarray((np.asarray(predictions, np.float64) - self.location) / self.scale)

    def document(self) -> dict[str, Any]:
        """Plain JSON for `model.json`."""
        return {
            "thresholds": list(self.thresholds), "location": self.location, "scale": self.scale,
            "slope": self.slope, "cuts": list(self.cuts),
        }  # fmt: skip


def mean_class_map(maps: Sequence[ClassMap | None]) -> ClassMap | None:
    """Map of the mean of several models' predictions: their mean in log odds; None if one of them has none."""
    found = [each for each in maps if each is not None]
    if not found or len(found) < len(maps):
        return None
    slope = float(np.mean([each.slope / each.scale for each in found]))
    cuts = np.mean([np.array(each.cuts) + each.slope * each.location / each.scale for each in found], axis=0)
    return ClassMap(found[0].thresholds, 0.0, 1.0, slope, tuple(cuts.tolist()))


def read_class_map(document: Mapping[str, Any] | None) -> ClassMap | None:
    """Read back the output of `ClassMap.document`; None for a model of scores."""
    if document is None:
        return None
    location, scale, slope = (float(document[name]) for name in ("location", "scale", "slope"))
    thresholds, cuts = (tuple(map(float, document[name])) for name in ("thresholds", "cuts"))
    return ClassMap(thresholds, location, scale, slope, cuts)


def fit_class_map(predictions: np.ndarray, classes: np.ndarray, thresholds: tuple[float, ...]) -> ClassMap:
    """Fit a map by penalised maximum likelihood.

    Args:
        predictions: float64 [n], finite, of rows that the model was not trained on.
        classes: [n], their measured classes, 0 to K.
        thresholds: K.
    """
    from scipy import optimize  # deferred: SciPy is not needed to load definitions

    location, scale = float(np.mean(predictions)), float(np.std(predictions))
    if np.ptp(predictions) == 0 or scale == 0:
        scale = 1.0
    k = len(thresholds)
    z = np.append((predictions - location) / scale, np.zeros(k + 1))
    y = np.append(np.asarray(classes, np.int64), np.arange(k + 1))
    weight = np.append(np.ones(len(predictions)), np.full(k + 1, _PSEUDO))
    above = np.array([weight[y >= cut].sum() for cut in range(1, k + 1)]) / weight.sum()
    cuts = -np.log(above / (1 - above))
    start = np.concatenate([[1.0], cuts[:1], np.log(np.maximum(np.diff(cuts), 1e-6))])
    found = optimize.minimize(
        _loss, start, args=(z, y, weight), jac=True, method="L-BFGS-B",
        bounds=[(0.0, None), (None, None), *[(-20.0, 20.0)] * (k - 1)],
    )  # fmt: skip
    return ClassMap(thresholds, location, scale, float(found.x[0]), tuple(_cuts(found.x).tolist()))


def _cuts(parameters: np.ndarray) -> np.ndarray:
    """K ascending cuts from the first one and the logarithms of the steps."""
    return np.cumsum(np.append(parameters[1], np.exp(parameters[2:])))


def _loss(
    parameters: np.ndarray, z: np.ndarray, y: np.ndarray, weight: np.ndarray
) -> tuple[float, np.ndarray]:
    """Negative log likelihood with the slope's prior, and its gradient."""
    cuts, slope = _cuts(parameters), parameters[0]
    k = len(cuts)
    upper = _logistic(slope * z - np.append(-np.inf, cuts)[y])  # P(class >= y)
    lower = _logistic(slope * z - np.append(cuts, np.inf)[y])  # P(class >= y + 1)
    p = np.maximum(upper - lower, _LEAST)
    d_upper, d_lower = weight * upper * (1 - upper) / p, weight * lower * (1 - lower) / p
    of_cuts = np.bincount(y, d_upper, k + 1)[1:] - np.bincount(y, d_lower, k + 1)[:k]
    of_steps = np.cumsum(of_cuts[::-1])[::-1]  # a step moves every later cut
    value = -float(weight @ np.log(p)) + 0.5 * (slope / _PRIOR_WIDTH) ** 2
    slopes = -float(z @ (d_upper - d_lower)) + slope / _PRIOR_WIDTH**2
    return value, np.array([slopes, of_steps[0], *(of_steps[1:] * np.exp(parameters[2:]))])


def _logistic(x: np.ndarray) -> np.ndarray:
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * x)))
