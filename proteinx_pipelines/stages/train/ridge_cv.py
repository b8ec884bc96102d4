"""Ridge regression that chooses its penalty inside the training rows: `model.name=ridge_cv`.

Every penalty of `ALPHAS` is judged by generalised cross-validation, an estimate of leave-one-out error that one
decomposition of the training rows gives for all of them. Of more than `MOST_ROWS` rows, five folds of all of them are
held out in turn, by sums that one pass gives (`moments`). The model that comes out is an ordinary ridge.

Source:
    Golub, Heath and Wahba 1979, doi:10.1080/00401706.1979.10489751.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.moments import FoldMoments, moments_by_fold
from proteinx_pipelines.stages.train.one_hot import contrast_matrix
from proteinx_pipelines.stages.train.penalty_path import ridge_path
from proteinx_pipelines.stages.train.ridge import RidgePredictor, fit_ridge
from proteinx_pipelines.stages.train.task import Fit, FitTask

ALPHAS = np.logspace(-3, 5, 33)
"""Penalties that are tried, a factor of 1.8 apart."""
MOST_ROWS = 4000
"""Training rows up to which the penalty is chosen by generalised cross-validation."""
N_FOLDS = 5
"""Folds of more rows, drawn by the fold's seed."""


def fit(task: FitTask) -> Fit:
    """Choose the penalty, then fit all training rows with it."""
    rows = task.fold.train
    targets = task.targets[rows]
    if len(rows) > MOST_ROWS:
        predictor, alpha = fit_by_folds(task.embedding, rows, targets, ALPHAS, seed=task.seed)
    else:
        scores = generalised_cross_validation(_centred(task.embedding, rows), targets, ALPHAS)
        alpha = float(ALPHAS[int(np.argmin(scores))])
        predictor = fit_ridge(task.embedding, rows, targets, alpha=alpha)
    n_parameters = int(np.count_nonzero(predictor.weights)) + 1
    return Fit(predictor, {"alpha": alpha, "n_parameters": n_parameters, "converged": predictor.converged})


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> RidgePredictor:  # noqa: ARG001
    """The predictor that exported these tensors."""
    return RidgePredictor(tensors["weights"], float(tensors["intercept"][0]))


def fit_by_folds(
    embedding: Embedding, rows: np.ndarray, targets: np.ndarray, alphas: np.ndarray, *, seed: int
) -> tuple[RidgePredictor, float]:
    """The ridge of all rows with the penalty that predicts `N_FOLDS` random folds of them best, and the penalty.

    A fold is held out from a fit of the others, and the penalty is of a sum over rows: that of all rows is
    larger by the part that the others lack.

    Args:
        embedding: Vectors or one-hot tokens of all variants.
        rows: int64 [n], ascending, n >= `N_FOLDS`.
        targets: float64 [n] of those rows.
        alphas: float64 [k], > 0, ascending, penalties of the fits that a fold is held out from.
        seed: Of the folds.
    """
    fold = np.random.default_rng(seed).permutation(len(rows)) % N_FOLDS
    found = moments_by_fold(embedding, rows, targets, fold)
    errors = fold_errors(found, alphas)
    # The largest penalty is the easiest to solve: the last resort where none was.
    best = int(np.argmin(errors)) if np.isfinite(errors).any() else len(alphas) - 1
    alpha = float(alphas[best]) * N_FOLDS / (N_FOLDS - 1)
    (live,), (is_solved,) = (each.T for each in ridge_path(found.total, np.array([alpha]), found.groups))
    weights = np.zeros(embedding.width)
    weights[found.columns] = live
    intercept = found.total.target_mean - (found.total.means + found.reference) @ live
    return RidgePredictor(weights, float(intercept), converged=bool(is_solved)), alpha


def fold_errors(found: FoldMoments, alphas: np.ndarray) -> np.ndarray:
    """Mean squared error over all rows, each predicted by a fit without its fold, for each penalty, float64 [k].

    Infinite for a penalty that some fit was not solved for: it cannot be judged.
    """
    total, errors = found.total, np.zeros(len(alphas))
    for held_out in found.folds:
        train = total - held_out
        weights, is_solved = ridge_path(train, alphas, found.groups)
        errors += np.where(is_solved, held_out.squared_errors(weights, train), np.inf)
    return np.asarray(errors / total.n)


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
