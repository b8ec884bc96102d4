"""Metrics of predictions: the built-in ones, and the register to which plugins add theirs.

A metric maps measured targets and predictions (float64 [n] each, row i is one variant) to one number. Undefined values
(a constant side, no rows, NaN in the input) are NaN, never an exception; the evaluate stage turns them into warnings.
`stages.evaluate` adds confidence intervals and baselines.

NumPy only: a node checks names against this register in processes that must start fast.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.domain.known_names import unknown_in_words
from proteinx_pipelines.errors import PluginError
from proteinx_pipelines.plugins import load_plugins

MetricFunction = Callable[[np.ndarray, np.ndarray], float]
"""`fn(target, prediction)`: float64 [n] and float64 [n], higher meaning "more" in both."""

_NAME = re.compile(r"[a-z][a-z0-9_]{0,49}")
RESERVED_ENDINGS = ("_fold_mean", "_source_mean")
"""The summary has `test/spearman_fold_mean` and `test/spearman_source_mean` beside `test/spearman`."""


@dataclass(frozen=True)
class Metric:
    """One registered metric."""

    name: str
    function: MetricFunction
    lower_is_better: bool = False
    in_target_units: bool = False
    """True if prediction and target are compared number by number (`mse`); undefined for a ranking."""
    version: str = "1"
    """Part of the evaluation's key; raise it when the function gives other numbers."""


_registered: dict[str, Metric] = {}


def register(
    name: str,
    function: MetricFunction,
    *,
    lower_is_better: bool = False,
    in_target_units: bool = False,
    version: str = "1",
) -> None:
    """Add a metric under a name that `evaluate.metrics` can then list.

    Args:
        name: 1 to 50 of a-z 0-9 _, beginning with a letter; appears as `test/<name>`.
        function: `fn(target, prediction) -> float`, both float64 [n]. It must not change its arguments.
        lower_is_better: an error rather than a score; only the report's arrow depends on it.
        in_target_units: True if it compares numbers in the target's unit; baselines that only rank are then left out.
        version: raised by hand when the function gives other numbers; experiments that list it are then evaluated
            again.

    Raises:
        ValueError: the name is not allowed, or belongs to another function; choose another name.
    """
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name.endswith(RESERVED_ENDINGS):
        raise ValueError(
            f"Metric name {name!r}: 1 to 50 of a-z 0-9 _ are expected, beginning with a letter and not "
            f"ending in {' or '.join(map(repr, RESERVED_ENDINGS))}."
        )
    if not callable(function):
        raise ValueError(f"Metric {name!r}: {function!r} is not a function of (target, prediction).")
    metric = Metric(name, function, lower_is_better, in_target_units, str(version))
    if _registered.get(name, metric) != metric:
        owner = _registered[name].function
        raise ValueError(
            f"Metric {name!r} is taken by {owner.__module__}.{getattr(owner, '__qualname__', owner)}. "
            "Register yours under another name."
        )
    _registered[name] = metric


def names() -> tuple[str, ...]:
    """Sorted names of all registered metrics, including those of plugins."""
    load_plugins()
    return tuple(sorted(_registered))


def check_names(wanted: Sequence[str]) -> None:
    """Check that every name is a metric and none is listed twice.

    Raises:
        ValueError: names are unknown; the message lists all of them, each with the nearest known name.
    """
    known = names()
    if unknown := unknown_in_words(wanted, known):
        raise ValueError(f"unknown metric {unknown}; the metrics are {', '.join(known)}")
    twice = sorted({name for name in wanted if list(wanted).count(name) > 1})
    if twice:
        raise ValueError(f"metric {', '.join(map(repr, twice))} is listed twice; list each once")


def metric(name: str) -> Metric:
    """Look up a metric by name.

    Raises:
        ValueError: there is none; the message names the nearest.
    """
    check_names([name])
    return _registered[name]


def find(name: str) -> Metric | None:
    """Look up a metric by name; None if there is none."""
    load_plugins()
    return _registered.get(name)


def compute(name: str, target: np.ndarray, prediction: np.ndarray) -> float:
    """Compute one metric of one set of variants.

    Args:
        name: a name of `names()`.
        target: float [n], measured.
        prediction: float [n], row i is the variant of `target[i]`.

    Returns:
        The value; NaN if n is 0, a number is not finite, or the metric is undefined.

    Raises:
        ValueError: the name is unknown, or the two lengths differ.
        PluginError: a plugin's function raised, or did not return a number; fix the plugin.
    """
    chosen = metric(name)
    target, prediction = np.asarray(target, dtype=np.float64), np.asarray(prediction, dtype=np.float64)
    if target.shape != prediction.shape or target.ndim != 1:
        raise ValueError(
            f"target has shape {target.shape}, prediction {prediction.shape}; two equal [n] are expected"
        )
    if not len(target) or not np.isfinite(target).all() or not np.isfinite(prediction).all():
        return float("nan")
    try:
        return float(chosen.function(target, prediction))
    except Exception as error:
        raise PluginError(
            f"The metric {name!r} failed on {len(target)} variants: {type(error).__name__}: {error}. "
            "Fix the plugin that registers it, or leave it out of `evaluate.metrics`."
        ) from error


def average_ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 1, float64 [n]; equal values share the mean of their ranks, as `scipy.stats.rankdata`."""
    _, group, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - (counts - 1) / 2.0)[group], dtype=np.float64)


def spearman(target: np.ndarray, prediction: np.ndarray) -> float:
    """Spearman's rank correlation, average ranks for ties; NaN when a side is constant."""
    return pearson(average_ranks(target), average_ranks(prediction))


def pearson(target: np.ndarray, prediction: np.ndarray) -> float:
    """Pearson's correlation; NaN when a side is constant."""
    if np.ptp(target) == 0 or np.ptp(prediction) == 0:
        return float("nan")
    x, y = target - target.mean(), prediction - prediction.mean()
    norm = np.linalg.norm(x) * np.linalg.norm(y)
    return float(np.clip(np.dot(x, y) / norm, -1.0, 1.0)) if norm > 0 else float("nan")


def mse(target: np.ndarray, prediction: np.ndarray) -> float:
    """Mean squared error, in the square of the target's unit."""
    return float(np.mean((target - prediction) ** 2))


def mae(target: np.ndarray, prediction: np.ndarray) -> float:
    """Mean absolute error, in the target's unit."""
    return float(np.mean(np.abs(target - prediction)))


def r2(target: np.ndarray, prediction: np.ndarray) -> float:
    """Share of the target's variance that the prediction explains; NaN when all targets are equal.

    1 - (sum of squared errors) / (sum of squares about the mean of these targets), as scikit-learn's `r2_score`:
    negative if the mean would predict better. Not the square of Pearson's correlation.
    """
    if np.ptp(target) == 0:  # the mean is rounded, so the sum below would not be 0
        return float("nan")
    total = float(np.sum((target - target.mean()) ** 2))
    return 1.0 - float(np.sum((target - prediction) ** 2)) / total if total > 0 else float("nan")


def ndcg(target: np.ndarray, prediction: np.ndarray) -> float:
    """Normalised discounted cumulative gain over the 10 % predicted best.

    Gains are the targets scaled to [0, 1]; rank r is discounted by 1 / log2(r + 1); ranks beyond
    k = floor(n / 10), at least 1, do not count; the sum is divided by that of the ideal order. Equal
    predictions share the discounts of the places they fill, so that the value does not depend on the order of
    rows. NaN when all targets are equal.

    Source:
        ProteinGym (Notin et al. 2023), `calc_ndcg` of `proteingym/performance_DMS_benchmarks.py` in
        OATML-Markslab/ProteinGym at bb68524; ties after McSherry and Najork (ECIR 2008), as in
        scikit-learn's `ndcg_score`. ProteinGym breaks ties by row and has 0 for fewer than 10 rows.
    """
    span = np.ptp(target)
    if span == 0:
        return float("nan")
    gains = (target - target.min()) / span
    discounts = ndcg_discounts(len(target))
    _, group, counts = np.unique(-prediction, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    summed = np.concatenate([[0.0], np.cumsum(discounts)])
    shares = (summed[ends] - summed[ends - counts]) / counts
    ideal = np.dot(np.sort(gains)[::-1], discounts)
    return float(np.dot(gains, shares[group]) / ideal)


def ndcg_discounts(n: int) -> np.ndarray:
    """float64 [n]: weight of each rank in `ndcg`, 0 beyond the first floor(n / 10) ranks (at least one)."""
    ranks = np.arange(1, n + 1)
    return np.where(ranks <= max(1, n // 10), 1.0 / np.log2(ranks + 1.0), 0.0)


TOP_PERCENTS = (1, 5, 10, 20)
"""k of `top<k>_recall`."""


def top_recall(target: np.ndarray, prediction: np.ndarray, percent: int) -> float:
    """Fraction of the measured top `percent` that is in the predicted top `percent`.

    The measured top is every variant at or above that percentile from above. The predicted top has as many places as
    n distinct values have at or above theirs; equal predictions at its edge share the places left, which is
    the mean over all ways of breaking the tie. (Counting all of them, as ProteinGym does, gives a constant
    prediction the recall 1.)

    Source:
        ProteinGym (Notin et al. 2023), `calc_toprecall` of `proteingym/performance_DMS_benchmarks.py` in
        OATML-Markslab/ProteinGym at bb68524, equal to it wherever the predicted edge has no tie. Before its
        commit f5e47f1 ProteinGym left out values at the percentile itself: older tables may differ.
    """
    places = top_places(len(target), percent)
    top = target >= np.sort(target)[-places]
    edge = np.sort(prediction)[-places]
    above, at_edge = prediction > edge, prediction == edge
    share = (places - above.sum()) / at_edge.sum()
    return float(((top & above).sum() + share * (top & at_edge).sum()) / top.sum())


def top_places(n: int, percent: int) -> int:
    """Number of n distinct values at or above the percentile `100 - percent` (linear interpolation)."""
    return n - ((100 - percent) * n) // 100


def _top_recall_of(percent: int) -> MetricFunction:
    def recall(target: np.ndarray, prediction: np.ndarray) -> float:
        return top_recall(target, prediction, percent)

    return recall


register("spearman", spearman)
register("pearson", pearson)
register("mse", mse, lower_is_better=True, in_target_units=True)
register("mae", mae, lower_is_better=True, in_target_units=True)
register("r2", r2, in_target_units=True)
register("ndcg", ndcg)
for _percent in TOP_PERCENTS:
    register(f"top{_percent}_recall", _top_recall_of(_percent))

BUILT_IN = tuple(sorted(_registered))
"""Metrics of this package, whose code `EVALUATE_VERSION` covers. All others are of plugins."""
