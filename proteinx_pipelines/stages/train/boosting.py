"""Models of trees through scikit-learn: `model.name=boosting` and `model.name=forest`.

One-hot tokens are converted to `substitution_features`, vectors are used directly. Fitted trees are exported as
arrays (`trees`), so that a model is read back without scikit-learn and without pickle.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.mutations import (
    list_mutations,
    most_frequent_tokens,
    template_tokens,
)
from proteinx_pipelines.stages.train.substitution_features import substitution_features
from proteinx_pipelines.stages.train.task import Fit, FitTask
from proteinx_pipelines.stages.train.trees import Trees, restore_trees, trees_of_boosting, trees_of_forest

BOOSTING = {
    "max_iter": 120, "learning_rate": 0.08, "max_leaf_nodes": 12, "min_samples_leaf": 10, "l2_regularization": 5.0,
    "max_features": 0.3, "early_stopping": False,
}  # fmt: skip
"""Settings of scikit-learn's `HistGradientBoostingRegressor`; few training rows take smaller leaves."""
FOREST = {"n_estimators": 200, "min_samples_leaf": 2, "max_features": 0.35}
"""Settings of scikit-learn's `ExtraTreesRegressor`."""


@dataclass(frozen=True)
class TreesPredictor:
    """Fitted trees and the templates that turn rows into features."""

    trees: Trees
    templates: np.ndarray | None
    """uint8 [T, L]; None for vectors."""

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]) in scaled units, float64 [n]."""
        return self.trees.predict(features_of(embedding, rows, self.templates))

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> None:
        """None: trees have no calibrated uncertainty."""

    def settings(self) -> dict[str, Any]:
        """Base value of every prediction."""
        return {"base": self.trees.base}

    def tensors(self) -> dict[str, np.ndarray]:
        """Nodes and templates."""
        return {**self.trees.tensors(), **({} if self.templates is None else {"templates": self.templates})}


def fit(task: FitTask) -> Fit:
    """Fit one fold."""
    name = task.flags.model.name
    predictor = fit_trees(task, kind="forest" if name == "forest" else "boosting")
    return Fit(predictor, {"n_trees": len(predictor.trees.start), "n_nodes": len(predictor.trees.value)})


def fit_trees(task: FitTask, *, kind: str) -> TreesPredictor:
    """Fit `boosting` or `forest` on the training rows."""
    rows = task.fold.train
    templates = _templates(task)
    features, targets = features_of(task.embedding, rows, templates), task.targets[rows]
    if kind == "forest":
        from sklearn.ensemble import ExtraTreesRegressor  # deferred: seconds to import

        return TreesPredictor(
            trees_of_forest(ExtraTreesRegressor(**FOREST, random_state=task.seed).fit(features, targets)),
            templates,
        )
    from sklearn.ensemble import HistGradientBoostingRegressor

    fitted = HistGradientBoostingRegressor(
        **{**BOOSTING, "min_samples_leaf": min(10, max(1, len(rows) // 20))}, random_state=task.seed
    ).fit(features, targets)
    return TreesPredictor(trees_of_boosting(fitted), templates)


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> TreesPredictor:
    """Rebuild the predictor from its exported settings and tensors."""
    return TreesPredictor(restore_trees(tensors, float(settings["base"])), tensors.get("templates"))


def features_of(embedding: Embedding, rows: np.ndarray, templates: np.ndarray | None) -> np.ndarray:
    """float32 [n, c]: substitution features of tokens; vectors unchanged."""
    if templates is None:
        return embedding.dense(rows)
    return substitution_features(list_mutations(embedding, rows, templates), templates)


def _templates(task: FitTask) -> np.ndarray | None:
    tokens = task.embedding.tokens
    if tokens is None:
        return None
    training = tokens[task.fold.train]
    return template_tokens(task.templates, training) if task.templates else most_frequent_tokens(training)
