"""Percentile bootstrap intervals over rows (Efron and Tibshirani 1993, chapter 13).

Rows are drawn with replacement; the targets and all predictors use the same draws, so that two predictors of one
report are compared on equal terms. Rows that go together, such as the variants of one position, are drawn together
(`groups`; Field and Welsh 2007, "Bootstrapping clustered data"): their errors are not independent. The training data
are fixed: the interval covers the uncertainty of the *score of this model*, not the variation over training sets.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.resampling.resampled import RESAMPLED, Counted, Resamples, Values

Interval = tuple[float, float]
"""Lower and upper end; NaN where the metric is undefined."""

_COUNTS_PER_CHUNK = 1 << 18
"""Entries of one chunk of counts (2 MiB): a dozen arrays of that size bound the memory, and stay in the cache."""


def bootstrap_intervals(
    names: Sequence[str],
    target: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    *,
    resamples: int,
    level: float,
    seed: int,
    progress: Callable[[int, int], None],
    averaged: Mapping[str, Sequence[str]] | None = None,
    groups: np.ndarray | None = None,
) -> dict[str, dict[str, Interval]]:
    """Compute intervals of every metric for every predictor.

    Args:
        names: metrics by name.
        target: float64 [n], finite.
        predictions: predictor -> float64 [n], finite; row i is the variant of `target[i]`.
        resamples: B, number of draws of n rows; 0 gives no intervals.
        level: of the interval, as a fraction: 0.95 leaves 2.5 % on each side.
        seed: of the draws; equal input and seed give equal intervals, however they are chunked.
        progress: called with (resamples done, B) a few times; its exceptions propagate.
        averaged: predictor -> predictors whose mean value it stands for, resample by resample.
        groups: int64 [n], numbers from 0 without gaps; whole groups are drawn, as many as there are. None: rows.

    Returns:
        predictor -> metric -> (lower, upper). Resamples in which the metric is undefined are left out.
    """
    if resamples == 0 or len(target) < 2 or (groups is not None and groups.max() < 1):
        return {}
    drawn = resampled_values(
        names, target, predictions, resamples=resamples, seed=seed, progress=progress, groups=groups
    )
    for who, members in (averaged or {}).items():
        if all(member in drawn for member in members):
            drawn[who] = {name: np.mean([drawn[each][name] for each in members], axis=0) for name in names}
    return {
        who: {name: percentiles(values, level) for name, values in found.items()}
        for who, found in drawn.items()
    }


def resampled_values(
    names: Sequence[str],
    target: np.ndarray,
    predictions: Mapping[str, np.ndarray],
    *,
    resamples: int,
    seed: int,
    progress: Callable[[int, int], None],
    groups: np.ndarray | None = None,
) -> dict[str, dict[str, np.ndarray]]:
    """Compute every metric of every predictor on the same resamples: predictor -> metric -> float64 [B].

    Arguments are those of `bootstrap_intervals`. The difference of two predictors, resample by resample, is the
    paired bootstrap.
    """
    measured = Values(target)
    predicted = {name: Values(prediction) for name, prediction in predictions.items()}
    drawn: dict[tuple[str, str], list[np.ndarray]] = {(who, name): [] for who in predicted for name in names}
    done = 0
    for counts in draws(len(target), resamples, seed, groups):
        chunk = Resamples(counts)
        target_on = chunk.of(measured)
        for who, values in predicted.items():
            prediction_on = chunk.of(values)
            for name in names:
                drawn[who, name].append(_evaluate(name, target_on, prediction_on))
        done += counts.shape[1]
        progress(done, resamples)
    return {who: {name: np.concatenate(drawn[who, name]) for name in names} for who in predicted}


def draws(n: int, resamples: int, seed: int, groups: np.ndarray | None = None) -> Iterator[np.ndarray]:
    """Yield chunks of counts, float64 [n, b]; every column sums to n where single rows are drawn.

    Args:
        n: rows.
        resamples: number of columns in all.
        seed: of the draws.
        groups: int64 [n], drawn whole; None: rows.
    """
    random = np.random.default_rng(seed)
    units = n if groups is None else int(groups.max()) + 1
    at_once = max(1, _COUNTS_PER_CHUNK // n)
    for start in range(0, resamples, at_once):
        size = min(at_once, resamples - start)
        counts = np.empty((n, size))
        for column in range(size):
            # One draw per column, so that the result does not depend on the chunk size.
            drawn = np.bincount(random.integers(0, units, units), minlength=units)
            counts[:, column] = drawn if groups is None else drawn[groups]
        yield counts


def _evaluate(name: str, target: Counted, prediction: Counted) -> np.ndarray:
    if name in RESAMPLED:
        return RESAMPLED[name](target, prediction)
    rows = [np.repeat(np.arange(len(column)), column.astype(np.int64)) for column in target.counts.T]
    return np.array(
        [metrics.compute(name, target.numbers[drawn], prediction.numbers[drawn]) for drawn in rows]
    )


def percentiles(values: np.ndarray, level: float) -> Interval:
    """Interval that contains `level` of the resampled values (float64 [B]); undefined ones are left out."""
    defined = values[np.isfinite(values)]
    if not len(defined):
        return float("nan"), float("nan")
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)
