"""Nearest measured variant of each candidate, and its distance.

The distance is the number of residues that differ, computed from substitutions alone with two sparse products.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from proteinx_pipelines.stages.design.candidates import Candidates

_PAIRS = 1 << 19
"""Pairs of variants compared at once: 4 MiB, which stay in the cache."""


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
    there, counts = _both(measured).T.tocsr(), measured.counts
    for start in range(0, candidates.n, step):
        piece = candidates.take(np.arange(start, min(start + step, candidates.n)))
        shared = (_both(piece) @ there).toarray()
        # As in `distances`; the candidate's own count is the same for all of a row.
        found = np.subtract(counts[None, :], shared, out=shared)
        at = found.argmin(axis=1)
        rows[start : start + piece.n] = at
        apart[start : start + piece.n] = found[np.arange(piece.n), at] + piece.counts
    return Nearest(rows, apart)


def distances(one: Candidates, other: Candidates) -> np.ndarray:
    """Number of residues that differ, int64 [n, m], between two sets of variants of one template."""
    shared = (_both(one) @ _both(other).T).toarray()
    # |a| + |b| counts a position changed by both twice; it should count 1 if the residues differ, 0 if they agree.
    return np.asarray(one.counts[:, None] + other.counts[None, :] - shared)


def _both(candidates: Candidates) -> sparse.csr_matrix:
    """Sparse [n, 257 L]: 1 at each changed position, and at each residue that stands there then."""
    length, m = len(candidates.template), len(candidates.position)
    place = candidates.position - 1
    columns = np.stack([place, length + place * 256 + candidates.residue], axis=1).ravel()
    row = np.repeat(candidates.row, 2)
    return sparse.csr_matrix((np.ones(2 * m, np.int32), (row, columns)), shape=(candidates.n, 257 * length))
