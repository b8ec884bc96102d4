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
    rows, apart = np.zeros(candidates.n, np.int64), np.zeros(candidates.n, np.int64)
    step = max(1, _PAIRS // max(1, measured.n))
    for start in range(0, candidates.n, step):
        piece = candidates.take(np.arange(start, min(start + step, candidates.n)))
        found = distances(piece, measured)
        rows[start : start + piece.n] = found.argmin(axis=1)
        apart[start : start + piece.n] = found.min(axis=1)
    return Nearest(rows, apart)


def distances(one: Candidates, other: Candidates) -> np.ndarray:
    """Number of residues that differ, int64 [n, m], between two sets of variants of one template."""
    length = len(one.template)
    shared = (_sparse(one, length, exact=True) @ _sparse(other, length, exact=True).T).toarray()
    shared += (_sparse(one, length, exact=False) @ _sparse(other, length, exact=False).T).toarray()
    # |a| + |b| counts a position changed by both twice; it should count 1 if the residues differ, 0 if they agree.
    return np.asarray(one.counts[:, None] + other.counts[None, :] - shared)


def _sparse(candidates: Candidates, length: int, *, exact: bool) -> sparse.csr_matrix:
    column = candidates.position - 1
    width = length
    if exact:
        column, width = column * 256 + candidates.residue, length * 256
    ones = np.ones(len(column), np.int32)
    return sparse.csr_matrix((ones, (candidates.row, column)), shape=(candidates.n, width))
