"""By how much the standard errors of scores matter: chosen by what makes the training rows most likely.

Errors explain a share of the noise, the rest is the same for all rows. Only their ratio is used, so error bars that are
too small everywhere are as good as right ones, and errors that say nothing get a share of 0: the model without them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from proteinx_pipelines.stages.train.replicate_noise import noise_by_share

SHARES = (0.25, 0.5, 0.75, 0.9)
"""Shares of the noise that standard errors may explain; 0 is always possible."""
_NOISES = (0.6, 1.0, 1.6)
"""Factors of the noise with which each share is tried."""
LEAST_GAIN = 1.0
"""Log likelihood that the share has to gain: that of one parameter more (Akaike 1974, doi:10.1109/TAC.1974.1100705)."""
Likelihood = Callable[[float, np.ndarray], float]
"""(factor of the noise, noise of each judged row over the mean noise) -> log likelihood; all else stays as it is."""


def share_of_errors(variance: np.ndarray, few: np.ndarray, without: float, likelihood: Likelihood) -> float:
    """Share of the noise that standard errors explain.

    Args:
        variance: float64 [n], squared standard errors of the training rows.
        few: int64 [f], judged rows, as indices of those.
        without: log likelihood with the same noise everywhere.
        likelihood: of the judged rows.

    Returns:
        The share under which the judged rows are most likely; 0 unless they are clearly more likely than `without`.
    """
    best, most = 0.0, without + LEAST_GAIN
    for share in SHARES:
        ratio = noise_by_share(variance, share)
        if ratio is None:
            continue
        value = max(likelihood(factor, ratio[few]) for factor in _NOISES)
        if value > most:
            best, most = share, value
    return best


def told_of_errors(n_errors: int, share: float, relative: np.ndarray | None) -> dict[str, Any]:
    """What was chosen about standard errors, for `training.json`; nothing where none are known.

    Args:
        n_errors: training rows with a standard error.
        share: of `share_of_errors`.
        relative: float64 [n], noise of each training row over the mean noise.
    """
    if not n_errors:
        return {}
    ratio = [1.0, 1.0] if relative is None else ends(relative)
    return {"noise_by_errors": {"known": n_errors, "share": share, "ratio": ratio}}


def ends(ratio: np.ndarray) -> list[float]:
    """Least and largest value, rounded for a document."""
    return [round(float(f(ratio)), 4) for f in (np.min, np.max)]
