"""Linear algebra on one-hot sequences without building the one-hot matrix.

A variant differs from the most frequent residues at few positions. The matrix of those differences has the same
centred columns as the one-hot matrix, so it gives the same ridge; with k mutations it has 2k entries per row. If most
residues differ, as on a grid of a few sites, the one-hot matrix of the varying sites is used instead. Used by `ridge`
and `moments`.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

_SAMPLE = 1000


@dataclass(frozen=True)
class Contrast:
    """One-hot matrix of some rows, without constant columns, minus one reference row."""

    matrix: Any
    """Sparse float64 [n, p] (SciPy CSR), entries -1, 0, 1."""
    columns: np.ndarray
    """int64 [p]: column of the one-hot matrix (position * letters + letter), ascending."""
    reference: np.ndarray
    """float64 [p]: reference row, 1 for columns of their position's most frequent residue; all 0 if most residues
    differ from those and nothing was subtracted."""


def contrast_matrix(tokens: np.ndarray, rows: np.ndarray, n_letters: int) -> Contrast:
    """Build the contrast of some rows.

    Args:
        tokens: uint8 [N, L], index of the residue; `n_letters` is padding, which has no column.
        rows: int64 [n], at least one.
        n_letters: size of the alphabet.
    """
    from scipy import sparse  # deferred: SciPy is not needed to load definitions

    positions, varying = _varying(tokens, rows)
    common = _most_frequent(varying, n_letters)
    is_changed = varying != common
    is_far = 2 * np.count_nonzero(is_changed) > varying.size  # then the one-hot matrix has fewer entries
    if is_far:
        entries, values = _columns(positions, varying, n_letters), np.ones(varying.shape)
        per_row = np.full(len(rows), len(positions))
    else:
        row, changed = np.nonzero(is_changed)  # in the order of rows, as CSR needs them
        both = np.stack([varying[row, changed], common[changed]], axis=1)
        entries, values = _columns(positions[changed, None], both, n_letters), np.tile([1.0, -1.0], len(row))
        per_row = 2 * np.bincount(row, minlength=len(rows))
    entries, values, per_row = _without_padding(entries.ravel(), values.ravel(), per_row)
    is_live = np.zeros(tokens.shape[1] * n_letters, dtype=bool)
    is_live[entries] = True
    columns = np.flatnonzero(is_live)
    number = (np.cumsum(is_live) - 1).astype(np.int32)
    starts = np.concatenate([[0], np.cumsum(per_row)])
    matrix = sparse.csr_matrix((values, number[entries], starts), shape=(len(rows), len(columns)))
    reference = (
        np.zeros(len(columns))
        if is_far
        else np.isin(columns, _columns(positions, common, n_letters)).astype(np.float64)
    )
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


def _varying(tokens: np.ndarray, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Positions (int64 [P]) whose token varies among the rows, and the rows' tokens there (uint8 [n, P])."""
    positions = np.flatnonzero(tokens.min(axis=0) != tokens.max(axis=0))
    few = 2 * len(positions) < tokens.shape[1]
    chosen = tokens[:, positions][rows] if few else tokens[rows][:, positions]
    among_rows = chosen.min(axis=0) != chosen.max(axis=0)
    return (positions, chosen) if among_rows.all() else (positions[among_rows], chosen[:, among_rows])


def _most_frequent(varying: np.ndarray, n_letters: int) -> np.ndarray:
    """uint8 [P]: most frequent token at each position; ties go to the lowest."""
    common = _counted(varying[:_SAMPLE], n_letters)
    # A token that more than half of the rows have is the mode; the others need not be counted.
    unsure = np.flatnonzero(2 * np.count_nonzero(varying == common, axis=0) <= len(varying))
    common[unsure] = _counted(varying[:, unsure], n_letters)
    return common


def _counted(varying: np.ndarray, n_letters: int) -> np.ndarray:
    counts = [np.bincount(column, minlength=n_letters + 1) for column in varying.T]
    return np.array([count.argmax() for count in counts], dtype=np.uint8)


def _columns(positions: np.ndarray, tokens: np.ndarray, n_letters: int) -> np.ndarray:
    """Columns of the one-hot matrix; -1 for padding, which has none."""
    columns = positions * n_letters + tokens
    return (
        columns if tokens.size == 0 or tokens.max() < n_letters else np.where(tokens < n_letters, columns, -1)
    )


def _without_padding(
    entries: np.ndarray, values: np.ndarray, per_row: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Entries that have a column, their values, and their number per row."""
    kept = entries >= 0
    if kept.all():
        return entries, values, per_row
    row = np.repeat(np.arange(len(per_row)), per_row)
    return entries[kept], values[kept], np.bincount(row[kept], minlength=len(per_row))
