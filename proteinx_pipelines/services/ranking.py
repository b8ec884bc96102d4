"""Ranks experiments on the variants that all of them tested, with a paired bootstrap against the best.

Reads the files of the experiments (`predictions.parquet`, `report.json`); nothing is predicted again. Notes state the
limits of the comparison: variants not tested by all, different targets, different splits.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.flags.tree import ExperimentFlags, canonical_json
from proteinx_pipelines.metrics import check_names, metric
from proteinx_pipelines.resampling.within import ARTEFACT_GAP
from proteinx_pipelines.services.pairing import Paired, common_ids, pair, tested, unit_of
from proteinx_pipelines.services.seeds import SeedGroup, grouped, seeds_of, summarize

if TYPE_CHECKING:
    import pandas as pd

    from proteinx_pipelines.resampling.units import Unit

_OWN_VARIANTS = (
    "Runs of other seeds test other variants: each counts with its own, and means over the runs are compared."
)


class Evaluated(Protocol):
    """An evaluated experiment (`experiment.Experiment`)."""

    @property
    def id(self) -> str:
        """Name of the experiment."""

    @property
    def predictions(self) -> "pd.DataFrame":
        """One row per prediction: id, target, prediction, part, fold."""

    @property
    def flags(self) -> ExperimentFlags:
        """The flags of its current generation."""

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
    """Number of variants this experiment tested; the metrics are over the common ones."""
    values: dict[str, float]
    intervals: dict[str, tuple[float, float]]
    difference: tuple[float, float, float] | None
    """First metric: difference to the best and the ends of its interval; None for the best itself."""
    beats_best: float | None
    """Fraction of the resamples in which this experiment beats the best; 0.5 for a tie."""
    within: dict[str, float] = field(default_factory=dict)
    """Mean of each metric within the sources of the common variants; empty if there is only one source."""


@dataclass(frozen=True)
class Leaderboard:
    """Rows sorted best first by the first metric; empty where runs of several seeds test different variants."""

    rows: list[Row]
    metrics: tuple[str, ...]
    n_common: int
    level: float
    resamples: int
    notes: list[str] = field(default_factory=list)
    """Caveats to read before quoting a difference."""
    groups: list[SeedGroup] = field(default_factory=list)
    """Groups of runs that differ only in their seeds; empty where there are none. Without `rows` the groups are
    ranked.
    """
    unit: "Unit" = "variants"
    """What the resamples draw: single variants, or positions with all their variants."""

    def _repr_html_(self) -> str:
        """Show it in a notebook: the ranking, and the notes that a reader needs before quoting a difference."""
        from proteinx_pipelines.pages.notebook import leaderboard_html

        return leaderboard_html(self)


def rank_experiments(
    experiments: Sequence[Evaluated],
    metrics: Sequence[str],
    *,
    resamples: int = 1000,
    level: float = 0.95,
    seed: int = 0,
    resample: "Unit | None" = None,
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
        resample: what is drawn, `variants` or `positions`; when None, what the experiments' own intervals draw,
            positions if they differ.

    Raises:
        InputError: fewer than two experiments, two with the same id, or fewer than two common variants.
        ValueError: an unknown metric.
    """
    from proteinx_pipelines.resampling.bootstrap import percentiles

    check_names(metrics)
    if len(experiments) < 2:
        raise InputError("At least two finished experiments are expected to compare. Name more.")
    _refuse_repeated([each.id for each in experiments])
    tables = {each.id: tested(each.predictions) for each in experiments}
    groups = _seed_groups(experiments, tables, metrics)
    common = common_ids(tables)
    if groups and _splits_differ(experiments):
        return Leaderboard([], tuple(metrics), len(common), level, resamples, [_OWN_VARIANTS], groups)
    if len(common) < 2:
        raise InputError(_nothing_common(tables, len(common)))
    unit = resample or unit_of(each.report for each in experiments)
    paired = pair(tables, metrics, resamples=resamples, seed=seed, unit=unit)
    values, drawn, within = paired.values, paired.drawn, paired.within
    notes = [*_notes(experiments, tables, paired), *_pooled_over_sources(values, within)]
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
    return Leaderboard(rows, tuple(metrics), paired.n, level, resamples, notes, groups, unit)


def _pooled_over_sources(
    values: dict[str, dict[str, float]], within: dict[str, dict[str, float]]
) -> list[str]:
    """A note where differences between sources cause a pooled rank correlation."""
    made = [
        f"{name} (pooled {found['spearman']:.3f}, within sources {within[name]['spearman']:.3f})"
        for name, found in values.items()
        if "spearman" in found and found["spearman"] - within[name].get("spearman", np.nan) > ARTEFACT_GAP
    ]
    if not made:
        return []
    return [
        f"The pooled Spearman of {', '.join(made)} comes from differences between sources: quote the mean within them."
    ]


def _refuse_repeated(ids: Sequence[str]) -> None:
    """Rows are identified by id; directories of two WORKDIRs may share one."""
    repeated = sorted(name for name, count in Counter(ids).items() if count > 1)
    if repeated:
        raise InputError(
            f"Several of these experiments are called {', '.join(repeated)}; each id once is expected. Copy the "
            "directory of one of them under another name and compare that."
        )


def _known(value: float) -> float:
    return value if np.isfinite(value) else -np.inf


def _nothing_common(tables: "Mapping[str, pd.DataFrame]", n: int) -> str:
    sizes = ", ".join(f"{name} {len(table)}" for name, table in tables.items())
    return (
        f"{n} variants are tested by all of these experiments ({sizes} tested variants); at least 2 "
        "are expected. Compare experiments on the same data with the same `split.*`."
    )


def _seed_groups(
    experiments: Sequence[Evaluated], tables: "Mapping[str, pd.DataFrame]", metrics: Sequence[str]
) -> list[SeedGroup]:
    """Groups of runs that differ only in their seeds; empty where no two do."""
    flags = {each.id: each.flags.nested() for each in experiments}
    seeds = [{canonical_json(seeds_of(flags[name])) for name in ids} for ids in grouped(flags)]
    if all(len(found) == 1 for found in seeds):
        return []
    titles = {each.id: str(each.report["experiment"]["title"]) for each in experiments}
    return summarize(tables, flags, titles, metrics)


def _splits_differ(experiments: Sequence[Evaluated]) -> bool:
    """True if a seed of the data or the split differs: the test variants then differ too."""
    seeds = [seeds_of(each.flags.nested()) for each in experiments]
    return len({(found.get("data.seed"), found.get("split.seed")) for found in seeds}) > 1


def _notes(
    experiments: Sequence[Evaluated], tables: "Mapping[str, pd.DataFrame]", paired: Paired
) -> list[str]:
    notes = []
    partly = [f"{name} ({len(table):,})" for name, table in tables.items() if len(table) > paired.n]
    if partly:
        notes.append(
            f"Not all tested the same variants: {', '.join(partly)}; {paired.n:,} are common to all."
        )
    if paired.other_targets:
        notes.append(
            f"The targets of {', '.join(paired.other_targets)} are not those of {experiments[0].id} (another "
            f"`transform.*` or other measurements): metrics here are against the targets of {experiments[0].id}."
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
    """One flat record per row, for CSV; one per group of seeds where groups are ranked."""
    if not board.rows:
        return [_group_record(board, place, group) for place, group in enumerate(board.groups, 1)]
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


def _group_record(board: Leaderboard, place: int, group: SeedGroup) -> dict[str, Any]:
    record: dict[str, Any] = {
        "rank": place, "experiments": " ".join(group.ids), "title": group.title, "n_seeds": len(group.ids)
    }  # fmt: skip
    for name in board.metrics:
        record |= {name: group.means[name], f"{name}_deviation": group.deviations[name]}
    mean, deviation, n = group.difference or (0.0 if place == 1 else None, None, None)
    return {**record, "difference": mean, "difference_deviation": deviation, "n_paired": n}
