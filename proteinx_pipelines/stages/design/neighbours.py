"""Nearest measured variant of each candidate, and its distance.

The distance is the number of residues that differ, computed from substitutions alone with two sparse products.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from proteinx_pipelines.stages.design.candidates import Candidates

_PAIRS = 1 << 24
"""Pairs of variants compared at once."""


@dataclass(frozen=True)
class Nearest:
    """Nearest measured variant of each of n candidates."""

    row: np.ndarray
    """int64 [n]: index of the nearest measured variant; the first of several."""
    distance: np.ndarray
    """int64 [n]: residues that differ."""


def nearest(candidates: Candidates, measured: Candidates) -> Nearest:
    """The nearest measured variant of each candidate; both of one template.

    Args:
        candidates: n variants.
        measured: m > 0 variants.
    """
    length = len(candidates.template)
    there_exact, there_place = _sparse(measured, length, exact=True), _sparse(measured, length, exact=False)
    counts = measured.counts
    rows, distances = np.zeros(candidates.n, np.int64), np.zeros(candidates.n, np.int64)
    step = max(1, _PAIRS // max(1, measured.n))
    for start in range(0, candidates.n, step):
        piece = candidates.take(np.arange(start, min(start + step, candidates.n)))
        shared = (_sparse(piece, length, exact=True) @ there_exact.T).toarray()
        shared += (_sparse(piece, length, exact=False) @ there_place.T).toarray()
        # |a| + |b| counts a position changed by both twice; it should count 1 if the residues differ, 0 if they agree.
        apart = piece.counts[:, None] + counts[None, :] - shared
        rows[start : start + piece.n] = apart.argmin(axis=1)
        distances[start : start + piece.n] = apart.min(axis=1)
    return Nearest(rows, distances)


def _sparse(candidates: Candidates, length: int, *, exact: bool) -> sparse.csr_matrix:
    column = candidates.position - 1
    width = length
    if exact:
        column, width = column * 256 + candidates.residue, length * 256
    ones = np.ones(len(column), np.int32)
    return sparse.csr_matrix((ones, (candidates.row, column)), shape=(candidates.n, width))
