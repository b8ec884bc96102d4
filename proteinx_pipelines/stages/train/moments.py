"""Sums over rows from which every ridge of those rows follows, whatever its penalty.

Sums of folds add up to those of all rows, and all minus one fold are the rows that the fold is held out from: one pass
over the data serves all folds. The error on held-out rows follows from their sums too, without a prediction. Which
penalties are tried is the business of `ridge_cv`; solving is that of `penalty_path`.
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
    """float64 [p]: of x."""
    gram: Any
    """float64 [p, p]: of x x'; SciPy CSR for one-hot columns, where it holds counts and is exact."""
    products: np.ndarray
    """float64 [p]: of x y."""
    target_sum: float
    target_squares: float
    """Of y and of its square."""

    def __add__(self, other: "Moments") -> "Moments":
        return self._with(other, 1)

    def __sub__(self, other: "Moments") -> "Moments":
        return self._with(other, -1)

    @property
    def means(self) -> np.ndarray:
        """float64 [p]."""
        return self.sums / self.n

    @property
    def target_mean(self) -> float:
        """Mean of y."""
        return self.target_sum / self.n

    def projection(self) -> np.ndarray:
        """float64 [p]: sum of x y after both are centred."""
        return np.asarray(self.products - self.sums * self.target_mean)

    def times(self, vectors: np.ndarray) -> np.ndarray:
        """Gram matrix of the centred columns times float64 [p, k]."""
        return np.asarray(self.gram @ vectors - np.outer(self.sums, self.means @ vectors))

    def squared_errors(self, weights: np.ndarray, trained_on: "Moments") -> np.ndarray:
        """Sum over these rows of the squared error of ridges that were fitted to others.

        Args:
            weights: float64 [p, k], one ridge a column.
            trained_on: the rows whose means give the intercept.

        Returns:
            float64 [k].
        """
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
    """The moments of each fold, and what their columns are."""

    folds: Sequence[Moments]
    columns: np.ndarray
    """int64 [p]: which column of the embedding each one is, ascending."""
    reference: np.ndarray
    """float64 [p]: what was subtracted from the column."""
    groups: np.ndarray | None
    """int64 [p], ascending: the position of one-hot columns; None for vectors."""

    @cached_property
    def total(self) -> Moments:
        """Moments of all rows."""
        return reduce(add, self.folds)


def moments_by_fold(
    embedding: Embedding, rows: np.ndarray, targets: np.ndarray, fold: np.ndarray
) -> FoldMoments:
    """Sum each fold's rows in one pass.

    Args:
        embedding: Vectors or one-hot tokens of all variants; vectors may be a memory map.
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
    """Moments of vectors less the mean of the first chunk: variants of one protein differ little from it."""
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
    gram, products = matrix.T @ matrix, np.asarray(matrix.T @ targets)
    return Moments(len(targets), sums, gram, products, float(targets.sum()), float(targets @ targets))


def _chunks(embedding: Embedding, rows: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Number of the first row and float64 [<= 8192, D]: a double-precision copy of the whole would not fit."""
    for start in range(0, len(rows), _CHUNK_ROWS):
        yield start, embedding.dense(rows[start : start + _CHUNK_ROWS]).astype(np.float64)
