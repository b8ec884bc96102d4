"""Comparison with published values: within tolerance or not, and whether data, folds, metric or model differ."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.bench.proteingym import AssayScore
from proteinx_pipelines.bench.published import ONE_HOT, Published

TOLERANCE = 0.02


@dataclass(frozen=True)
class Comparison:
    """One score with its published value."""

    score: AssayScore
    published: float | None
    within: bool
    """True if at most `TOLERANCE` below the published value (with `either_way`, nor above it), or without one."""
    reasons: tuple[str, ...]
    """Reasons for a difference above `TOLERANCE`; remarks of the run are always included."""

    @property
    def difference(self) -> float | None:
        """Ours minus the published value."""
        return None if self.published is None else self.score.pooled - self.published


def compare(
    score: AssayScore, published: Published, *, against: str, model: str, either_way: bool
) -> Comparison:
    """Compare a score with the published value of the model `against`.

    Args:
        score: score of this project.
        published: table of published values.
        against: name of a published model.
        model: name of this project's model, for the reasons.
        either_way: also count scores more than `TOLERANCE` above, for assays on which both are known to agree.
    """
    value = published.value(score.name, score.scheme, against)
    if value is None:
        return Comparison(score, None, True, (*score.remarks, f"data: no published value of {against}"))
    difference = score.pooled - value
    # NaN counts as below: a model that predicts one number for all rows has failed.
    below = not difference >= -TOLERANCE
    within = not below and not (either_way and difference > TOLERANCE)
    differs = below or difference > TOLERANCE
    reasons = _reasons(score, value, against=against, model=model) if differs else []
    return Comparison(score, value, within, (*score.remarks, *reasons))


def _reasons(score: AssayScore, value: float, *, against: str, model: str) -> list[str]:
    if abs(score.fold_mean - value) <= TOLERANCE:
        return [f"metric: the mean over folds, {score.fold_mean:.3f}, is the published value"]
    if any(remark.startswith("metric") for remark in score.remarks):
        return ["metric: the published value is as accidental, it depends on initial weights"]
    if score.remarks:
        return []
    if against == ONE_HOT and model == "ridge":
        return ["model: ours is solved exactly, the published one takes 10,000 steps of AdamW"]
    return [f"model: {model} is not {against}; data, folds and metric are the published ones"]


@dataclass(frozen=True)
class Average:
    """Mean Spearman of one model under each scheme; None if it has no value."""

    model: str
    is_ours: bool
    by_scheme: tuple[float | None, ...]
    assays: int
    """Number of assays, under the scheme with the fewest."""

    @property
    def mean(self) -> float | None:
        """Mean over the schemes, if all have a value."""
        found = [value for value in self.by_scheme if value is not None and np.isfinite(value)]
        return float(np.mean(found)) if len(found) == len(self.by_scheme) else None


def averages(
    scores: Sequence[AssayScore], published: Published, schemes: Sequence[str], *, model: str
) -> list[Average]:
    """Ours, then every published model on the same assays, the best first.

    An assay on which our value is undefined is in no row. A published model without values of some assays has a
    smaller number of assays, which its row tells.

    Plain means over assays, unlike ProteinGym's over proteins and kinds of measurement, which need its reference file
    and the values of all its assays.
    """
    ours = [
        [score for score in scores if score.scheme == scheme and np.isfinite(score.pooled)]
        for scheme in schemes
    ]
    first = Average(model, True, tuple(map(mean_pooled, ours)), min(map(len, ours), default=0))
    theirs = []
    for name in published.models:
        assays = [
            [score.name for score in some if published.value(score.name, scheme, name) is not None]
            for scheme, some in zip(schemes, ours, strict=True)
        ]
        means = tuple(
            published.mean(names, scheme, name) for scheme, names in zip(schemes, assays, strict=True)
        )
        if any(assays):
            theirs.append(Average(name, False, means, min(map(len, assays))))
    return [first, *sorted(theirs, key=lambda entry: -(entry.mean or -1.0))]


KINDS = ("data", "folds", "metric", "model")
"""Kinds of reasons for a difference; each reason begins with one of them."""


def why_different(comparisons: Sequence[Comparison]) -> dict[str, int]:
    """Number of assays that differ by more than `TOLERANCE`, by the kind of their first reason."""
    found = dict.fromkeys(KINDS, 0)
    for one in comparisons:
        if one.difference is not None and not abs(one.difference) <= TOLERANCE:
            found[one.reasons[0].partition(":")[0]] += 1
    return found


def mean_pooled(scores: Sequence[AssayScore]) -> float:
    """Mean of the defined pooled values; NaN if there are none."""
    defined = [score.pooled for score in scores if np.isfinite(score.pooled)]
    return float(np.mean(defined)) if defined else float("nan")


def passes(comparisons: Sequence[Comparison], *, each: bool) -> bool:
    """True if the run is not below the published values.

    Args:
        comparisons: of one scheme.
        each: test every assay instead of the mean over those with a published value.
    """
    if each:
        return all(found.within for found in comparisons)
    differences = [found.difference for found in comparisons if found.difference is not None]
    # NaN is not a pass: a model that predicts one number for all rows has failed.
    return not differences or bool(np.mean(differences) >= -TOLERANCE)
