"""Models of trees through scikit-learn: `model.name=boosting` and `model.name=forest`.

One-hot tokens are converted to `substitution_features`, vectors are used directly. Fitted trees are exported as
arrays (`trees`), so that a model is read back without scikit-learn and without pickle.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.evidence_sites import (
    EvidenceSites,
    kinds_given,
    sites_in,
    sites_of,
    subsets,
)
from proteinx_pipelines.stages.train.mutations import (
    MutationList,
    list_mutations,
    most_frequent_tokens,
    template_tokens,
)
from proteinx_pipelines.stages.train.promise import clearly_better, promise_of
from proteinx_pipelines.stages.train.substitution_features import evidence_features, substitution_features
from proteinx_pipelines.stages.train.task import Fit, FitTask
from proteinx_pipelines.stages.train.trees import (
    Trees,
    mean_of,
    restore_trees,
    trees_of_boosting,
    trees_of_forest,
)

BOOSTING = {
    "max_iter": 120, "learning_rate": 0.08, "max_leaf_nodes": 12, "min_samples_leaf": 10, "l2_regularization": 5.0,
    "max_features": 0.3, "max_bins": 63, "early_stopping": False,
}  # fmt: skip
"""Settings of scikit-learn's `HistGradientBoostingRegressor`; few training rows take smaller leaves.

63 bins take three quarters of the time of 255, and predict as well.
"""
_FEWEST_TO_JUDGE = 50
"""Training rows below which evidence is not added to trees."""
FOREST = {"n_estimators": 200, "min_samples_leaf": 2, "max_features": 0.35}
"""Settings of scikit-learn's `ExtraTreesRegressor`."""


@dataclass(frozen=True)
class TreesPredictor:
    """Fitted trees and the templates that turn rows into features."""

    trees: Trees
    templates: np.ndarray | None
    """uint8 [T, L]; None for vectors."""
    sites: EvidenceSites | None = None
    """Structure and alignment of the templates, if the features hold them."""

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]) in scaled units, float64 [n]."""
        return self.trees.predict(features_of(embedding, rows, self.templates, self.sites))

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> None:
        """None: trees have no calibrated uncertainty."""

    def settings(self) -> dict[str, Any]:
        """Base value of every prediction."""
        return {"base": self.trees.base}

    def tensors(self) -> dict[str, np.ndarray]:
        """Nodes and templates."""
        templates = {} if self.templates is None else {"templates": self.templates}
        sites = {} if self.sites is None else self.sites.tensors()
        return {**self.trees.tensors(), **templates, **sites}


def fit(task: FitTask) -> Fit:
    """Fit one fold."""
    name = task.flags.model.name
    kind = "forest" if name == "forest" else "boosting"
    kinds, facts = _kinds_that_pay(task, kind)
    predictor = fit_trees(task, kind=kind, kinds=kinds)
    sizes = {"n_trees": len(predictor.trees.start), "n_nodes": len(predictor.trees.value)}
    return Fit(predictor, {**sizes, **facts})


def fit_trees(task: FitTask, *, kind: str, kinds: Sequence[str] = (), n_models: int = 1) -> TreesPredictor:
    """Fit `boosting` or `forest` on the training rows.

    Args:
        task: the fold.
        kind: `boosting` or `forest`.
        kinds: evidence whose features are added.
        n_models: models, of a seed each, whose mean is predicted.
    """
    rows, templates = task.fold.train, _templates(task)
    sites = None if templates is None else sites_of(task.embedding.evidence, templates, kinds)
    features, targets = features_of(task.embedding, rows, templates, sites), task.targets[rows]
    return TreesPredictor(_grown(kind, features, targets, task.seed, n_models), templates, sites)


def left_out_trees(
    task: FitTask, *, kind: str, kinds: Sequence[str], groups: np.ndarray, n_models: int = 1
) -> np.ndarray:
    """Predict each group of training rows by trees grown on the others, float64 [n].

    Args:
        task: the fold.
        kind: `boosting` or `forest`.
        kinds: evidence whose features are added.
        groups: int64 [n], of the training rows.
        n_models: as for `fit_trees`.
    """
    rows, templates = task.fold.train, _templates(task)
    sites = None if templates is None else sites_of(task.embedding.evidence, templates, kinds)
    features, targets = features_of(task.embedding, rows, templates, sites), task.targets[rows]
    found = np.full(len(rows), float(targets.mean()))
    for group in np.unique(groups):
        out = groups == group
        if not out.all():
            found[out] = _grown(kind, features[~out], targets[~out], task.seed, n_models).predict(
                features[out]
            )
    return found


def _kinds_that_pay(task: FitTask, kind: str) -> tuple[tuple[str, ...], dict[str, Any]]:
    """Kinds of evidence with the smallest squared error on groups left out as the split leaves out, and the errors."""
    given, templates = kinds_given(task), _templates(task)
    kinds = [kind for kind in given if kind != "prior"]
    always = tuple(kind for kind in given if kind == "prior")
    if not given or templates is None or len(task.fold.train) < _FEWEST_TO_JUDGE:
        return (), {}
    if not kinds:
        return always, {"evidence": list(always)}
    promise = promise_of(task)
    mutations = list_mutations(task.embedding, task.fold.train, templates)
    groups = promise.groups(mutations)
    targets = task.targets[task.fold.train]
    squared = {
        chosen: (targets - left_out_trees(task, kind=kind, kinds=(*chosen, *always), groups=groups)) ** 2
        for chosen in subsets(kinds)
    }
    best = clearly_better(squared, promise.positions(mutations), promise)
    told = {
        "+".join((*chosen, *always)) or "none": round(float(each.mean()), 4)
        for chosen, each in squared.items()
    }
    used = (*best, *always)
    return used, {"evidence": list(used), "left_out": promise.name, "squared_error": told}


def _grown(kind: str, features: np.ndarray, targets: np.ndarray, seed: int, n_models: int = 1) -> Trees:
    if n_models > 1:
        return mean_of([_grown(kind, features, targets, seed + k) for k in range(n_models)])
    if kind == "forest":
        from sklearn.ensemble import ExtraTreesRegressor  # deferred: seconds to import

        return trees_of_forest(ExtraTreesRegressor(**FOREST, random_state=seed).fit(features, targets))
    from sklearn.ensemble import HistGradientBoostingRegressor

    fitted = HistGradientBoostingRegressor(
        **{**BOOSTING, "min_samples_leaf": min(10, max(1, len(targets) // 20))}, random_state=seed
    ).fit(features, targets)
    return trees_of_boosting(fitted)


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> TreesPredictor:
    """Rebuild the predictor from its exported settings and tensors."""
    templates = tensors.get("templates")
    sites = None if templates is None else sites_in(tensors, templates)
    return TreesPredictor(restore_trees(tensors, float(settings["base"])), templates, sites)


def features_of(
    embedding: Embedding, rows: np.ndarray, templates: np.ndarray | None, sites: EvidenceSites | None = None
) -> np.ndarray:
    """float32 [n, c]: substitution features of tokens, then those of evidence; vectors unchanged."""
    if templates is None:
        return embedding.dense(rows)
    mutations = list_mutations(embedding, rows, templates)
    features = substitution_features(mutations, templates)
    return features if sites is None else np.hstack([features, evidence_features(mutations, sites)])


def mutations_of(task: FitTask) -> MutationList | None:
    """Mutations of the training rows; None for vectors."""
    templates = _templates(task)
    return None if templates is None else list_mutations(task.embedding, task.fold.train, templates)


def _templates(task: FitTask) -> np.ndarray | None:
    tokens = task.embedding.tokens
    if tokens is None:
        return None
    training = tokens[task.fold.train]
    return template_tokens(task.templates, training) if task.templates else most_frequent_tokens(training)
