"""What a round promised and what was measured: calibration, hits, the additive model on the same plate, surprises."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.resampling.bootstrap import bootstrap_intervals
from proteinx_pipelines.resampling.shares import wilson

_RESAMPLES, _SEED, _LEVEL = 1000, 0, 0.95
_SURPRISES = 5
_FAR = 2.0
"""Deviations between prediction and measurement from which a variant counts as a surprise."""


@dataclass(frozen=True)
class Promised:
    """Proposed variants of a plate that were measured."""

    mutants: Sequence[str]
    """m names, in the user's numbering."""
    prediction: np.ndarray
    deviation: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_wild_type: np.ndarray
    """Promised probability to beat the wild type; NaN where there is none."""
    p_best: np.ndarray
    additive: np.ndarray
    """float64 [m]: predictions of an additive model trained on the same rows."""
    measured: np.ndarray


@dataclass(frozen=True)
class Before:
    """What was known before the plate, in utilities (higher is better)."""

    wild_type: float
    best: float
    beat_wild_type: float | None
    """Share of the variants measured before that beat the wild type."""


@dataclass(frozen=True)
class Hits:
    """Variants of the plate above a mark."""

    mark: float
    expected: float | None
    """Sum of the promised probabilities."""
    deviation: float | None
    """Standard deviation of the number, if the errors are independent of one another."""
    found: int
    before: float | None
    """Share above the mark among the variants measured before."""
    top_half: int
    """Of the half of the plate that the model rated higher."""
    additive_top_half: int
    """Of the half that the additive model rated higher."""
    random_half: float
    """Expected in a half drawn at random."""


@dataclass(frozen=True)
class Judged:
    """A round's promises beside its measurements."""

    round: int
    experiment_id: str
    n: int
    inside: int
    """Measurements inside their 95 % intervals."""
    coverage: float
    coverage_low: float
    coverage_high: float
    bias: float
    """Mean of measured less predicted."""
    bias_se: float | None
    z_rms: float | None
    """Root mean square of (measured - predicted) / deviation: 1 if the deviations are right."""
    spearman: float | None
    spearman_low: float | None
    spearman_high: float | None
    additive_spearman: float | None
    wild_type: Hits
    best: Hits
    best_before: float
    best_now: float
    best_mutant: str | None
    """Null if no variant of the plate beats what was measured before."""
    surprises: list[dict[str, Any]]
    positions: list[dict[str, Any]]
    controls: list[dict[str, Any]]
    variants: list[dict[str, Any]] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """Plain JSON; a part is null where it is undefined."""
        return asdict(self)


def judge(
    number: int,
    experiment_id: str,
    found: Promised,
    utility: Mapping[str, np.ndarray],
    before: Before,
    controls: Sequence[Mapping[str, Any]],
    goal_sign: float,
) -> Judged:
    """Compare promises with measurements.

    Args:
        number: of the round.
        experiment_id: experiment that made the promises.
        found: m >= 1 variants.
        utility: utilities (higher is better) of `measured`, `prediction` and `additive`, float64 [m] each.
        before: what was known.
        controls: controls that were measured again: `mutant`, `before`, `now`.
        goal_sign: 1 or -1: turns the best utility back into a score; 0 where it is none.
    """
    error = found.measured - found.prediction
    n = len(error)
    inside = int(((found.measured >= found.low) & (found.measured <= found.high)).sum())
    low, high = wilson(inside, n)
    known = np.isfinite(found.deviation) & (found.deviation > 0)
    z = np.where(known, error / np.where(known, found.deviation, 1.0), np.nan)
    spearman, interval, simple = _rank_correlations(found)
    top = int(utility["measured"].argmax())
    best_now = max(before.best, float(utility["measured"][top]))
    return Judged(
        round=number, experiment_id=experiment_id, n=n, inside=inside, coverage=inside / n, coverage_low=low,
        coverage_high=high, bias=float(error.mean()),
        bias_se=float(error.std(ddof=1) / np.sqrt(n)) if n > 1 else None,
        z_rms=float(np.sqrt(np.nanmean(z**2))) if known.any() else None,
        spearman=spearman, spearman_low=interval[0], spearman_high=interval[1], additive_spearman=simple,
        wild_type=_hits(before.wild_type, found.p_wild_type, utility, before.beat_wild_type),
        best=_hits(before.best, found.p_best, utility, 0.0),
        best_before=before.best * (goal_sign or 1), best_now=best_now * (goal_sign or 1),
        best_mutant=found.mutants[top] if utility["measured"][top] > before.best else None,
        surprises=_surprises(found, z), positions=_positions(found), controls=[dict(each) for each in controls],
        variants=_variants(found),
    )  # fmt: skip


def _rank_correlations(
    found: Promised,
) -> tuple[float | None, tuple[float | None, float | None], float | None]:
    """Spearman of the predictions with its interval, and of the additive model's."""
    own, simple = (
        _defined(metrics.compute("spearman", found.measured, values)) if len(values) > 1 else None
        for values in (found.prediction, found.additive)
    )
    if own is None:
        return None, (None, None), simple
    ends = bootstrap_intervals(
        ["spearman"], found.measured, {"model": found.prediction}, resamples=_RESAMPLES, level=_LEVEL, seed=_SEED,
        progress=lambda _done, _all: None,
    )  # fmt: skip
    low, high = ends["model"]["spearman"]
    return own, (_defined(low), _defined(high)), simple


def _hits(mark: float, promised: np.ndarray, utility: Mapping[str, np.ndarray], before: float | None) -> Hits:
    hit = utility["measured"] > mark
    half = len(hit) // 2
    known = promised[np.isfinite(promised)]
    return Hits(
        mark=mark,
        expected=float(known.sum()) if len(known) else None,
        deviation=float(np.sqrt((known * (1 - known)).sum())) if len(known) else None,
        found=int(hit.sum()),
        before=before,
        top_half=int(hit[np.argsort(-utility["prediction"], kind="stable")[:half]].sum()),
        additive_top_half=int(hit[np.argsort(-utility["additive"], kind="stable")[:half]].sum()),
        random_half=float(half * hit.mean()),
    )


def _surprises(found: Promised, z: np.ndarray) -> list[dict[str, Any]]:
    """Variants farthest outside of what was predicted, the farthest first."""
    order = np.argsort(-np.abs(np.nan_to_num(z)), kind="stable")
    return [
        {"mutant": found.mutants[k], "prediction": float(found.prediction[k]), "low": float(found.low[k]),
         "high": float(found.high[k]), "measured": float(found.measured[k]), "z": float(z[k])}
        for k in order[:_SURPRISES]
        if abs(np.nan_to_num(z[k])) >= _FAR
    ]  # fmt: skip


def _positions(found: Promised) -> list[dict[str, Any]]:
    """Mutations of the plate by how far their variants are from their predictions on average, at least three each."""
    by_mutation: dict[str, list[int]] = {}
    for k, name in enumerate(found.mutants):
        for part in name.split(":"):
            by_mutation.setdefault(part, []).append(k)
    error = found.measured - found.prediction
    rows: list[dict[str, Any]] = [
        {"mutation": name, "n": len(rows), "error": float(error[rows].mean()),
         "se": float(error[rows].std(ddof=1) / np.sqrt(len(rows)))}
        for name, rows in by_mutation.items()
        if len(rows) >= 3
    ]  # fmt: skip
    return sorted(rows, key=lambda row: -abs(row["error"]))[:_SURPRISES]


def _variants(found: Promised) -> list[dict[str, Any]]:
    columns = ("prediction", "deviation", "low", "high", "additive", "measured")
    return [
        {"mutant": name, **{column: _defined(getattr(found, column)[k]) for column in columns}}
        for k, name in enumerate(found.mutants)
    ]


def _defined(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None
