"""Ridge regression that chooses its penalty inside the training rows: `model.name=ridge_cv`.

Every penalty of `ALPHAS` is judged by generalised cross-validation, an estimate of leave-one-out error that one
decomposition of the training rows gives for all of them. The model that comes out is an ordinary ridge.

Source:
    Golub, Heath and Wahba 1979, doi:10.1080/00401706.1979.10489751.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.one_hot import contrast_matrix
from proteinx_pipelines.stages.train.ridge import RidgePredictor, fit_ridge
from proteinx_pipelines.stages.train.task import Fit, FitTask

ALPHAS = np.logspace(-3, 5, 33)
"""Penalties that are tried, a factor of 1.8 apart."""
MOST_ROWS = 4000
"""Training rows that the penalty is chosen on; of more, so many are drawn, and the penalty is scaled up."""


def fit(task: FitTask) -> Fit:
    """Choose the penalty, then fit all training rows with it."""
    rows = task.fold.train
    few = rows
    if len(rows) > MOST_ROWS:
        few = np.sort(np.random.default_rng(task.seed).choice(rows, MOST_ROWS, replace=False))
    scores = generalised_cross_validation(_centred(task.embedding, few), task.targets[few], ALPHAS)
    # The penalty is against a sum over rows: as many times as many rows, as many times the penalty.
    alpha = float(ALPHAS[int(np.argmin(scores))]) * len(rows) / len(few)
    predictor = fit_ridge(task.embedding, rows, task.targets[rows], alpha=alpha)
    return Fit(predictor, {"alpha": alpha, "n_parameters": int(np.count_nonzero(predictor.weights)) + 1})


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> RidgePredictor:  # noqa: ARG001
    """The predictor that exported these tensors."""
    return RidgePredictor(tensors["weights"], float(tensors["intercept"][0]))


def generalised_cross_validation(matrix: np.ndarray, targets: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Mean squared residual over (1 - degrees of freedom / n) squared, for each penalty.

    Args:
        matrix: float64 [n, p], columns centred.
        targets: float64 [n].
        alphas: float64 [k], > 0.

    Returns:
        float64 [k]; infinite where the fit has as many degrees of freedom as rows.
    """
    from scipy import linalg  # deferred: SciPy is not needed to load definitions

    n = len(targets)
    if matrix.shape[1] < n:
        values, vectors = linalg.eigh(matrix.T @ matrix, check_finite=False)
        values = np.maximum(values, 0.0)
        projected = (vectors.T @ (matrix.T @ (targets - targets.mean()))) ** 2
        kept = values > values[-1] * 1e-12 if len(values) else np.zeros(0, bool)
        energy, values = projected[kept] / values[kept], values[kept]
    else:
        values, vectors = linalg.eigh(matrix @ matrix.T, check_finite=False)
        values = np.maximum(values, 0.0)
        energy = (vectors.T @ (targets - targets.mean())) ** 2
    unexplained = max(float(((targets - targets.mean()) ** 2).sum() - energy.sum()), 0.0)
    shrunk = alphas[:, None] / (values + alphas[:, None])
    residual = unexplained + (shrunk**2 * energy).sum(axis=1)
    freedom = 1 + (1 - shrunk).sum(axis=1)  # the mean is one
    left = n - freedom
    return np.where(left > 1e-9, n * residual / np.maximum(left, 1e-9) ** 2, np.inf)


def _centred(embedding: Embedding, rows: np.ndarray) -> np.ndarray:
    """float64 [n, p]: vectors, or the columns of one-hot tokens that vary, with mean 0."""
    if embedding.tokens is None:
        matrix = embedding.dense(rows).astype(np.float64)
    else:
        matrix = contrast_matrix(embedding.tokens, rows, len(embedding.alphabet)).matrix.toarray()
    return np.asarray(matrix - matrix.mean(axis=0))
