"""Kernels of the Gaussian process: similarity of two variants under a few parameters.

A kernel has two steps: `pieces` compares rows, which is the expensive part, and `combine` weighs the pieces under
parameters, which is repeated while these are fitted. Parameters are natural logarithms.
"""

from typing import Any, Protocol

import numpy as np

from proteinx_pipelines.stages.train.amino_acids import similarity
from proteinx_pipelines.stages.train.mutations import MutationList
from proteinx_pipelines.stages.train.sites import SiteKernels, site_kernels

Pieces = tuple[np.ndarray, ...]
SAME, SAME_RESIDUE = 0.15, 0.315
"""Weights of the same site, and of the same site with a similar residue, in the mutation kernel."""
_IN_CACHE = 1 << 15
"""Numbers in one piece of a matrix that is computed at once: 256 KiB."""


class Kernel(Protocol):
    """A family of positive semi-definite functions of two rows."""

    start: np.ndarray
    """float64 [k]: logarithms of the initial parameters, also the centre of their prior."""

    def pieces(self, one: Any, other: Any) -> Pieces:
        """Compare rows `one` (n) and `other` (m): arrays for `combine` that broadcast to [n, m]."""

    def combine(self, pieces: Pieces, parameters: np.ndarray) -> np.ndarray:
        """Covariance float64 [n, m] under float64 [k] log parameters."""

    def diagonal(self, rows: Any, parameters: np.ndarray) -> np.ndarray:
        """Covariance of each row with itself, float64 [n]."""


class LinearKernel:
    """Inner product of vectors that are centred on the training rows: Bayesian ridge regression."""

    def __init__(self, scale: float) -> None:
        self.start = np.log([0.5 / scale])

    def pieces(self, one: np.ndarray, other: np.ndarray) -> Pieces:
        """Compute inner products, [n, m]."""
        return (one @ other.T,)  # [n, m] = [n, p] @ [p, m]

    def combine(self, pieces: Pieces, parameters: np.ndarray) -> np.ndarray:
        """Multiply by the variance of the weights."""
        return np.asarray(np.exp(parameters[0]) * pieces[0])

    def diagonal(self, rows: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Squared lengths times the variance of the weights, [n]."""
        return np.asarray(np.exp(parameters[0]) * (rows**2).sum(axis=1))


class RbfKernel:
    """Gaussian of the Euclidean distance: nonlinear, returning to the mean far from every training row."""

    def __init__(self, squared_length: float) -> None:
        self.start = np.log([0.7, squared_length])

    def pieces(self, one: np.ndarray, other: np.ndarray) -> Pieces:
        """Compute squared distances, [n, m]."""
        # |x - y|^2 = |x|^2 + |y|^2 - 2 x'y: one matrix product instead of an array [n, m, p]; rounding may go below 0
        # Arrays [n, m] are changed in place: they are the largest of a prediction.
        found = one @ other.T
        found *= -2
        found += (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None]
        return (np.maximum(found, 0.0, out=found),)

    def combine(self, pieces: Pieces, parameters: np.ndarray) -> np.ndarray:
        """Variance times the Gaussian of the distance, [n, m]."""
        found = pieces[0] / (2 * np.exp(parameters[1]))
        np.subtract(parameters[0], found, out=found)
        return np.asarray(np.exp(found, out=found))

    def diagonal(self, rows: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """The variance, repeated, [n]."""
        return np.full(len(rows), np.exp(parameters[0]))


class MutationKernel:
    """Sum over pairs of mutations, one from each row: same site, similar sites, similar residues.

    k(x, y) = sum over mutations m of x, m' of y of

        specific * [same site] * (0.15 + 0.315 * residue similarity)
        + shared * (site similarity + site similarity' * residue similarity)

    with `amino_acids.similarity` and `sites.site_kernels` (`any_residue`, then `by_residue`). For rows of several
    mutations, a Gaussian of the distance that this sum defines is added, which models interactions (epistasis).
    """

    def __init__(self, templates: np.ndarray, *, epistasis: bool) -> None:
        """Store the templates.

        Args:
            templates: uint8 [T, L] tokens, padding at the ends only.
            epistasis: add the Gaussian, for rows of several mutations.
        """
        self._templates = [line[line < len(similarity())].astype(np.int64) for line in templates]
        self._epistasis = epistasis
        self.start = np.log([1.0, 1.0, 0.3, 1.0] if epistasis else [1.0, 1.0])

    def pieces(self, one: MutationList, other: MutationList) -> Pieces:
        """Compute sums over pairs at the same site and at any sites; for epistasis also each row's sums with itself."""
        found = self._sums(one, other)
        if not self._epistasis:
            return found
        mine, theirs = self._own(one), self._own(other)
        return (*found, *(value[:, None] for value in mine), *(value[None] for value in theirs))

    def combine(self, pieces: Pieces, parameters: np.ndarray) -> np.ndarray:
        """Weigh the sums, and add the Gaussian of the distance that they define."""
        specific, shared = np.exp(parameters[:2])
        # A few lines of the matrix at a time, which stay in the cache: columns where those are contiguous.
        by_column = pieces[0].flags.f_contiguous
        same, other, *own = (piece.T if by_column else piece for piece in pieces)
        total = np.empty(same.shape)
        step = max(1, _IN_CACHE // max(1, same.shape[1]))
        for start in range(0, len(total), step):
            lines = slice(start, start + step)
            found = np.multiply(specific, same[lines], out=total[lines])
            further = shared * other[lines]
            found += further
            if not self._epistasis:
                continue
            # Distance that the kernel defines: d^2(x, y) = k(x, x) + k(y, y) - 2 k(x, y), from [n, 1] and [1, m].
            cut = [piece[lines] if len(piece) > 1 else piece for piece in own]
            mine, theirs = (specific * cut[i] + shared * cut[i + 1] for i in (0, 2))
            squared = np.asarray(mine + theirs)
            squared -= np.multiply(found, 2, out=further)
            np.maximum(squared, 0.0, out=squared)
            squared /= 2 * np.exp(parameters[3])
            found += np.exp(np.subtract(parameters[2], squared, out=squared), out=squared)
        return total.T if by_column else total

    def diagonal(self, rows: MutationList, parameters: np.ndarray) -> np.ndarray:
        """Each row with itself."""
        specific, shared = self._own(rows)
        total = np.exp(parameters[0]) * specific + np.exp(parameters[1]) * shared
        return np.asarray(total + np.exp(parameters[2]) if self._epistasis else total)

    @property
    def is_additive(self) -> bool:
        """True if a row's value is the sum of the values of its mutations."""
        return not self._epistasis

    def between_sites(self, keys: np.ndarray) -> SiteKernels:
        """Compute kernels of sites from their keys (int64 [S]: template * 2**24 + position from 0)."""
        return site_kernels(self._templates, keys >> 24, keys & ((1 << 24) - 1))

    def _sums(self, one: MutationList, other: MutationList) -> tuple[np.ndarray, np.ndarray]:
        if (one.counts == 1).all() and (other.counts == 1).all():
            # Single mutants: pairs of mutations are pairs of rows.
            return self._similar(_codes(one), _codes(other))
        (rows, i), (columns, j) = (np.unique(_codes(each), return_inverse=True) for each in (one, other))
        left, right = _incidence(one, i, len(rows)), _incidence(other, j, len(columns))
        same, shared = self._similar(rows, columns)  # [u, v] between the distinct mutations
        # [n, m] = [n, u] @ [u, v] @ [v, m]
        return left @ same @ right.T, left @ shared @ right.T

    def _own(self, rows: MutationList) -> tuple[np.ndarray, np.ndarray]:
        """Sums of each row with itself over pairs of its mutations: float64 [n] for same sites, float64 [n] for any."""
        known, index = np.unique(_codes(rows), return_inverse=True)
        if (rows.counts <= 1).all():
            # Each mutation with itself alone: not a matrix of all pairs, which are millions for a library of singles.
            return tuple(  # type: ignore[return-value]
                np.bincount(rows.row, value[index], minlength=rows.n_rows)
                for value in self._with_itself(known)
            )
        incidence = _incidence(rows, index, len(known))
        # diag(A S A') as row sums of A * (A S): [n, u] instead of [n, n]
        same, shared = (
            np.asarray(incidence.multiply(incidence @ matrix).sum(axis=1)).ravel()
            for matrix in self._similar(known, known)
        )
        return same, shared

    def _with_itself(self, codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Diagonals of `_similar(codes, codes)`, float64 [n] each; the codes are distinct."""
        sites, index = np.unique(codes >> 5, return_inverse=True)
        alike = similarity()[codes & 31, codes & 31]
        kernels = self.between_sites(sites)
        shared = kernels.by_residue[index, index] * alike + kernels.any_residue[index, index]
        return alike * SAME_RESIDUE + SAME, shared

    def _similar(self, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Similarities of mutations (int64 [n] and [m] codes), float64 [n, m] each: at one site, and at any."""
        # A code is site << 5 | residue. Arrays [n, m] are changed in place: they are the largest of a fit.
        sites, index = np.unique(np.concatenate([one, other]) >> 5, return_inverse=True)
        i, j = index[: len(one)], index[len(one) :]
        alike = similarity()[np.ix_(one & 31, other & 31)]
        kernels = self.between_sites(sites)
        shared = kernels.by_residue[np.ix_(i, j)]
        shared *= alike
        shared += kernels.any_residue[np.ix_(i, j)]
        alike *= SAME_RESIDUE
        alike += SAME
        alike *= i[:, None] == j[None]
        return alike, shared


def _codes(mutations: MutationList) -> np.ndarray:
    """int64 [M]: code of template, position and residue."""
    return np.asarray((mutations.template << 29) + (mutations.position << 5) + mutations.residue)


def _incidence(mutations: MutationList, index: np.ndarray, width: int) -> Any:
    """Sparse float64 [n, width]: 1 for each of the distinct mutations that a row has."""
    from scipy import sparse  # deferred: SciPy is not needed to load definitions

    ones = np.ones(len(index))
    return sparse.csr_matrix((ones, (mutations.row, index)), shape=(mutations.n_rows, width))
