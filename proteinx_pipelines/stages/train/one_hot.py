"""Linear algebra on one-hot sequences that never makes the one-hot matrix.

A variant differs from the most frequent residues in few places. The matrix of those differences has the same
centred columns as the one-hot matrix, so the same ridge follows from it; with k mutations it has 2k entries
a row. Used by `ridge`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Contrast:
    """The one-hot matrix of some rows, without its constant columns, minus its most frequent row."""

    matrix: Any
    """Sparse float64 [n, p] (SciPy CSR), entries -1, 0, 1."""
    columns: np.ndarray
    """int64 [p]: which column of the one-hot matrix each one is (position * letters + letter), ascending."""
    reference: np.ndarray
    """float64 [p]: what was subtracted, 1 where the column's residue is its position's most frequent one."""


def contrast_matrix(tokens: np.ndarray, rows: np.ndarray, n_letters: int) -> Contrast:
    """Build the contrast of the rows asked for.

    Args:
        tokens: uint8 [N, L], index of the residue; `n_letters` is padding, which has no column.
        rows: int64 [n], at least one.
        n_letters: Size of the alphabet.
    """
    from scipy import sparse  # deferred: SciPy is not needed to load definitions

    chosen = tokens[rows]
    positions = np.flatnonzero((chosen != chosen[0]).any(axis=0))
    varying = chosen[:, positions].astype(np.int64)
    common = _most_frequent(varying, n_letters)
    changed_rows, changed = np.nonzero(varying != common)
    now = _columns(positions[changed], varying[changed_rows, changed], n_letters)
    before = _columns(positions[changed], common[changed], n_letters)
    entry_rows = np.concatenate([changed_rows, changed_rows])
    entry_columns = np.concatenate([now, before])
    values = np.concatenate([np.ones(len(now)), -np.ones(len(before))])
    has_column = entry_columns >= 0
    columns, index = np.unique(entry_columns[has_column], return_inverse=True)
    matrix = sparse.csr_matrix(
        (values[has_column], (entry_rows[has_column], index)), shape=(len(rows), len(columns))
    )
    reference = np.isin(columns, _columns(positions, common, n_letters)).astype(np.float64)
    return Contrast(matrix, columns, reference)


def token_scores(tokens: np.ndarray, rows: np.ndarray, per_token: np.ndarray) -> np.ndarray:
    """One-hot matrix of the rows times a vector, float64 [n], by looking weights up.

    Args:
        tokens: uint8 [N, L].
        rows: int64 [n].
        per_token: float64 [L, letters], the vector; padding counts 0.
    """
    scores = np.zeros(len(rows))
    padded = np.hstack([per_token, np.zeros((len(per_token), 1))])
    for position in np.flatnonzero(per_token.any(axis=1)):
        scores += padded[position, tokens[rows, position]]
    return scores


def _most_frequent(varying: np.ndarray, n_letters: int) -> np.ndarray:
    """int64 [P]: the token that most rows have at each position, the lowest of equals."""
    counts = [np.bincount(column, minlength=n_letters + 1) for column in varying.T]
    return np.array([count.argmax() for count in counts], dtype=np.int64)


def _columns(positions: np.ndarray, tokens: np.ndarray, n_letters: int) -> np.ndarray:
    """Columns of the one-hot matrix; -1 for padding, which has none."""
    return np.where(tokens < n_letters, positions * n_letters + tokens, -1)
