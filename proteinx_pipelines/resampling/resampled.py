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
        ordered = counts[order]
        return ordered if len(starts) == len(order) else np.asarray(np.add.reduceat(ordered, starts, axis=0))

    @cached_property
    def _grouping(self) -> tuple[np.ndarray, np.ndarray]:
        unique, group = np.unique(self.numbers, return_inverse=True)
        return unique, group

    @cached_property
    def _sorting(self) -> tuple[np.ndarray, np.ndarray]:
        order = np.argsort(self.group, kind="stable")
        return order, np.searchsorted(self.group[order], np.arange(len(self.unique)))


@dataclass(frozen=True)
class Resamples:
    """Columns of counts, and what depends on their sums alone."""

    counts: np.ndarray
    """float64 [n, B]."""

    @cached_property
    def sizes(self) -> np.ndarray:
        """int64 [B]: rows of each resample."""
        return np.asarray(self.counts.sum(axis=0).astype(np.int64))

    @cached_property
    def discounts(self) -> tuple[np.ndarray, np.ndarray]:
        """Discounts of the first places summed up, float64 [n + 1, S], and the column of each resample, int64 [B].

        The number of places that count depends on the number of rows: one column for each of the S sizes.
        """
        distinct, which = np.unique(self.sizes, return_inverse=True)
        summed = np.zeros((int(distinct.max()) + 1, len(distinct)))
        for column, size in enumerate(distinct):
            summed[1 : size + 1, column] = np.cumsum(ndcg_discounts(int(size)))
        return summed, which

    def of(self, values: Values) -> "Counted":
        """Values with these counts."""
        return Counted(values, self)


@dataclass(frozen=True)
class Counted:
    """Values on resamples, with what several metrics need of them: each is computed once."""

    values: Values
    resamples: Resamples

    @property
    def numbers(self) -> np.ndarray:
        """float64 [n]."""
        return self.values.numbers

    @property
    def counts(self) -> np.ndarray:
        """float64 [n, B]."""
        return self.resamples.counts

    @cached_property
    def totals(self) -> np.ndarray:
        """Rows in each group, float64 [G, B]."""
        return self.values.totals(self.counts)

    @cached_property
    def up_to(self) -> np.ndarray:
        """Rows in each group and those of smaller values, float64 [G, B]; whole numbers, so that sums are exact."""
        return np.cumsum(self.totals, axis=0)

    @cached_property
    def ranks(self) -> np.ndarray:
        """Average rank of each row, float64 [n, B]: rows below its group + (rows in it + 1) / 2."""
        return np.asarray((self.up_to - (self.totals - 1) / 2)[self.values.group])

    @cached_property
    def discounts(self) -> np.ndarray:
        """Sum of the discounts of the places that each group fills, the highest value first, float64 [G, B]."""
        summed, which = self.resamples.discounts
        worse = self.up_to.astype(np.int64)
        better = worse[-1] - worse
        end = better + self.totals.astype(np.int64)
        if summed.shape[1] == 1:
            return np.asarray(summed[:, 0].take(end) - summed[:, 0].take(better))
        return np.asarray(summed[end, which] - summed[better, which])

    def edge(self, places: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Group of the last of the top places, rows above it and rows in it, for each resample ([B] each)."""
        n = self.up_to[-1]
        edge = np.minimum((self.up_to <= n - places).sum(axis=0), len(self.totals) - 1)
        columns = np.arange(len(n))
        return edge, n - self.up_to[edge, columns], self.totals[edge, columns]


def spearman(target: Counted, prediction: Counted) -> np.ndarray:
    """Pearson's correlation of average ranks, whose mean is (n + 1) / 2 in a resample of n rows."""
    counts = target.counts
    n = counts.sum(axis=0)
    x, y = (values.ranks - (n + 1) / 2 for values in (target, prediction))  # [n, B] each
    weighted = counts * x
    covariance = np.einsum("nb,nb->b", weighted, y)
    # Roots first: a product of two variances may overflow.
    deviations = np.sqrt(np.einsum("nb,nb->b", weighted, x)) * np.sqrt(np.einsum("nb,nb,nb->b", counts, y, y))
    return _ratio(covariance, deviations)


def pearson(target: Counted, prediction: Counted) -> np.ndarray:
    """Pearson's correlation from weighted sums of centred values."""
    x, y = (_unit(values.numbers) for values in (target, prediction))
    counts = target.counts
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


def mse(target: Counted, prediction: Counted) -> np.ndarray:
    """Mean squared error."""
    return np.asarray((target.numbers - prediction.numbers) ** 2 @ target.counts / target.resamples.sizes)


def mae(target: Counted, prediction: Counted) -> np.ndarray:
    """Mean absolute error."""
    return np.asarray(np.abs(target.numbers - prediction.numbers) @ target.counts / target.resamples.sizes)


def r2(target: Counted, prediction: Counted) -> np.ndarray:
    """Explained share of the variance that the targets of each resample have."""
    counts, centred = target.counts, target.numbers - target.numbers.mean()
    n = counts.sum(axis=0)
    variance = (centred * centred) @ counts / n - (centred @ counts / n) ** 2
    is_constant = variance <= 1e-13 * np.mean(centred * centred)
    return 1.0 - _ratio(mse(target, prediction), np.where(is_constant, 0.0, variance))


def ndcg(target: Counted, prediction: Counted) -> np.ndarray:
    """Discounted gain of the predicted order over that of the ideal one; gains scaled in each resample."""
    # Lowest and highest target drawn in each resample, [B]. Scaling gains to [0, 1] subtracts `low` from each,
    # which takes low * (sum of all discounts) from both sums; the factor cancels in the ratio.
    present, unique = target.totals > 0, target.values.unique
    low = unique[np.argmax(present, axis=0)]
    high = unique[::-1][np.argmax(present[::-1], axis=0)]
    summed, which = target.resamples.discounts
    whole = summed[target.resamples.sizes, which]
    ideal = unique @ target.discounts  # [B] = [G] @ [G, B]
    # Equal predictions share the discounts of their places, so the mean target of each group is enough.
    gains = prediction.values.totals(target.counts * target.numbers[:, None])
    means = gains / np.maximum(prediction.totals, 1)
    found = np.einsum("gb,gb->b", means, prediction.discounts)
    return _ratio(found - low * whole, np.where(high > low, ideal - low * whole, 0.0))


def top_recall(target: Counted, prediction: Counted, percent: int) -> np.ndarray:
    """Share of the measured top that is in the predicted top; ties at the predicted edge share their places."""
    places = np.asarray([top_places(int(n), percent) for n in target.resamples.sizes])
    edge_target, _, _ = target.edge(places)
    edge, above, at_edge = prediction.edge(places)
    top = target.counts * (target.values.group[:, None] >= edge_target)  # [n, B]: measured top rows
    group = prediction.values.group[:, None]
    found_above = np.sum(top, axis=0, where=group > edge)
    found_at_edge = np.sum(top, axis=0, where=group == edge)
    return np.asarray((found_above + (places - above) / at_edge * found_at_edge) / top.sum(axis=0))


def _ratio(top: np.ndarray, bottom: np.ndarray) -> np.ndarray:
    """`top / bottom`, NaN where `bottom` is 0."""
    return np.asarray(np.divide(top, bottom, out=np.full(len(top), np.nan), where=bottom > 0))


ResampledMetric = Callable[[Counted, Counted], np.ndarray]
RESAMPLED: dict[str, ResampledMetric] = {
    **{function.__name__: function for function in (spearman, pearson, mse, mae, r2, ndcg)},
    **{f"top{percent}_recall": partial(top_recall, percent=percent) for percent in TOP_PERCENTS},
}
"""Metrics with an implementation on counts, by name; any other is computed resample by resample."""
