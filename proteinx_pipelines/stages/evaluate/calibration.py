"""Calibration of a model's own standard deviations: share of measured values inside its intervals.

Only for models that predict a deviation. A calibrated 95 % interval contains 95 % of the test variants.
`error_correlation` shows whether the deviation also tells large errors from small ones.
"""

from statistics import NormalDist
from typing import Any

import numpy as np

from proteinx_pipelines.metrics import spearman
from proteinx_pipelines.stages.evaluate.predict import Predictions

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Levels of the central normal intervals."""


def calibration_facts(target: np.ndarray, test: Predictions) -> dict[str, Any] | None:
    """Coverage of central intervals on the test rows.

    Args:
        target: float64 [P], measured.
        test: with deviations; without them, or with one that is not positive, the result is None.

    Returns:
        `n`, `coverage` (level and the fraction of targets inside), `mean_deviation`, `rms_error`,
        `log_likelihood` (mean log density, in nats) and `error_correlation` (Spearman of the deviation with the
        absolute error).
    """
    deviation = test.deviation
    if deviation is None or not len(deviation) or not (np.isfinite(deviation) & (deviation > 0)).all():
        return None
    error = target - test.prediction
    z = np.abs(error) / deviation
    normal = NormalDist()
    return {
        "n": len(z),
        "coverage": [
            {"level": level, "inside": float(np.mean(z <= normal.inv_cdf((1 + level) / 2)))}
            for level in LEVELS
        ],
        "mean_deviation": float(deviation.mean()),
        "rms_error": float(np.sqrt(np.mean(error**2))),
        "log_likelihood": float(np.mean(-0.5 * z**2 - np.log(deviation) - 0.5 * np.log(2 * np.pi))),
        "error_correlation": spearman(deviation, np.abs(error)),
    }
