"""The built-in metrics on many bootstrap resamples at once.

A resample is a column of counts: the number of times each row was drawn. Every metric here is a function of the values
and those counts, so values are sorted once, not per resample, and ranks come from cumulative counts. `metrics` holds
the plain definitions; a test compares the two.

Shapes: n rows, B resamples, G groups of equal values; counts are float64 [n, B], results float64 [B].
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np

from proteinx_pipelines.metrics import TOP_PERCENTS, ndcg_discounts, top_places


@dataclass(frozen=True)
class Values:
    """One number per row, with its groups of equal values in ascending order."""

    numbers: np.ndarray
    """float64 [n]."""

    @cached_property
    def unique(self) -> np.ndarray:
        """float64 [G], ascending."""
        return self._grouping[0]

    @cached_property
    def group(self) -> np.ndarray:
        """int64 [n]: index into `unique`."""
        return self._grouping[1]

    def totals(self, counts: np.ndarray) -> np.ndarray:
        """Sum the counts over the rows of each group, float64 [G, B]."""
        order, starts = self._sorting
        return np.asarray(np.add.reduceat(counts[order], starts, axis=0))

    @cached_property
    def _grouping(self) -> tuple[np.ndarray, np.ndarray]:
        unique, group = np.unique(self.numbers, return_inverse=True)
        return unique, group

    @cached_property
    def _sorting(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.group, kind="stable")
        return order, np.searchsorted(self.group[order], np.arange(len(self.unique)))


def spearman(target: Values, prediction: Values, counts: np.ndarray) -> np.ndarray:
    """Pearson's correlation of average ranks, whose mean is (n + 1) / 2 in every resample."""
    n = len(counts)
    x, y = (_ranks(values, counts) - (n + 1) / 2 for values in (target, prediction))  # [n, B] each
    weighted = counts * x
    covariance = np.einsum("nb,nb->b", weighted, y)
    variances = np.einsum("nb,nb->b", weighted, x) * np.einsum("nb,nb,nb->b", counts, y, y)
    return _ratio(covariance, np.sqrt(variances))


def _ranks(values: Values, counts: np.ndarray) -> np.ndarray:
    # Mean rank of a group: rows below it + (rows in it + 1) / 2. [G, B], then spread to the rows, [n, B].
    totals = values.totals(counts)
    return np.asarray((np.cumsum(totals, axis=0) - (totals - 1) / 2)[values.group])


def pearson(target: Values, prediction: Values, counts: np.ndarray) -> np.ndarray:
    """Pearson's correlation from weighted sums of centred values."""
    x, y = (values.numbers - values.numbers.mean() for values in (target, prediction))
    n = len(counts)
    mean_x, mean_y = x @ counts / n, y @ counts / n  # [B] = [n] @ [n, B]
    variance_x, variance_y = (x * x) @ counts / n - mean_x**2, (y * y) @ counts / n - mean_y**2
    # Rounding leaves about 1e-16 of the whole variance where a resample is constant.
    constant = (variance_x <= 1e-13 * np.mean(x * x)) | (variance_y <= 1e-13 * np.mean(y * y))
    covariance = (x * y) @ counts / n - mean_x * mean_y
    return _ratio(covariance, np.sqrt(np.where(constant, 0.0, variance_x * variance_y)))


def mse(target: Values, prediction: Values, counts: np.ndarray) -> np.ndarray:
    """Mean squared error."""
    return np.asarray((target.numbers - prediction.numbers) ** 2 @ counts / len(counts))


def mae(target: Values, prediction: Values, counts: np.ndarray) -> np.ndarray:
    """Mean absolute error."""
    return np.asarray(np.abs(target.numbers - prediction.numbers) @ counts / len(counts))


def r2(target: Values, prediction: Values, counts: np.ndarray) -> np.ndarray:
    """Explained share of the variance that the targets of each resample have."""
    n, centred = len(counts), target.numbers - target.numbers.mean()
    variance = (centred * centred) @ counts / n - (centred @ counts / n) ** 2
    is_constant = variance <= 1e-13 * np.mean(centred * centred)
    return 1.0 - _ratio(mse(target, prediction, counts), np.where(is_constant, 0.0, variance))


def ndcg(target: Values, prediction: Values, counts: np.ndarray) -> np.ndarray:
    """Discounted gain of the predicted order over that of the ideal one; gains scaled in each resample."""
    summed = np.concatenate([[0.0], np.cumsum(ndcg_discounts(len(counts)))])
    drawn = target.totals(counts)  # [G, B]
    # Lowest and highest target drawn in each resample, [B]. Scaling gains to [0, 1] subtracts `low` from each,
    # which takes low * (sum of all discounts) from both sums; the factor cancels in the ratio.
    present = drawn > 0
    low = target.unique[np.argmax(present, axis=0)]
    high = target.unique[::-1][np.argmax(present[::-1], axis=0)]
    ideal = target.unique @ _discount_of_groups(drawn, summed)  # [B] = [G] @ [G, B]
    # Equal predictions share the discounts of their places, so the mean target of each group is enough.
    totals = prediction.totals(counts)
    means = prediction.totals(counts * target.numbers[:, None]) / np.maximum(totals, 1)
    found = np.einsum("gb,gb->b", means, _discount_of_groups(totals, summed))
    return _ratio(found - low * summed[-1], np.where(high > low, ideal - low * summed[-1], 0.0))


def _discount_of_groups(totals: np.ndarray, summed: np.ndarray) -> np.ndarray:
    """Sum the discounts of the places that each group fills, the highest value first, float64 [G, B]."""
    worse = np.cumsum(totals, axis=0).astype(np.int64)  # rows up to and including the group
    n = len(summed) - 1
    return np.asarray(summed[n - worse + totals.astype(np.int64)] - summed[n - worse])


def top_recall(target: Values, prediction: Values, counts: np.ndarray, percent: int) -> np.ndarray:
    """Share of the measured top that is in the predicted top; ties at the predicted edge share their places."""
    places = top_places(len(counts), percent)
    edge_target, _, _ = _edge(target, counts, places)
    edge, above, at_edge = _edge(prediction, counts, places)
    top = counts * (target.group[:, None] >= edge_target)  # [n, B]: measured top rows
    found_above = np.sum(top, axis=0, where=prediction.group[:, None] > edge)
    found_at_edge = np.sum(top, axis=0, where=prediction.group[:, None] == edge)
    return np.asarray((found_above + (places - above) / at_edge * found_at_edge) / top.sum(axis=0))


def _edge(values: Values, counts: np.ndarray, places: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group of the last top place, rows above it and rows in it, for each resample ([B] each)."""
    totals = values.totals(counts)
    from_top = np.cumsum(totals[::-1], axis=0)
    reached = np.argmax(from_top >= places, axis=0)
    columns = np.arange(totals.shape[1])
    inside = totals[::-1][reached, columns]
    edge = np.asarray(len(totals) - 1 - reached)
    return edge, from_top[reached, columns] - inside, inside


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """`top / bottom`, NaN where `bottom` is 0."""
    return np.asarray(np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0))


ResampledMetric = Callable[[Values, Values, np.ndarray], np.ndarray]
RESAMPLED: dict[str, ResampledMetric] = {
    **{function.__name__: function for function in (spearman, pearson, mse, mae, r2, ndcg)},
    **{f"top{percent}_recall": partial(top_recall, percent=percent) for percent in TOP_PERCENTS},
}
"""Metrics with an implementation on counts, by name; any other is computed resample by resample."""
