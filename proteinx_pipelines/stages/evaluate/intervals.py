"""Confidence intervals of the model and of the baselines, by variants and by positions.

Where test positions were not measured in training, the report's intervals draw whole positions; the other kind stands
beside them for the model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.flags.evaluate import EvaluateFlags, enough_resamples
from proteinx_pipelines.flags.split import leaves_out_positions
from proteinx_pipelines.positions import changed_sites
from proteinx_pipelines.records import Split, VariantTable
from proteinx_pipelines.resampling.bootstrap import Interval, bootstrap_intervals
from proteinx_pipelines.resampling.units import Unit, position_groups
from proteinx_pipelines.stages.evaluate import passes
from proteinx_pipelines.stages.evaluate.baselines import Baseline
from proteinx_pipelines.stages.evaluate.predict import Predictions

MODEL = "model"
"""The trained model's name among the predictors that are resampled."""


@dataclass(frozen=True)
class Drawn:
    """What is drawn, and why."""

    unit: Unit
    reason: str
    """A clause: "the split keeps positions together"."""
    groups: np.ndarray
    """int64 [P]: position of each test row of the first pass."""

    @property
    def n_positions(self) -> int:
        """Number of positions of the test rows."""
        return int(self.groups.max(initial=-1)) + 1

    def of(self, unit: Unit) -> np.ndarray | None:
        """Groups to draw whole; None for single variants."""
        return self.groups if unit == "positions" else None


def resamples_of(flags: EvaluateFlags) -> int:
    """Number of bootstrap resamples: those asked for, else enough for the level."""
    return enough_resamples(flags.ci) if flags.bootstrap is None else flags.bootstrap


def what_is_drawn(variants: VariantTable, split: Split, test: Predictions, flags: EvaluateFlags) -> Drawn:
    """Choose the unit: `evaluate.resample`, else positions where the split tests new ones.

    Args:
        variants: N rows.
        split: of those rows.
        test: P test rows of the first pass.
        flags: `evaluate.*`.
    """
    chosen = variants.rows.select(["source", "mutant"]).take(test.rows)
    groups = position_groups(chosen.column("source").to_pylist(), chosen.column("mutant"))
    if flags.resample is not None:
        return Drawn(flags.resample, "`evaluate.resample` asks for it", groups)
    if leaves_out_positions(split.info.get("method"), split.info.get("held_out")):
        return Drawn("positions", "the split keeps the variants of a position together", groups)
    if changed_sites(variants).are_new(split.folds):
        return Drawn("positions", "most test variants change positions that are not trained on", groups)
    return Drawn("variants", "test variants change positions that are trained on too", groups)


def find_intervals(
    flags: EvaluateFlags,
    drawn: Drawn,
    target: np.ndarray,
    by_pass: Sequence[Predictions],
    baselines: Sequence[Sequence[Baseline]],
    progress: Callable[[float], None],
) -> tuple[dict[str, dict[str, Interval]], dict[str, Interval]]:
    """Intervals of the mean over passes, for the model and each baseline, if all passes test the same rows.

    Rows are resampled alike in all passes. If passes test different rows, there is no interval of the mean: that of a
    single pass might not contain it.

    Args:
        flags: `evaluate.*`.
        drawn: of `what_is_drawn`.
        target: float64 [N].
        by_pass: test predictions, pass by pass.
        baselines: one list for each pass.
        progress: called with the share done, 0 to 1; its exceptions propagate.

    Returns:
        predictor -> metric -> interval in the unit of `drawn`; and the model's intervals in the other unit.
    """
    if not passes.same_rows(by_pass):
        return {}, {}
    of_pass: dict[str, list[np.ndarray]] = {MODEL: [own.prediction for own in by_pass]}
    of_pass |= {each[0].name: [one.prediction for one in each] for each in zip(*baselines, strict=True)}
    members = {
        who: tuple(f"{who} {number}" for number in range(len(found)))
        for who, found in of_pass.items()
        if all(np.isfinite(values).all() for values in found)
    }
    predictors = {
        name: values
        for who, names in members.items()
        for name, values in zip(names, of_pass[who], strict=True)
    }
    own = {name: predictors[name] for name in members.get(MODEL, ())}

    def intervals(
        unit: Unit, chosen: Mapping[str, np.ndarray], begin: float, end: float
    ) -> dict[str, dict[str, Interval]]:
        return bootstrap_intervals(
            flags.metrics, target[by_pass[0].rows], chosen,
            resamples=resamples_of(flags), level=flags.ci, seed=flags.seed,
            progress=lambda done, total: progress(begin + (end - begin) * done / total),
            averaged={who: names for who, names in members.items() if set(names) <= chosen.keys()},
            groups=drawn.of(unit),
        )  # fmt: skip

    other: Unit = "variants" if drawn.unit == "positions" else "positions"
    main = intervals(drawn.unit, predictors, 0.0, 0.8)
    return main, intervals(other, own, 0.8, 1.0).get(MODEL, {}) if own else {}


def interval_facts(flags: EvaluateFlags, drawn: Drawn) -> dict[str, Any]:
    """Entry `interval` of the report."""
    return {
        "level": flags.ci,
        "resamples": resamples_of(flags),
        "seed": flags.seed,
        "method": "percentile",
        "unit": drawn.unit,
        "unit_because": drawn.reason,
        "positions": drawn.n_positions,
    }


def with_other_unit(
    values: dict[str, dict[str, Any]], drawn: Drawn, other: Mapping[str, Interval]
) -> dict[str, dict[str, Any]]:
    """Add both intervals to a table of metrics: `by_variants` and `by_positions`, [low, high] each."""
    mine, theirs = (
        ("by_positions", "by_variants") if drawn.unit == "positions" else ("by_variants", "by_positions")
    )
    for name, entry in values.items():
        if "low" in entry:
            entry[mine] = [entry["low"], entry["high"]]
            if name in other:
                entry[theirs] = list(other[name])
    return values
