"""Acquisition functions: value of making a candidate, from its prediction, its deviation and the goal.

Every goal is turned into "higher is better" first: a value to reach or an interval is the distance from it, negated.
Source: Jones, Schonlau and Welch 1998, Efficient global optimization of expensive black-box functions, J. Global
Optimization 13:455, doi:10.1023/A:1008306431147 (expected improvement).
"""

import numpy as np
from scipy.special import ndtr

from proteinx_pipelines.flags.design import DesignFlags

_SQRT_TWO_PI = 2.5066282746310002


def utility(values: np.ndarray, goal: object) -> np.ndarray:
    """float64 [n], higher is better: of predicted or measured values (float64 [n])."""
    if goal == "maximize":
        return values
    if goal == "minimize":
        return -values
    low, high = goal if isinstance(goal, tuple) else (goal, goal)
    return -np.maximum(np.maximum(float(low) - values, values - float(high)), 0.0)


def acquire(mean: np.ndarray, deviation: np.ndarray, best: float, flags: DesignFlags) -> np.ndarray:
    """Compute the acquisition value of each candidate, float64 [n]; `thompson` needs draws: see `choosing`.

    Args:
        mean: float64 [n], predictions in the target's unit.
        deviation: float64 [n], calibrated.
        best: utility of the best measured variant.
        flags: `design.acquisition`, `design.beta`, `design.goal`.
    """
    value = utility(mean, flags.goal)
    if flags.acquisition == "greedy":
        return value
    if flags.acquisition == "ucb":
        return value + flags.beta * deviation
    if flags.goal in ("maximize", "minimize"):
        return _closed(value, deviation, best, flags.acquisition)
    return _sampled(mean, deviation, best, flags)


def _closed(value: np.ndarray, deviation: np.ndarray, best: float, kind: str) -> np.ndarray:
    safe = np.maximum(deviation, 1e-12)
    z = (value - best) / safe
    if kind == "pi":
        return np.asarray(ndtr(z))
    return np.asarray((value - best) * ndtr(z) + safe * np.exp(-0.5 * z**2) / _SQRT_TWO_PI)


def _sampled(mean: np.ndarray, deviation: np.ndarray, best: float, flags: DesignFlags) -> np.ndarray:
    """Expected improvement over 64 quantiles of the prediction: for a value or an interval there is no closed form."""
    from scipy.special import ndtri

    quantiles = ndtri((np.arange(64) + 0.5) / 64)
    total = np.zeros(len(mean))
    for each in quantiles:
        gain = utility(mean + deviation * each, flags.goal) - best
        total += np.maximum(gain, 0) if flags.acquisition == "ei" else gain > 0
    return total / len(quantiles)


def p_better(mean: np.ndarray, deviation: np.ndarray, than: float, goal: object) -> np.ndarray:
    """Probability that a variant is better than a utility, float64 [n]; of a normal prediction.

    When the goal is an interval, nothing is better than being inside it: the probability to be as good is returned.
    """
    safe = np.maximum(deviation, 1e-12)
    if goal == "maximize":
        return np.asarray(ndtr((mean - than) / safe))
    if goal == "minimize":
        return np.asarray(ndtr((-mean - than) / safe))
    low, high = goal if isinstance(goal, tuple) else (goal, goal)
    reach = -than  # distances below this are better
    return np.asarray(ndtr((float(high) + reach - mean) / safe) - ndtr((float(low) - reach - mean) / safe))
