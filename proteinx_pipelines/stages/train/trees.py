"""Fitted regression trees as arrays: exported without pickle, evaluated without scikit-learn."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

_NAMES = ("feature", "threshold", "left", "right", "value", "start")
_ROWS_AT_ONCE = 256
"""Rows whose way through all trees stays in the processor's cache."""


@dataclass(frozen=True)
class Trees:
    """T trees with N nodes in all; a prediction is `base` plus the sum of one leaf of each tree."""

    feature: np.ndarray
    """int64 [N]: column to compare; -1 at a leaf."""
    threshold: np.ndarray
    """float64 [N]: values up to this one go left."""
    left: np.ndarray
    """int64 [N]: next node, counted over all trees."""
    right: np.ndarray
    """int64 [N]."""
    value: np.ndarray
    """float64 [N]: contribution of a leaf."""
    start: np.ndarray
    """int64 [T]: root of each tree."""
    base: float

    def predict(self, features: np.ndarray) -> np.ndarray:
        """float64 [n] for float32 [n, c]."""
        total = np.full(len(features), self.base)
        for first in range(0, len(features), _ROWS_AT_ONCE):
            part = slice(first, first + _ROWS_AT_ONCE)
            # Tree by tree: `sum` adds a single row in another order, and a value must not depend on its company.
            for values in self.value[self._leaves(np.ascontiguousarray(features[part]))]:
                total[part] += values
        return total

    def _leaves(self, features: np.ndarray) -> np.ndarray:
        """int64 [T, n]: leaf of each tree in which a row of float32 [n, c] ends; all trees go down together."""
        (n, width), n_trees = features.shape, len(self.start)
        values = features.ravel()
        found = np.repeat(self.start, n)
        walking, node = np.arange(n_trees * n), found
        row = np.tile(np.arange(n) * width, n_trees)
        while len(walking):
            column = self.feature[node]
            inner = column >= 0
            if not inner.all():
                walking, node, row, column = walking[inner], node[inner], row[inner], column[inner]
            goes_left = values[row + column] <= self.threshold[node]
            node = np.where(goes_left, self.left[node], self.right[node])
            found[walking] = node
        return found.reshape(n_trees, n)

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything but `base`, by name."""
        return {name: getattr(self, name) for name in _NAMES}


def restore_trees(tensors: Mapping[str, np.ndarray], base: float) -> Trees:
    """Rebuild trees from their exported tensors."""
    columns = {name: tensors[name] for name in _NAMES}
    return Trees(**columns, base=base)


def mean_of(models: Sequence[Trees]) -> Trees:
    """Trees that predict the mean of what several models predict."""
    n = len(models)
    parts = ((each.feature, each.threshold, each.left, each.right, each.value / n) for each in models)
    joined = _joined(parts, sum(each.base for each in models) / n)
    sizes = [len(each.feature) for each in models]
    shifts = np.cumsum(sizes) - sizes
    return replace(
        joined,
        start=np.concatenate([each.start + shift for each, shift in zip(models, shifts, strict=True)]),
    )


def trees_of_boosting(fitted: Any) -> Trees:
    """Convert a fitted scikit-learn `HistGradientBoostingRegressor` on data without missing values."""
    nodes = [stage[0].nodes for stage in fitted._predictors]  # noqa: SLF001  # it has no public view of its trees
    return _joined(
        (
            (
                np.where(part["is_leaf"], -1, part["feature_idx"].astype(np.int64)),
                part["num_threshold"],
                part["left"],
                part["right"],
                part["value"],
            )
            for part in nodes
        ),
        float(np.ravel(fitted._baseline_prediction)[0]),  # noqa: SLF001
    )


def trees_of_forest(fitted: Any) -> Trees:
    """Convert a fitted scikit-learn forest of regression trees, which predicts the mean of its trees."""
    n_trees = len(fitted.estimators_)
    trees = [estimator.tree_ for estimator in fitted.estimators_]
    return _joined(
        (
            (
                np.where(tree.children_left < 0, -1, tree.feature),
                tree.threshold,
                np.maximum(tree.children_left, 0),
                np.maximum(tree.children_right, 0),
                tree.value[:, 0, 0] / n_trees,
            )
            for tree in trees
        ),
        0.0,
    )


def _joined(parts: Iterable[tuple[np.ndarray, ...]], base: float) -> Trees:
    trees = list(parts)
    sizes = np.array([len(part[0]) for part in trees], dtype=np.int64)
    start = np.cumsum(sizes) - sizes
    shift = np.repeat(start, sizes)
    feature, threshold, left, right, value = (np.concatenate(column) for column in zip(*trees, strict=True))
    return Trees(
        feature.astype(np.int64),
        threshold.astype(np.float64),
        left.astype(np.int64) + shift,
        right.astype(np.int64) + shift,
        value.astype(np.float64),
        start,
        base,
    )
