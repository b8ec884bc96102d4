"""Groups experiments that differ only in their seeds: mean and deviation, and differences paired by seed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from proteinx_pipelines.flags.tree import NOT_JUDGED, canonical_json, plugin_flags
from proteinx_pipelines.metrics import compute, metric

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class SeedGroup:
    """The runs of one experiment with several seeds."""

    ids: tuple[str, ...]
    title: str
    means: dict[str, float]
    """Metric -> mean over the runs, each on its own test variants."""
    deviations: dict[str, float]
    """Metric -> standard deviation over the runs (n - 1)."""
    difference: tuple[float, float, int] | None
    """First metric, difference to the best group: mean and deviation over pairs of runs with the same seeds, and the
    number of pairs. None for the best itself, or where no seeds match.
    """


def grouped(flags: Mapping[str, Mapping[str, Any]]) -> list[list[str]]:
    """Names of experiments grouped by their flags without seeds, in order; `flags` are nested, by name."""
    groups: dict[str, list[str]] = {}
    for name, nested in flags.items():
        groups.setdefault(canonical_json(_without_seeds(nested)), []).append(name)
    return list(groups.values())


def seeds_of(nested: Mapping[str, Any]) -> dict[str, Any]:
    """The seeds of a flag set, by dotted name."""
    found: dict[str, Any] = {}
    for group, values in nested.items():
        if isinstance(values, Mapping) and group not in NOT_JUDGED:
            found |= {f"{group}.{name}": value for name, value in values.items() if name == "seed"}
    return found


def _without_seeds(nested: Mapping[str, Any]) -> dict[str, Any]:
    return {
        group: {name: value for name, value in values.items() if name != "seed"}
        if isinstance(values, Mapping)
        else values
        for group, values in nested.items()
        if group not in NOT_JUDGED
    } | {"ext": plugin_flags(nested)}


def summarize(
    tables: "Mapping[str, pd.DataFrame]",
    flags: Mapping[str, Mapping[str, Any]],
    titles: Mapping[str, str],
    metrics: Sequence[str],
) -> list[SeedGroup]:
    """Means and deviations of each group, from the best to the worst by the first metric.

    Args:
        tables: experiment -> its tested variants (`pairing.tested`).
        flags: experiment -> its flags, nested.
        titles: experiment -> data, model and representation.
        metrics: the first one ranks.
    """
    values = {
        name: {each: compute(each, *(table[column].to_numpy(np.float64) for column in ("target", "prediction")))
               for each in metrics}
        for name, table in tables.items()
    }  # fmt: skip
    first, sign = metrics[0], -1.0 if metric(metrics[0]).lower_is_better else 1.0
    groups = sorted(grouped(flags), key=lambda ids: -_known(sign * _mean(values, ids, first)))
    best = groups[0]
    return [
        SeedGroup(
            ids=tuple(ids),
            title=titles[ids[0]],
            means={each: _mean(values, ids, each) for each in metrics},
            deviations={each: _deviation([values[name][each] for name in ids]) for each in metrics},
            difference=None if ids is best else _difference(values, flags, ids, best, first),
        )
        for ids in groups
    ]


def _difference(
    values: Mapping[str, Mapping[str, float]], flags: Mapping[str, Mapping[str, Any]], ids: Sequence[str],
    best: Sequence[str], name: str,
) -> tuple[float, float, int] | None:  # fmt: skip
    """Differences between runs with the same seeds, so that effects of the seed common to both cancel."""
    by_seeds = {canonical_json(seeds_of(flags[each])): each for each in best}
    pairs = [(each, by_seeds.get(canonical_json(seeds_of(flags[each])))) for each in ids]
    gaps = [values[each][name] - values[other][name] for each, other in pairs if other is not None]
    return (float(np.mean(gaps)), _deviation(gaps), len(gaps)) if gaps else None


def _mean(values: Mapping[str, Mapping[str, float]], ids: Sequence[str], name: str) -> float:
    return float(np.mean([values[each][name] for each in ids]))


def _deviation(found: Sequence[float]) -> float:
    return float(np.std(found, ddof=1)) if len(found) > 1 else float("nan")


def _known(value: float) -> float:
    return value if np.isfinite(value) else -np.inf
