"""Differences between two generations of experiments: flags, stages, rows, metrics.

Read from the files of the experiments; nothing is computed again. A metric is comparable only on the same rows, so
each difference states whether the rows are the same.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from proteinx_pipelines.experiment_dir.files import read_parquet
from proteinx_pipelines.experiment_dir.layout import ASSIGNMENT, PREDICTIONS, VARIANTS
from proteinx_pipelines.flags.changes import changed_flags
from proteinx_pipelines.metrics import RESERVED_ENDINGS, find
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.stages import STAGES, Stage
from proteinx_pipelines.resampling.bootstrap import percentiles
from proteinx_pipelines.services.pairing import Paired, common_ids, pair, tested, unit_of
from proteinx_pipelines.services.ports import OpenedGeneration

_TEST = "test/"
_RESAMPLES, _LEVEL = 1000, 0.95
_LEAST_PAIRED = 10
"""Below this number of common test variants no paired interval is computed."""
SHOWN = 10
"""Number of example rows listed."""


@dataclass(frozen=True)
class StageDifference:
    """One stage on both sides."""

    stage: str
    same: bool
    """True if both have the same key, and so the same result by construction."""
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class RowDifference:
    """Variants on both sides, by id."""

    before: int
    after: int
    gained: int
    lost: int
    retargeted: int
    """Variants on both sides with different targets."""
    examples: Mapping[str, tuple[str, ...]]
    """`gained`, `lost`, `retargeted` -> a few example ids."""


@dataclass(frozen=True)
class PairedChange:
    """After minus before on the variants that both tested, with a paired bootstrap interval."""

    n: int
    change: float
    low: float
    high: float


@dataclass(frozen=True)
class MetricDifference:
    """One headline metric on both sides; an interval is (low, high) or None."""

    name: str
    before: float | None
    after: float | None
    interval_before: tuple[float, float] | None
    interval_after: tuple[float, float] | None
    lower_is_better: bool
    paired: "PairedChange | None" = None
    """The change on the variants that both tested; None where it cannot be computed."""

    @property
    def change(self) -> float | None:
        """After minus before, where both are defined."""
        return None if self.before is None or self.after is None else self.after - self.before

    @property
    def differs(self) -> bool | None:
        """True if the paired interval of the change excludes 0; None where nothing could be paired."""
        return None if self.paired is None else not self.paired.low <= 0 <= self.paired.high


@dataclass(frozen=True)
class Comparison:
    """All differences between two sides."""

    flags: tuple[str, ...]
    """Sentences: "`split.method` changed from random to modulo"."""
    stages: tuple[StageDifference, ...]
    """Every experiment's stages, and the others that one of the two has."""
    rows: RowDifference | None
    """None where the variants of one side are no longer available."""
    same_test_rows: bool | None
    """True if the metrics were measured on the same variants; None where that is unknown."""
    metrics: tuple[MetricDifference, ...]


def compare(before: OpenedGeneration, after: OpenedGeneration) -> Comparison:
    """Compare two generations, of one experiment or of two."""
    return Comparison(
        flags=tuple(changed_flags(before.flags, after.flags)),
        stages=tuple(
            _stage(before, after, name) for name, stage in STAGES.items() if _is_asked(before, after, stage)
        ),
        rows=_rows(before, after),
        same_test_rows=_same_entry(before, after, "split") or _same_tests(before, after),
        metrics=tuple(_metrics(before, after)),
    )


def _is_asked(before: OpenedGeneration, after: OpenedGeneration, stage: Stage) -> bool:
    """Whether a difference in it can mean something: every experiment has it, or one of the two does."""
    return stage.asked_for_by is None or stage.name in before.stages or stage.name in after.stages


def _stage(before: OpenedGeneration, after: OpenedGeneration, stage: str) -> StageDifference:
    one, other = before.stages.get(stage), after.stages.get(stage)
    if one is None or other is None:
        missing = before.name if one is None else after.name
        return StageDifference(stage, False, (f"{missing} has not finished it",))
    if one.key == other.key:
        return StageDifference(stage, True, ())
    return StageDifference(stage, False, tuple(_reasons(one, other)))


def _reasons(one: StageEntry, other: StageEntry) -> list[str]:
    reasons = []
    if one.version != other.version:
        reasons.append(f"code version changed from {one.version} to {other.version}")
    reasons += changed_flags(one.flags, other.flags)
    inputs = sorted(one.inputs.keys() | other.inputs.keys())
    reasons += [f"`{name}` differs" for name in inputs if one.inputs.get(name) != other.inputs.get(name)]
    if one.digests.get("all") == other.digests.get("all"):
        reasons.append("the result is unchanged")
    return reasons


def _same_entry(before: OpenedGeneration, after: OpenedGeneration, stage: str) -> bool:
    one, other = before.stages.get(stage), after.stages.get(stage)
    return one is not None and other is not None and one.key == other.key


def _rows(before: OpenedGeneration, after: OpenedGeneration) -> RowDifference | None:
    one, other = _targets(before), _targets(after)
    if one is None or other is None:
        return None
    ids_before, ids_after = one.column("id"), other.column("id")
    lost = ids_before.filter(pc.invert(pc.is_in(ids_before, value_set=ids_after)))
    gained = ids_after.filter(pc.invert(pc.is_in(ids_after, value_set=ids_before)))
    changed = _retargeted(one, other)
    examples = {"gained": (gained, other), "lost": (lost, one), "retargeted": (changed, other)}
    return RowDifference(
        before=len(ids_before), after=len(ids_after), gained=len(gained), lost=len(lost), retargeted=len(changed),
        examples={what: _shown(ids.slice(0, SHOWN), table) for what, (ids, table) in examples.items()},
    )  # fmt: skip


def _targets(side: OpenedGeneration) -> pa.Table | None:
    path = side.file("transform", VARIANTS)
    return None if path is None else read_parquet(path).select(["id", "source", "mutant", "target"])


def _shown(ids: pa.ChunkedArray, table: pa.Table) -> tuple[str, ...]:
    """`<source>/<mutant>` of some rows in the table's own numbering, which the ids do not carry."""
    found = table.take(pc.index_in(ids, value_set=table.column("id").combine_chunks()))
    columns = (found.column(name).to_pylist() for name in ("source", "mutant"))
    return tuple(f"{source}/{mutant}" for source, mutant in zip(*columns, strict=True))


def _retargeted(one: pa.Table, other: pa.Table) -> Any:
    places = pc.index_in(one.column("id"), value_set=other.column("id").combine_chunks())
    both = pc.is_valid(places)
    before = one.column("target").filter(both).to_numpy(zero_copy_only=False)
    after = other.column("target").take(places.filter(both)).to_numpy(zero_copy_only=False)
    differs = ~((before == after) | (np.isnan(before) & np.isnan(after)))
    return one.column("id").filter(both).filter(pa.array(differs))


def _same_tests(before: OpenedGeneration, after: OpenedGeneration) -> bool | None:
    one, other = _tested(before), _tested(after)
    return None if one is None or other is None else one == other


def _tested(side: OpenedGeneration) -> set[tuple[str, str]] | None:
    """(fold, id) of every test row."""
    path = side.file("split", ASSIGNMENT)
    if path is None:
        return None
    table = read_parquet(path)
    columns = [name for name in table.column_names if name == "part" or name.startswith("fold_")]
    found: set[tuple[str, str]] = set()
    for name in columns:
        ids = table.column("id").filter(pc.equal(table.column(name), "test"))
        found |= {(name, text) for text in ids.to_pylist()}
    return found


def _metrics(before: OpenedGeneration, after: OpenedGeneration) -> list[MetricDifference]:
    reports = [side.report for side in (before, after)]
    summaries = [report.summary if report is not None else {} for report in reports]
    names = list(dict.fromkeys([*summaries[0], *summaries[1]]))
    lower = {name for report in reports if report is not None for name in report.lower_is_better}
    paired = _paired(before, after, names)
    return [
        MetricDifference(
            name, summaries[0].get(name), summaries[1].get(name), _interval(before, name), _interval(after, name),
            _metric_of(name) in lower, paired.get(name),
        )
        for name in names
    ]  # fmt: skip


def _paired(
    before: OpenedGeneration, after: OpenedGeneration, names: Sequence[str]
) -> dict[str, PairedChange]:
    """Paired changes of the metrics; empty if too few tested variants are common or their targets differ."""
    files = [side.file("evaluate", PREDICTIONS) for side in (before, after)]
    metrics = [name.removeprefix(_TEST) for name in names if name.startswith(_TEST)]
    known = [name for name in metrics if find(name) is not None]
    if None in files or not known or not all(side.report for side in (before, after)):
        return {}
    tables = {
        which: tested(read_parquet(path).to_pandas())
        for which, path in zip(("before", "after"), files, strict=True)
        if path is not None
    }
    if len(common_ids(tables)) < _LEAST_PAIRED:
        return {}
    unit = unit_of(side.report.model_dump() for side in (before, after) if side.report is not None)
    found = pair(tables, known, resamples=_RESAMPLES, seed=0, unit=unit)
    return {} if found.other_targets else {f"{_TEST}{name}": _change(found, name) for name in known}


def _change(found: Paired, name: str) -> PairedChange:
    gaps = found.drawn["after"][name] - found.drawn["before"][name]
    low, high = percentiles(gaps, _LEVEL)
    return PairedChange(found.n, found.values["after"][name] - found.values["before"][name], low, high)


def _metric_of(name: str) -> str:
    """`test/mse_fold_mean` -> `mse`."""
    metric = name.partition("/")[2]
    return next((metric.removesuffix(view) for view in RESERVED_ENDINGS if metric.endswith(view)), metric)


def _interval(side: OpenedGeneration, name: str) -> tuple[float, float] | None:
    part, _, metric = name.partition("/")
    metrics = side.report.metrics.get(part) if side.report is not None else None
    found = metrics.values.get(metric) if metrics is not None else None
    if found is None or found.low is None or found.high is None:
        return None
    return float(found.low), float(found.high)
