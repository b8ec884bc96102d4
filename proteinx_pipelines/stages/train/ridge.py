"""Ridge regression in closed form and double precision: `model.name=ridge`.

Equal to scikit-learn's `Ridge(alpha)` with an intercept. Centring removes constant columns, so a one-hot matrix
reduces to its varying positions, stored as sparse differences from the most frequent residue: 149,360 variants of four
sites are one pass over 600,000 numbers instead of a matrix of [149360, 8960]. The system is solved on its smaller side,
[p, p] or [n, n], or block by block if it consists of independent blocks.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.blocks import Blocks, find_blocks, solve_blocks
from proteinx_pipelines.stages.train.one_hot import contrast_matrix, token_scores
from proteinx_pipelines.stages.train.task import Fit, FitTask

_CHUNK_ROWS = 8192
_LEAST_FOR_BLOCKS = 1e-8
"""Least penalty at which blocks are solved separately: a smaller one is lost in their rounding, and the whole system is
then solved by eigenvectors."""


@dataclass(frozen=True)
class RidgePredictor:
    """One weight per column, and an intercept."""

    weights: np.ndarray
    """float64 [D]; 0 for columns that are constant in the training rows."""
    intercept: float
    converged: bool = True
    """True if the weights reached the tolerance; not exported."""

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]) in scaled units, float64 [n]."""
        if embedding.tokens is not None:
            per_token = self.weights.reshape(-1, len(embedding.alphabet))
            return token_scores(embedding.tokens, rows, per_token) + self.intercept
        scores = [chunk @ self.weights for chunk in _dense_chunks(embedding, rows)]
        return np.concatenate([np.empty(0), *scores]) + self.intercept

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> None:
        """None: this ridge has no uncertainty."""

    def settings(self) -> dict[str, Any]:
        """Empty: the tensors are enough."""
        return {}

    def tensors(self) -> dict[str, np.ndarray]:
        """Weights and intercept."""
        return {"weights": self.weights, "intercept": np.array([self.intercept])}


def fit(task: FitTask) -> Fit:
    """Fit one fold: one pass over its rows and one factorisation."""
    rows = task.fold.train
    predictor = fit_ridge(task.embedding, rows, task.targets[rows], alpha=task.flags.model.alpha)
    return Fit(predictor, {"n_parameters": int(np.count_nonzero(predictor.weights)) + 1})


def restore(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> RidgePredictor:  # noqa: ARG001
    """Rebuild the predictor from its exported tensors."""
    return RidgePredictor(tensors["weights"], float(tensors["intercept"][0]))


def fit_ridge(embedding: Embedding, rows: np.ndarray, targets: np.ndarray, *, alpha: float) -> RidgePredictor:
    """Minimise the squared error plus `alpha` times the squared length of the weights; the intercept is free.

    Args:
        embedding: vectors or one-hot tokens of all variants.
        rows: int64 [n], the training rows.
        targets: float64 [n] of those rows.
        alpha: penalty >= 0. If it is 0 and the system is singular, the shortest solution is taken.
    """
    centred = targets - targets.mean()
    if embedding.tokens is not None:
        weights, offset = _fit_tokens(embedding, rows, centred, alpha)
    else:
        weights, offset = _fit_vectors(embedding, rows, centred, alpha)
    return RidgePredictor(weights, float(targets.mean() - offset))


def _fit_tokens(
    embedding: Embedding, rows: np.ndarray, centred: np.ndarray, alpha: float
) -> tuple[np.ndarray, float]:
    """Weights of one-hot columns, and their mean contribution to the prediction."""
    assert embedding.tokens is not None
    contrast = contrast_matrix(embedding.tokens, rows, len(embedding.alphabet))
    matrix, n_rows = contrast.matrix, len(rows)
    sums = np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel()
    means = sums / n_rows
    # Counts below 2**53 are exact in float64, so centring after the product loses nothing.
    blocks = _blocks_of(matrix) if alpha >= _LEAST_FOR_BLOCKS else None
    if blocks is not None:
        live = _solve_in_blocks(blocks, matrix.T @ centred, means, n_rows, alpha)  # [p]
    elif matrix.shape[1] <= n_rows:
        # Primal: Xc'Xc = X'X - s m', [p, p] = [p, n] @ [n, p]
        gram = (matrix.T @ matrix).toarray() - np.outer(sums, means)
        live = _solve(gram, matrix.T @ centred, alpha)
    else:
        # Dual, fewer rows than columns: w = Xc'(Xc Xc' + alpha I)^-1 y, with Xc Xc' = X X' - a 1' - 1 a' + m'm and
        # a = X m, so that the dense centred matrix [n, p] is never built.
        kernel = (matrix @ matrix.T).toarray()
        along = matrix @ means
        kernel -= along[:, None] + along[None, :] - means @ means
        dual = _solve(kernel, centred, alpha)
        live = matrix.T @ dual - means * dual.sum()  # [p] = Xc' @ [n]
    weights = np.zeros(embedding.width)
    weights[contrast.columns] = live
    return weights, float((means + contrast.reference) @ live)


def _blocks_of(matrix: Any) -> Blocks | None:
    """Blocks of matrix' matrix if finding and solving them is cheaper than solving the whole system; else None."""
    smaller = min(matrix.shape)
    n_products = float((np.diff(matrix.indptr).astype(np.float64) ** 2).sum())
    if n_products > smaller**2:
        return None
    blocks = find_blocks(matrix.T @ matrix)
    return blocks if blocks.cost < smaller**3 / 2 else None


def _solve_in_blocks(
    blocks: Blocks, projection: np.ndarray, means: np.ndarray, n_rows: int, alpha: float
) -> np.ndarray:
    """Solve block by block; centring, a rank-one change that would join the blocks, is applied to the solution.

    Source:
        Sherman and Morrison 1950, doi:10.1214/aoms/1177729893.
    """
    # With B = X'X + alpha I: (B - n m m')^-1 r = z + v n (m'z) / (1 - n m'v), where B z = r and B v = m.
    plain, along = solve_blocks(blocks, np.column_stack([projection, means]), alpha).T
    return np.asarray(plain + along * (n_rows * (means @ plain) / (1 - n_rows * (means @ along))))


def _fit_vectors(
    embedding: Embedding, rows: np.ndarray, centred: np.ndarray, alpha: float
) -> tuple[np.ndarray, float]:
    """Weights of dense columns, and their mean contribution to the prediction."""
    means = _column_means(embedding, rows)
    chunks = (chunk - means for chunk in _dense_chunks(embedding, rows))
    if embedding.width <= len(rows):
        gram = np.zeros((embedding.width, embedding.width))
        projection, start = np.zeros(embedding.width), 0
        for chunk in chunks:
            gram += chunk.T @ chunk  # [D, D] += [D, c] @ [c, D]
            projection += chunk.T @ centred[start : start + len(chunk)]
            start += len(chunk)
        weights = _solve(gram, projection, alpha)
    else:
        matrix = np.concatenate(list(chunks))
        # Dual: [D] = [D, n] @ [n], from a system [n, n]
        weights = matrix.T @ _solve(matrix @ matrix.T, centred, alpha)
    return weights, float(means @ weights)


def _column_means(embedding: Embedding, rows: np.ndarray) -> np.ndarray:
    sums = np.zeros(embedding.width)
    for chunk in _dense_chunks(embedding, rows):
        sums += chunk.sum(axis=0)
    return sums / len(rows)


def _dense_chunks(embedding: Embedding, rows: np.ndarray) -> Iterator[np.ndarray]:
    """Yield float64 [<= 8192, D] chunks of the rows: a double-precision copy of the whole would not fit."""
    for start in range(0, len(rows), _CHUNK_ROWS):
        yield embedding.dense(rows[start : start + _CHUNK_ROWS]).astype(np.float64)


def _solve(gram: np.ndarray, right: np.ndarray, alpha: float) -> np.ndarray:
    """Solve (gram + alpha I) x = right; the shortest x if the matrix is singular."""
    from scipy import linalg  # deferred: SciPy is not needed to load definitions

    if not len(gram):
        return np.zeros(0)
    if alpha > 0:
        try:
            penalised = gram + alpha * np.eye(len(gram))
            factor = linalg.cho_factor(penalised, lower=True, overwrite_a=True, check_finite=False)
            return np.asarray(linalg.cho_solve(factor, right, check_finite=False))
        except linalg.LinAlgError:
            pass  # alpha is lost in the rounding of the Gram matrix
    values, vectors = linalg.eigh(gram, check_finite=False)
    values = values + alpha
    kept = values > np.finfo(np.float64).eps * len(gram) * max(values[-1], 0.0)
    return np.asarray(vectors[:, kept] @ ((vectors[:, kept].T @ right) / values[kept]))
