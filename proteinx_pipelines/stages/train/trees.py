"""Fitted regression trees as arrays: exported without pickle, evaluated without scikit-learn."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

_NAMES = ("feature", "threshold", "left", "right", "value", "start")


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
        rows = np.arange(len(features))
        for root in self.start:
            node = np.full(len(features), root)
            inner = rows
            while len(inner := inner[self.feature[node[inner]] >= 0]):
                at = node[inner]
                goes_left = features[inner, self.feature[at]] <= self.threshold[at]
                node[inner] = np.where(goes_left, self.left[at], self.right[at])
            total += self.value[node]
        return total

    def tensors(self) -> dict[str, np.ndarray]:
        """Everything but `base`, by name."""
        return {name: getattr(self, name) for name in _NAMES}


def restore_trees(tensors: Mapping[str, np.ndarray], base: float) -> Trees:
    """Rebuild trees from their exported tensors."""
    columns = {name: tensors[name] for name in _NAMES}
    return Trees(**columns, base=base)


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
