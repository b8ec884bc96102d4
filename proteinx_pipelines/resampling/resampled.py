"""The built-in metrics on many bootstrap resamples at once.

A resample is a column of counts: the number of times each row was drawn. Every metric here is a function of the values
and those counts, so values are sorted once, not per resample, and ranks come from cumulative counts. `metrics` holds
the plain definitions; a test compares the two.

Shapes: n rows, B resamples, G groups of equal values; counts are float64 [n, B], results float64 [B]. Columns of counts
may have different sums: resamples of whole positions do not all have n rows.
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
    """Pearson's correlation of average ranks, whose mean is (n + 1) / 2 in a resample of n rows."""
    n = counts.sum(axis=0)
    x, y = (_ranks(values, counts) - (n + 1) / 2 for values in (target, prediction))  # [n, B] each
    weighted = counts * x
    covariance = np.einsum("nb,nb->b", weighted, y)
    # Roots first: a product of two variances may overflow.
    deviations = np.sqrt(np.einsum("nb,nb->b", weighted, x)) * np.sqrt(np.einsum("nb,nb,nb->b", counts, y, y))
    return _ratio(covariance, deviations)


def _ranks(values: Values, counts: np.ndarray) -> np.ndarray:
    # Mean rank of a group: rows below it + (rows in it + 1) / 2. [G, B], then spread to the rows, [n, B].
    totals = values.totals(counts)
    return np.asarray((np.cumsum(totals, axis=0) - (totals - 1) / 2)[values.group])


def pearson(target: Values, prediction: Values, counts: np.ndarray) -> np.ndarray:
    """Pearson's correlation from weighted sums of centred values."""
    x, y = (_unit(values.numbers) for values in (target, prediction))
    n = counts.sum(axis=0)
    mean_x, mean_y = x @ counts / n, y @ counts / n  # [B] = [n] @ [n, B]
    variance_x, variance_y = (x * x) @ counts / n - mean_x**2, (y * y) @ counts / n - mean_y**2
    # Rounding leaves about 1e-16 of the whole variance where a resample is constant.
    constant = (variance_x <= 1e-13 * np.mean(x * x)) | (variance_y <= 1e-13 * np.mean(y * y))
    covariance = (x * y) @ counts / n - mean_x * mean_y
    positive = np.where(constant, 0.0, 1.0)
    # Roots first: a product of two variances may overflow or vanish.
    deviations = np.sqrt(np.maximum(variance_x, 0.0)) * np.sqrt(np.maximum(variance_y, 0.0))
    return _ratio(covariance, positive * deviations)


def _unit(values: np.ndarray) -> np.ndarray:
    """Centred values divided by the largest size, float64 [n]; squares of neither large nor small numbers overflow."""
    centred = values - values.mean()
    size = float(np.abs(centred).max(initial=0.0))
    return np.asarray(centred / size if size > 0 else centred)


def mse(target: Values, prediction: Values, counts: np.ndarray) -> np.ndarray:
    """Mean squared error."""
    return np.asarray((target.numbers - prediction.numbers) ** 2 @ counts / counts.sum(axis=0))


def mae(target: Values, prediction: Values, counts: np.ndarray) -> np.ndarray:
    """Mean absolute error."""
    return np.asarray(np.abs(target.numbers - prediction.numbers) @ counts / counts.sum(axis=0))


def r2(target: Values, prediction: Values, counts: np.ndarray) -> np.ndarray:
    """Explained share of the variance that the targets of each resample have."""
    n, centred = counts.sum(axis=0), target.numbers - target.numbers.mean()
    variance = (centred * centred) @ counts / n - (centred @ counts / n) ** 2
    is_constant = variance <= 1e-13 * np.mean(centred * centred)
    return 1.0 - _ratio(mse(target, prediction, counts), np.where(is_constant, 0.0, variance))


def ndcg(target: Values, prediction: Values, counts: np.ndarray) -> np.ndarray:
    """Discounted gain of the predicted order over that of the ideal one; gains scaled in each resample."""
    sizes = counts.sum(axis=0).astype(np.int64)
    # The number of places that count depends on the number of rows: one column of sums per size, [n + 1, B].
    distinct, which = np.unique(sizes, return_inverse=True)
    summed = np.zeros((int(distinct.max()) + 1, len(distinct)))
    for column, size in enumerate(distinct):
        summed[1 : size + 1, column] = np.cumsum(ndcg_discounts(int(size)))
    drawn = target.totals(counts)  # [G, B]
    # Lowest and highest target drawn in each resample, [B]. Scaling gains to [0, 1] subtracts `low` from each,
    # which takes low * (sum of all discounts) from both sums; the factor cancels in the ratio.
    present = drawn > 0
    low = target.unique[np.argmax(present, axis=0)]
    high = target.unique[::-1][np.argmax(present[::-1], axis=0)]
    whole = summed[sizes, which]
    ideal = target.unique @ _discount_of_groups(drawn, summed, which)  # [B] = [G] @ [G, B]
    # Equal predictions share the discounts of their places, so the mean target of each group is enough.
    totals = prediction.totals(counts)
    means = prediction.totals(counts * target.numbers[:, None]) / np.maximum(totals, 1)
    found = np.einsum("gb,gb->b", means, _discount_of_groups(totals, summed, which))
    return _ratio(found - low * whole, np.where(high > low, ideal - low * whole, 0.0))


def _discount_of_groups(totals: np.ndarray, summed: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Sum the discounts of the places that each group fills, the highest value first, float64 [G, B].

    Args:
        totals: float64 [G, B], rows of each group.
        summed: float64 [n + 1, S], discounts of the first places, for each size of a resample.
        which: int64 [B], size of each resample.
    """
    worse = np.cumsum(totals, axis=0).astype(np.int64)  # rows up to and including the group
    better = worse[-1] - worse
    return np.asarray(summed[better + totals.astype(np.int64), which] - summed[better, which])


def top_recall(target: Values, prediction: Values, counts: np.ndarray, percent: int) -> np.ndarray:
    """Share of the measured top that is in the predicted top; ties at the predicted edge share their places."""
    places = np.asarray([top_places(int(n), percent) for n in counts.sum(axis=0)])
    edge_target, _, _ = _edge(target, counts, places)
    edge, above, at_edge = _edge(prediction, counts, places)
    top = counts * (target.group[:, None] >= edge_target)  # [n, B]: measured top rows
    found_above = np.sum(top, axis=0, where=prediction.group[:, None] > edge)
    found_at_edge = np.sum(top, axis=0, where=prediction.group[:, None] == edge)
    return np.asarray((found_above + (places - above) / at_edge * found_at_edge) / top.sum(axis=0))


def _edge(
    values: Values, counts: np.ndarray, places: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
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
