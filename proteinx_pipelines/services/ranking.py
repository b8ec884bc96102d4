"""Experiments ranked on the variants that all of them tested, with a paired bootstrap against the best.

Read from what the experiments left behind (`predictions.parquet`, `report.json`); nothing is predicted again. What
cannot be compared is said: variants that not all tested, targets that differ, splits that are not the same.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.metrics import check_names, compute, metric
from proteinx_pipelines.resampling.within import ARTEFACT_GAP, mean_within

if TYPE_CHECKING:
    import pandas as pd

_CLOSE = 1e-9


class Evaluated(Protocol):
    """An experiment that has been evaluated (`experiment.Experiment`)."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def predictions(self) -> "pd.DataFrame":
        """A row a prediction: id, target, prediction, part, fold."""

    @property
    def report(self) -> Mapping[str, Any]:
        """`report.json`."""


@dataclass(frozen=True)
class Row:
    """One experiment on the common variants."""

    experiment_id: str
    title: str
    """Data, model and representation."""
    split: str
    n_tested: int
    """Variants that this experiment tested; the metrics are over the common ones."""
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    difference: tuple[float, float, float] | None
    """Of the first metric: this less the best, and the ends of its interval; None for the best itself."""
    beats_best: float | None
    """Share of the resamples in which this is better than the best; 0.5 for a tie."""
    within: dict[str, float] = field(default_factory=dict)
    """Mean of each metric within the sources of the common variants; empty where those are of one source."""


@dataclass(frozen=True)
class Leaderboard:
    """Rows from the best to the worst by the first metric."""

    rows: list[Row]
    metrics: tuple[str, ...]
    n_common: int
    level: float
    resamples: int
    notes: list[str] = field(default_factory=list)
    """What a reader must know before quoting a difference."""


def rank_experiments(
    experiments: Sequence[Evaluated],
    metrics: Sequence[str],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
) -> Leaderboard:
    """Compare experiments on the variants that all of them tested.

    A variant tested several times (repeats) counts with its first prediction. Every experiment sees the same
    resamples of variants, so that differences have intervals of their own.

    Args:
        experiments: two or more, finished.
        metrics: the first one ranks.
        resamples: B of the bootstrap.
        level: of the intervals.
        seed: of the draws.

    Raises:
        InputError: fewer than two experiments, two with the same id, or fewer than two common variants.
        ValueError: an unknown metric.
    """
    from proteinx_pipelines.resampling.bootstrap import percentiles, resampled_values

    check_names(metrics)
    if len(experiments) < 2:
        raise InputError("At least two finished experiments are expected to compare. Name more.")
    _refuse_repeated([each.id for each in experiments])
    tables = {each.id: _tested(each) for each in experiments}
    common = _common_ids(tables)
    target = next(iter(tables.values())).loc[common, "target"].to_numpy(np.float64)
    predictions = {
        name: table.loc[common, "prediction"].to_numpy(np.float64) for name, table in tables.items()
    }
    notes = _notes(experiments, tables, common, target)
    values = {
        name: {each: compute(each, target, found) for each in metrics} for name, found in predictions.items()
    }
    source = np.array([text.rpartition("/")[0] for text in common])
    within = {name: mean_within(metrics, source, target, found) for name, found in predictions.items()}
    notes += _pooled_over_sources(values, within)
    drawn = resampled_values(
        metrics, target, predictions, resamples=resamples, seed=seed, progress=lambda _done, _total: None
    )
    first, sign = metrics[0], -1.0 if metric(metrics[0]).lower_is_better else 1.0
    order = sorted(values, key=lambda name: (-_known(sign * values[name][first]), name))
    best = order[0]
    by_id = {each.id: each for each in experiments}
    rows = []
    for name in order:
        gap = drawn[name][first] - drawn[best][first]
        low, high = percentiles(gap, level)
        better = float((sign * gap > 0).mean() + 0.5 * (gap == 0).mean())
        report = by_id[name].report
        row = Row(
            experiment_id=name,
            title=report["experiment"]["title"],
            split=report["split"]["words"],
            n_tested=len(tables[name]),
            values=values[name],
            intervals={each: percentiles(drawn[name][each], level) for each in metrics},
            difference=None if name == best else (values[name][first] - values[best][first], low, high),
            beats_best=None if name == best else better,
            within=within[name],
        )
        rows.append(row)
    return Leaderboard(rows, tuple(metrics), len(common), level, resamples, notes)


def _pooled_over_sources(
    values: dict[str, dict[str, float]], within: dict[str, dict[str, float]]
) -> list[str]:
    """A note where a pooled rank correlation is made by differences between sources."""
    made = [
        f"{name} (pooled {found['spearman']:.3f}, within sources {within[name]['spearman']:.3f})"
        for name, found in values.items()
        if "spearman" in found and found["spearman"] - within[name].get("spearman", np.nan) > ARTEFACT_GAP
    ]
    if not made:
        return []
    return [
        f"The pooled Spearman of {', '.join(made)} is made by differences between sources: quote the mean within them."
    ]


def _refuse_repeated(ids: Sequence[str]) -> None:
    """Rows are told apart by id; directories of two WORKDIRs may have the same one."""
    repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
    if repeated:
        raise InputError(
            f"Several of these experiments are called {', '.join(repeated)}; each id once is expected. Copy the "
            "directory of one of them under another name and compare that."
        )


def _known(value: float) -> float:
    return value if np.isfinite(value) else -np.inf


def _tested(experiment: Evaluated) -> "pd.DataFrame":
    """Target and prediction of the tested variants, by id."""
    table = experiment.predictions
    tested = table[(table["part"] == "test") & np.isfinite(table["prediction"].to_numpy(np.float64))]
    found: pd.DataFrame = tested.drop_duplicates("id").set_index("id")[["target", "prediction"]]
    return found


def _common_ids(tables: dict[str, "pd.DataFrame"]) -> list[str]:
    common = set.intersection(*(set(table.index) for table in tables.values()))
    if len(common) < 2:
        sizes = ", ".join(f"{name} {len(table)}" for name, table in tables.items())
        raise InputError(
            f"{len(common)} variants are tested by all of these experiments ({sizes} tested variants); at least 2 "
            "are expected. Compare experiments on the same data with the same `split.*`."
        )
    return sorted(common)


def _notes(
    experiments: Sequence[Evaluated],
    tables: dict[str, "pd.DataFrame"],
    common: list[str],
    target: np.ndarray,
) -> list[str]:
    notes = []
    partly = [f"{name} ({len(table):,})" for name, table in tables.items() if len(table) > len(common)]
    if partly:
        notes.append(
            f"Not all tested the same variants: {', '.join(partly)}; {len(common):,} are common to all."
        )
    span = max(float(np.ptp(target)), _CLOSE)
    unlike = [
        name
        for name, table in tables.items()
        if np.abs(table.loc[common, "target"].to_numpy(np.float64) - target).max() > 1e-6 * span
    ]
    if unlike:
        notes.append(
            f"The targets of {', '.join(unlike)} are not those of {experiments[0].id} (another `transform.*` or other "
            f"measurements): metrics here are against the targets of {experiments[0].id}."
        )
    splits = {each.report["split"]["words"] for each in experiments}
    if len(splits) > 1:
        notes.append(
            "The splits differ, so the models were not trained on the same variants: "
            + "; ".join(sorted(text.rstrip(".") for text in splits))
            + "."
        )
    ranked = [each.id for each in experiments if not each.report.get("in_target_units", True)]
    if ranked:
        notes.append(
            f"Predictions of {', '.join(ranked)} are ranks, not in the target's unit: errors mean nothing."
        )
    return notes


def as_records(board: Leaderboard) -> list[dict[str, Any]]:
    """One flat record per row, for CSV."""
    records = []
    for place, row in enumerate(board.rows, 1):
        record: dict[str, Any] = {
            "rank": place, "experiment": row.experiment_id, "title": row.title, "split": row.split,
            "n_common": board.n_common, "n_tested": row.n_tested,
        }  # fmt: skip
        for name in board.metrics:
            low, high = row.intervals[name]
            record |= {name: row.values[name], f"{name}_low": low, f"{name}_high": high}
            if row.within:
                record[f"{name}_source_mean"] = row.within[name]
        gap = row.difference or (0.0, 0.0, 0.0)
        record |= dict(zip(("difference", "difference_low", "difference_high"), gap, strict=True))
        record["share_better_than_best"] = row.beats_best
        records.append(record)
    return records
