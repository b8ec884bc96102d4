"""Ridge regression with its penalty chosen within the training rows: `model.name=ridge_cv`.

Penalties of `ALPHAS` are scored by generalised cross-validation, an estimate of leave-one-out error that one
decomposition of the training rows gives for all of them. Above `MOST_ROWS` rows, five-fold cross-validation is used
instead, from moments computed in one pass (`moments`). The result is an ordinary ridge.

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
"""Penalties to try, a factor of 1.8 apart."""
MOST_ROWS = 4000
"""Most training rows for generalised cross-validation."""
N_FOLDS = 5
"""Folds for larger training sets, drawn by the fold's seed."""


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
    """Rebuild the predictor from its exported tensors."""
    return RidgePredictor(tensors["weights"], float(tensors["intercept"][0]))


def fit_by_folds(
    embedding: Embedding, rows: np.ndarray, targets: np.ndarray, alphas: np.ndarray, *, seed: int
) -> tuple[RidgePredictor, float]:
    """Choose the penalty that predicts `N_FOLDS` random folds best, and fit all rows; returns ridge and penalty.

    The penalty applies to a sum over rows. The final fit uses all rows instead of four of five folds, so the chosen
    penalty is scaled by 5/4.

    Args:
        embedding: vectors or one-hot tokens of all variants.
        rows: int64 [n], ascending, n >= `N_FOLDS`.
        targets: float64 [n] of those rows.
        alphas: float64 [k], > 0, ascending: penalties of the fits without a fold.
        seed: of the random folds.
    """
    fold = np.random.default_rng(seed).permutation(len(rows)) % N_FOLDS
    found = moments_by_fold(embedding, rows, targets, fold)
    errors = fold_errors(found, alphas)
    # If no penalty was solved, take the largest, which is the easiest to solve.
    best = int(np.argmin(errors)) if np.isfinite(errors).any() else len(alphas) - 1
    alpha = float(alphas[best]) * N_FOLDS / (N_FOLDS - 1)
    (live,), (is_solved,) = (each.T for each in ridge_path(found.total, np.array([alpha]), found.groups))
    weights = np.zeros(embedding.width)
    weights[found.columns] = live
    intercept = found.total.target_mean - (found.total.means + found.reference) @ live
    return RidgePredictor(weights, float(intercept), converged=bool(is_solved)), alpha


def fold_errors(found: FoldMoments, alphas: np.ndarray) -> np.ndarray:
    """Compute the cross-validated mean squared error of each penalty, float64 [k].

    Infinite for a penalty with an unsolved fit, which has no error to compare.
    """
    total, errors = found.total, np.zeros(len(alphas))
    for held_out in found.folds:
        train = total - held_out  # moments of the other folds
        weights, is_solved = ridge_path(train, alphas, found.groups)
        errors += np.where(is_solved, held_out.squared_errors(weights, train), np.inf)
    return np.asarray(errors / total.n)


def generalised_cross_validation(matrix: np.ndarray, targets: np.ndarray, alphas: np.ndarray) -> np.ndarray:
    """Compute the GCV score of each penalty: mean squared residual over (1 - degrees of freedom / n) squared.

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
        # X'X = V diag(s) V': the squared projection of y on each left singular vector is (V'X'y)^2 / s, [r]
        values, vectors = linalg.eigh(matrix.T @ matrix, check_finite=False)
        values = np.maximum(values, 0.0)
        projected = (vectors.T @ (matrix.T @ (targets - targets.mean()))) ** 2
        kept = values > values[-1] * 1e-12 if len(values) else np.zeros(0, bool)
        energy, values = projected[kept] / values[kept], values[kept]
    else:
        # X X' = U diag(s) U': it is (U'y)^2, [n]
        values, vectors = linalg.eigh(matrix @ matrix.T, check_finite=False)
        values = np.maximum(values, 0.0)
        energy = (vectors.T @ (targets - targets.mean())) ** 2
    # Share of y outside the span of the columns, which no penalty can fit.
    unexplained = max(float(((targets - targets.mean()) ** 2).sum() - energy.sum()), 0.0)
    # A ridge leaves alpha / (s + alpha) of each component in the residual, [k, r].
    shrunk = alphas[:, None] / (values + alphas[:, None])
    residual = unexplained + (shrunk**2 * energy).sum(axis=1)
    freedom = 1 + (1 - shrunk).sum(axis=1)  # the mean takes one degree of freedom
    left = n - freedom
    return np.where(left > 1e-9, n * residual / np.maximum(left, 1e-9) ** 2, np.inf)


def _centred(embedding: Embedding, rows: np.ndarray) -> np.ndarray:
    """float64 [n, p]: vectors, or the varying one-hot columns, centred."""
    if embedding.tokens is None:
        matrix = embedding.dense(rows).astype(np.float64)
    else:
        matrix = contrast_matrix(embedding.tokens, rows, len(embedding.alphabet)).matrix.toarray()
    return np.asarray(matrix - matrix.mean(axis=0))
