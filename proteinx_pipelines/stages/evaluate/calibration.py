"""Calibration of a model's own standard deviations: share of measured values inside its intervals.

Only for models that predict a deviation. A calibrated 95 % interval contains 95 % of the test variants.
`error_correlation` shows whether the deviation also tells large errors from small ones. The coverage has an interval of
its own, drawn by variants or positions as the report's other intervals; a warning says when it leaves out the level.
"""

from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import Any

import numpy as np

from proteinx_pipelines.flags.evaluate import EvaluateFlags, enough_resamples
from proteinx_pipelines.metrics import spearman
from proteinx_pipelines.resampling.bootstrap import draws, percentiles
from proteinx_pipelines.resampling.units import FEWEST_GROUPS
from proteinx_pipelines.stages.evaluate.caveat_texts import Caveat, caveat
from proteinx_pipelines.stages.evaluate.intervals import Drawn, resamples_of
from proteinx_pipelines.stages.evaluate.predict import Predictions

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Levels of the central normal intervals."""
JUDGED = 0.95
"""Level whose coverage is judged."""
TOLERATED = 0.02
"""Difference of coverage and level that no user need know of, however many rows show it."""
POOR = 0.85
"""Coverage of the 95 % interval below which there is a warning, however few rows show it."""


def calibration_facts(
    target: np.ndarray, test: Predictions, flags: EvaluateFlags, drawn: Drawn
) -> dict[str, Any] | None:
    """Coverage of central intervals on the test rows.

    Args:
        target: float64 [P], measured.
        test: with deviations; without them, or with one that is not positive, the result is None.
        flags: `evaluate.*`, for the intervals of the coverage.
        drawn: what they draw.

    Returns:
        `n`, `coverage` (level, the fraction of targets inside, and `low` and `high`, the ends of the fraction's own
        interval, where there are intervals and at least ten variants or positions to draw), `mean_deviation`,
        `rms_error`, `log_likelihood` (mean log density, in nats) and `error_correlation` (Spearman of the deviation
        with the absolute error).
    """
    deviation = test.deviation
    if deviation is None or not len(deviation) or not (np.isfinite(deviation) & (deviation > 0)).all():
        return None
    error = target - test.prediction
    z = np.abs(error) / deviation
    normal = NormalDist()
    inside = np.stack([z <= normal.inv_cdf((1 + level) / 2) for level in LEVELS]).astype(np.float64)
    return {
        "n": len(z),
        "coverage": [
            {"level": level, "inside": float(each.mean()), **ends}
            for level, each, ends in zip(LEVELS, inside, _ends(inside, flags, drawn), strict=True)
        ],
        "mean_deviation": float(deviation.mean()),
        "rms_error": float(np.sqrt(np.mean(error**2))),
        "log_likelihood": float(np.mean(-0.5 * z**2 - np.log(deviation) - 0.5 * np.log(2 * np.pi))),
        "error_correlation": spearman(deviation, np.abs(error)),
    }


def _ends(inside: np.ndarray, flags: EvaluateFlags, drawn: Drawn) -> list[dict[str, float]]:
    """Ends of the interval of each row's mean (float64 [levels, P]); empty where there is none."""
    groups, n = drawn.of(drawn.unit), inside.shape[1]
    if resamples_of(flags) == 0 or (n if groups is None else drawn.n_positions) < FEWEST_GROUPS:
        return [{} for _ in inside]
    shares = np.concatenate(
        [
            inside @ counts / counts.sum(axis=0)
            for counts in draws(n, enough_resamples(flags.ci), flags.seed, groups)
        ],
        axis=1,
    )
    ends = [percentiles(each, flags.ci) for each in shares]
    return [{"low": low, "high": high} for low, high in ends]


def about_calibration(found: Mapping[str, Any] | None) -> Iterator[Caveat]:
    """Warning about a model whose 95 % intervals do not contain about 95 % of the measured values."""
    if found is None:
        return
    entry = next(each for each in found["coverage"] if each["level"] == JUDGED)
    inside = entry["inside"]
    is_clear = "low" in entry and not entry["low"] <= JUDGED <= entry["high"]
    if (is_clear and abs(inside - JUDGED) > TOLERATED) or inside < POOR:
        ends = f", interval {entry['low']:.1%} to {entry['high']:.1%}" if "low" in entry else ""
        code = "intervals_too_narrow" if inside < JUDGED else "intervals_too_wide"
        yield caveat(code, inside=inside, ends=ends, n=found["n"])
