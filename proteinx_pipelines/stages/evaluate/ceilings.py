"""Best values that any model can reach on these measurements: limited by ties, and by the noise of replicates."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.records import REPLICATE_DEVIATION, VariantTable
from proteinx_pipelines.stages.evaluate.caveat_texts import Caveat, caveat

FEWEST_MEASURED_AGAIN = 20
"""Variants with replicates below which their noise is not estimated."""
NOISY = 0.95
"""Ceiling of Pearson's correlation below which it is mentioned."""


def ceilings(variants: VariantTable, rows: np.ndarray, names: Sequence[str]) -> dict[str, Any]:
    """Entry `ceilings` of the report.

    Args:
        variants: N rows.
        rows: int64 [P], tested.
        names: metrics.

    Returns:
        `ties`: metric -> best value where ties keep it below 1; `noise`: of `noise_ceiling`, or None.
    """
    target = variants.column("target")[rows].astype(np.float64)
    ties = {name: value for name, value in best_of_ties(target, names).items() if value < 1 - 1e-6}
    return {"ties": ties, "noise": noise_ceiling(variants, rows)}


def best_of_ties(target: np.ndarray, names: Sequence[str]) -> dict[str, float]:
    """Best value of each rank metric by predictions that all differ, in the order of the targets (float64 [P]).

    Constant targets give none: no value means anything.
    """
    if len(target) < 2 or np.ptp(target) == 0:
        return {}
    ideal = np.empty(len(target))
    ideal[np.argsort(target, kind="stable")] = np.arange(len(target))
    wanted = [name for name in names if name == "spearman" or name.endswith("_recall")]
    return {name: metrics.compute(name, target, ideal) for name in wanted}


def noise_ceiling(variants: VariantTable, rows: np.ndarray) -> dict[str, float] | None:
    """Reliability of the merged scores of the test rows, from replicates.

    Returns:
        `variants` (number with replicates), `noise_deviation` (of one measurement, in the unit of the score),
        `reliability` (share of the variance of the tested scores that is not noise) and `pearson` (its root, the
        expected correlation of the true values with the measured ones); None with fewer than
        `FEWEST_MEASURED_AGAIN` variants measured again.

    Source:
        Spearman 1904, "The proof and measurement of association between two things", Am. J. Psychol. 15:72.
    """
    if REPLICATE_DEVIATION not in variants.rows.column_names:
        return None
    own = variants.column(REPLICATE_DEVIATION).astype(np.float64)
    merged = variants.column("n_merged").astype(np.float64)
    again = np.isfinite(own)
    scores = variants.column("DMS_score").astype(np.float64)[rows]
    if again.sum() < FEWEST_MEASURED_AGAIN or len(rows) < 2 or np.ptp(scores) == 0:
        return None
    # Pooled within variants, each by its degrees of freedom.
    noise = float((own[again] ** 2 * (merged[again] - 1)).sum() / (merged[again] - 1).sum())
    of_mean = float(np.mean(noise / merged[rows]))
    reliability = float(np.clip(1 - of_mean / scores.var(ddof=1), 0.0, 1.0))
    return {
        "variants": int(again.sum()),
        "noise_deviation": float(np.sqrt(noise)),
        "reliability": reliability,
        "pearson": float(np.sqrt(reliability)),
    }


def about_noise(found: Mapping[str, Any]) -> Iterator[Caveat]:
    """Warning if noise keeps a perfect model clearly below 1."""
    noise = found["noise"]
    if noise is not None and noise["pearson"] < NOISY:
        yield caveat("noise_ceiling", ceiling=noise["pearson"], n=noise["variants"])
