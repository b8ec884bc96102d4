"""Aligns the predictions of several experiments on the variants that all of them tested, for paired comparison."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from proteinx_pipelines.metrics import compute
from proteinx_pipelines.resampling.within import mean_within

if TYPE_CHECKING:
    import pandas as pd

    from proteinx_pipelines.resampling.units import Unit

_CLOSE = 1e-9
_SAME_TARGET = 1e-6
"""Two targets count as equal up to this fraction of the targets' range."""


@dataclass(frozen=True)
class Paired:
    """Metrics on the same resamples of the same variants."""

    n: int
    values: dict[str, dict[str, float]]
    """Experiment -> metric -> value over the n common variants."""
    drawn: dict[str, dict[str, np.ndarray]]
    """Experiment -> metric -> float64 [B], one value per resample; all experiments see the same resamples."""
    within: dict[str, dict[str, float]]
    """Experiment -> mean of each metric within the variants' sources; empty if there is only one source."""
    unit: "Unit"
    """What the resamples drew."""
    other_targets: list[str]
    """Experiments whose targets differ from those of the first."""


def tested(predictions: "pd.DataFrame") -> "pd.DataFrame":
    """Target and prediction of the tested variants, by id; a variant tested several times counts once."""
    usable = (predictions["part"] == "test") & np.isfinite(predictions["prediction"].to_numpy(np.float64))
    found: pd.DataFrame = predictions[usable].drop_duplicates("id").set_index("id")[["target", "prediction"]]
    return found


def common_ids(tables: "Mapping[str, pd.DataFrame]") -> list[str]:
    """Ids of the variants that all tables have, sorted."""
    return sorted(set.intersection(*(set(table.index) for table in tables.values())))


def unit_of(reports: Iterable[Mapping[str, Any]]) -> "Unit":
    """What the reports' own intervals draw: positions if one of them does."""
    units = {report.get("interval", {}).get("unit", "variants") for report in reports}
    return "positions" if "positions" in units else "variants"


def pair(
    tables: "Mapping[str, pd.DataFrame]",
    metrics: Sequence[str],
    *,
    resamples: int,
    seed: int,
    unit: "Unit" = "variants",
) -> Paired:
    """Evaluate experiments on their common variants, with one set of bootstrap resamples for all.

    Args:
        tables: experiment -> its tested variants (`tested`), at least two of them common to all.
        metrics: by name; the target is that of the first table.
        resamples: B of the bootstrap.
        seed: of the draws.
        unit: what is drawn.
    """
    from proteinx_pipelines.resampling.bootstrap import resampled_values
    from proteinx_pipelines.resampling.units import position_groups

    common = common_ids(tables)
    targets = {name: table.loc[common, "target"].to_numpy(np.float64) for name, table in tables.items()}
    target = next(iter(targets.values()))
    predictions = {
        name: table.loc[common, "prediction"].to_numpy(np.float64) for name, table in tables.items()
    }
    source = np.array([text.rpartition("/")[0] for text in common])
    mutants = [text.rpartition("/")[2] for text in common]
    span = max(float(np.ptp(target)), _CLOSE)
    return Paired(
        n=len(common),
        values={
            name: {metric: compute(metric, target, found) for metric in metrics}
            for name, found in predictions.items()
        },
        drawn=resampled_values(
            metrics,
            target,
            predictions,
            resamples=resamples,
            seed=seed,
            progress=lambda _done, _total: None,
            groups=position_groups(source, mutants) if unit == "positions" else None,
        ),
        within={name: mean_within(metrics, source, target, found) for name, found in predictions.items()},
        unit=unit,
        other_targets=[
            name for name, found in targets.items() if np.abs(found - target).max() > _SAME_TARGET * span
        ],
    )
