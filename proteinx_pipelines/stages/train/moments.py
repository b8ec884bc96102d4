"""Sufficient statistics for ridge regression on a set of rows, for any penalty.

Moments of folds add up to those of all rows, and the total minus one fold gives that fold's training rows: one pass
over the data serves all folds. The error on held-out rows also follows from their moments, without predictions.
`ridge_cv` chooses the penalties, `penalty_path` solves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import add
from typing import Any

import numpy as np

from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.one_hot import contrast_matrix

_CHUNK_ROWS = 8192


@dataclass(frozen=True)
class Moments:
    """Sums over n rows of p columns x and a target y, in double precision."""

    n: int
    sums: np.ndarray
    """float64 [p]: sum of x."""
    gram: Any
    """float64 [p, p]: sum of x x'; SciPy CSR for one-hot columns, where it holds counts and is exact."""
    products: np.ndarray
    """float64 [p]: sum of x y."""
    target_sum: float
    target_squares: float
    """Sums of y and of y squared."""

    def __add__(self, other: "Moments") -> "Moments":
        return self._with(other, 1)

    def __sub__(self, other: "Moments") -> "Moments":
        return self._with(other, -1)

    @property
    def means(self) -> np.ndarray:
        """Means of the columns, float64 [p]."""
        return self.sums / self.n

    @property
    def target_mean(self) -> float:
        """Mean of y."""
        return self.target_sum / self.n

    def projection(self) -> np.ndarray:
        """Sum of x y after centring both, float64 [p]."""
        return np.asarray(self.products - self.sums * self.target_mean)

    def times(self, vectors: np.ndarray) -> np.ndarray:
        """Multiply the Gram matrix of the centred columns by vectors, float64 [p, k]."""
        # (X - 1 m')'(X - 1 m') V = X'X V - s (m'V), with sums s and means m: [p, k] = [p, p] @ [p, k] - [p] x [k]
        return np.asarray(self.gram @ vectors - np.outer(self.sums, self.means @ vectors))

    def squared_errors(self, weights: np.ndarray, trained_on: "Moments") -> np.ndarray:
        """Sum of squared errors over these rows of ridges that were fitted to other rows.

        Args:
            weights: float64 [p, k], one ridge per column.
            trained_on: moments of the training rows, whose means give the intercept.

        Returns:
            float64 [k].
        """
        # With x and y centred on these rows, sum (y - x'w)^2 = y'y - w'(2 X'y - X'X w); the error of the intercept,
        # which is that of the training rows, adds n shift^2.
        about_mean = self.target_squares - self.target_sum * self.target_mean
        explained = (weights * (2 * self.projection()[:, None] - self.times(weights))).sum(axis=0)
        shift = self.target_mean - trained_on.target_mean - (self.means - trained_on.means) @ weights
        return np.asarray(about_mean - explained + self.n * shift**2)

    def _with(self, other: "Moments", sign: int) -> "Moments":
        return Moments(
            self.n + sign * other.n,
            self.sums + sign * other.sums,
            self.gram + sign * other.gram,
            self.products + sign * other.products,
            self.target_sum + sign * other.target_sum,
            self.target_squares + sign * other.target_squares,
        )


@dataclass(frozen=True)
class FoldMoments:
    """Moments of each fold, and the meaning of their columns."""

    folds: Sequence[Moments]
    columns: np.ndarray
    """int64 [p]: column of the embedding, ascending."""
    reference: np.ndarray
    """float64 [p]: value subtracted from each column."""
    groups: np.ndarray | None
    """int64 [p], ascending: position of each one-hot column; None for vectors."""

    @cached_property
    def total(self) -> Moments:
        """Moments of all rows."""
        return reduce(add, self.folds)


def moments_by_fold(
    embedding: Embedding, rows: np.ndarray, targets: np.ndarray, fold: np.ndarray
) -> FoldMoments:
    """Compute the moments of each fold in one pass.

    Args:
        embedding: vectors or one-hot tokens of all variants; vectors may be a memory map.
        rows: int64 [n], ascending.
        targets: float64 [n] of those rows.
        fold: int64 [n], the fold of each row, 0 to K - 1, none of them empty.
    """
    if embedding.tokens is None:
        return _of_vectors(embedding, rows, targets, fold)
    n_letters = len(embedding.alphabet)
    contrast = contrast_matrix(embedding.tokens, rows, n_letters)
    members = [np.flatnonzero(fold == k) for k in range(fold.max() + 1)]
    folds = [_of_rows(contrast.matrix[chosen], targets[chosen]) for chosen in members]
    return FoldMoments(folds, contrast.columns, contrast.reference, contrast.columns // n_letters)


def _of_vectors(embedding: Embedding, rows: np.ndarray, targets: np.ndarray, fold: np.ndarray) -> FoldMoments:
    """Moments of vectors minus the mean of the first chunk, which avoids cancellation: variants differ little."""
    folds: list[Moments | None] = [None] * (fold.max() + 1)
    reference = np.zeros(embedding.width)
    for start, chunk in _chunks(embedding, rows):
        if start == 0:
            reference = chunk.mean(axis=0)
        chunk -= reference
        here = slice(start, start + len(chunk))
        for k in np.unique(fold[here]):
            chosen = fold[here] == k
            found, before = _of_rows(chunk[chosen], targets[here][chosen]), folds[k]
            folds[k] = found if before is None else before + found
    filled = [one for one in folds if one is not None]
    return FoldMoments(filled, np.arange(embedding.width), reference, None)


def _of_rows(matrix: Any, targets: np.ndarray) -> Moments:
    """Moments of a dense or sparse matrix, float64 [n, p]."""
    sums = np.asarray(matrix.sum(axis=0), dtype=np.float64).ravel()
    # [p, p] = [p, n] @ [n, p] and [p] = [p, n] @ [n]
    gram, products = matrix.T @ matrix, np.asarray(matrix.T @ targets)
    return Moments(len(targets), sums, gram, products, float(targets.sum()), float(targets @ targets))


def _chunks(embedding: Embedding, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Yield the first row's index and float64 [<= 8192, D]: a double-precision copy of the whole would not fit."""
    for start in range(0, len(rows), _CHUNK_ROWS):
        yield start, embedding.dense(rows[start : start + _CHUNK_ROWS]).astype(np.float64)
