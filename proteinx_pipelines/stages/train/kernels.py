"""Kernels of the Gaussian process: how alike two variants are, under a handful of parameters.

A kernel splits its work: `pieces` compares rows and costs the most, `combine` weighs the pieces under
parameters and is repeated while those are fitted. Parameters are natural logarithms.
"""

from typing import Any, Protocol

import numpy as np

from proteinx_pipelines.stages.train.amino_acids import similarity
from proteinx_pipelines.stages.train.mutations import MutationList
from proteinx_pipelines.stages.train.sites import SiteKernels, site_kernels

Pieces = tuple[np.ndarray, ...]
SAME, SAME_RESIDUE = 0.15, 0.315
"""Weights of the same site, and of the same site with an alike residue, in the mutation kernel."""


class Kernel(Protocol):
    """A family of positive semi-definite functions of two rows."""

    start: np.ndarray
    """float64 [k]: logarithms of the parameters to begin with, also the centre of their prior."""

    def pieces(self, one: Any, other: Any) -> Pieces:
        """What `combine` needs of rows `one` (n) and `other` (m), arrays that broadcast to [n, m]."""

    def combine(self, pieces: Pieces, parameters: np.ndarray) -> np.ndarray:
        """float64 [n, m] under float64 [k] log parameters."""

    def diagonal(self, rows: Any, parameters: np.ndarray) -> np.ndarray:
        """float64 [n]: each row with itself."""


class LinearKernel:
    """Inner product of vectors that are centred on the training rows: Bayesian ridge regression."""

    def __init__(self, scale: float) -> None:
        self.start = np.log([0.5 / scale])

    def pieces(self, one: np.ndarray, other: np.ndarray) -> Pieces:
        """Inner products."""
        return (one @ other.T,)

    def combine(self, pieces: Pieces, parameters: np.ndarray) -> np.ndarray:
        """Weighted by the variance of the weights."""
        return np.asarray(np.exp(parameters[0]) * pieces[0])

    def diagonal(self, rows: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """Squared lengths, weighted."""
        return np.asarray(np.exp(parameters[0]) * (rows**2).sum(axis=1))


class RbfKernel:
    """Gaussian of the Euclidean distance: nonlinear, and back to the mean far from every training row."""

    def __init__(self, squared_length: float) -> None:
        self.start = np.log([0.7, squared_length])

    def pieces(self, one: np.ndarray, other: np.ndarray) -> Pieces:
        """Squared distances."""
        norms = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None]
        return (np.maximum(norms - 2 * (one @ other.T), 0.0),)

    def combine(self, pieces: Pieces, parameters: np.ndarray) -> np.ndarray:
        """Variance times the Gaussian."""
        return np.asarray(np.exp(parameters[0] - pieces[0] / (2 * np.exp(parameters[1]))))

    def diagonal(self, rows: np.ndarray, parameters: np.ndarray) -> np.ndarray:
        """The variance."""
        return np.full(len(rows), np.exp(parameters[0]))


class MutationKernel:
    """Sums over pairs of mutations, one of each row: same site, like sites, like residues.

    k(x, y) = sum over mutations m of x, m' of y of

        specific * [same site] * (0.15 + 0.315 * like residues)
        + shared * (like sites + like sites' * like residues)

    with `amino_acids.similarity` and `sites.site_kernels`. Where rows have several mutations, a Gaussian of the
    distance that this sum defines is added: mutations that matter together (epistasis).
    """

    def __init__(self, templates: np.ndarray, *, epistasis: bool) -> None:
        """Take the templates.

        Args:
            templates: uint8 [T, L] tokens, padding at the ends only.
            epistasis: whether to add the Gaussian: for rows of several mutations.
        """
        self._templates = [line[line < len(similarity())].astype(np.int64) for line in templates]
        self._epistasis = epistasis
        self.start = np.log([1.0, 1.0, 0.3, 1.0] if epistasis else [1.0, 1.0])

    def pieces(self, one: MutationList, other: MutationList) -> Pieces:
        """Sums over pairs at the same site and at any sites, and for epistasis each row's own sums."""
        found = self._sums(one, other)
        if not self._epistasis:
            return found
        mine, theirs = self._own(one), self._own(other)
        return (*found, *(value[:, None] for value in mine), *(value[None] for value in theirs))

    def combine(self, pieces: Pieces, parameters: np.ndarray) -> np.ndarray:
        """The weighted sum, and the Gaussian of the distance that it defines."""
        specific, shared = np.exp(parameters[:2])
        total = specific * pieces[0] + shared * pieces[1]
        if self._epistasis:
            mine, theirs = (specific * pieces[i] + shared * pieces[i + 1] for i in (2, 4))
            squared = np.maximum(mine + theirs - 2 * total, 0.0)
            total += np.exp(parameters[2] - squared / (2 * np.exp(parameters[3])))
        return np.asarray(total)

    def diagonal(self, rows: MutationList, parameters: np.ndarray) -> np.ndarray:
        """Each row with itself."""
        specific, shared = self._own(rows)
        total = np.exp(parameters[0]) * specific + np.exp(parameters[1]) * shared
        return np.asarray(total + np.exp(parameters[2]) if self._epistasis else total)

    @property
    def is_additive(self) -> bool:
        """Whether a row's value is the sum of its mutations'."""
        return not self._epistasis

    def between_sites(self, keys: np.ndarray) -> SiteKernels:
        """Kernels of sites by their keys (int64 [S]: template * 2**24 + position from 0)."""
        return site_kernels(self._templates, keys >> 24, keys & ((1 << 24) - 1))

    def _sums(self, one: MutationList, other: MutationList) -> tuple[np.ndarray, np.ndarray]:
        if (one.counts == 1).all() and (other.counts == 1).all():
            return self._similar(_codes(one), _codes(other))
        (rows, i), (columns, j) = (np.unique(_codes(each), return_inverse=True) for each in (one, other))
        left, right = _incidence(one, i, len(rows)), _incidence(other, j, len(columns))
        same, shared = self._similar(rows, columns)
        return left @ same @ right.T, left @ shared @ right.T

    def _own(self, rows: MutationList) -> tuple[np.ndarray, np.ndarray]:
        """float64 [n] twice: the sums of each row with itself, by pairs within the row."""
        known, index = np.unique(_codes(rows), return_inverse=True)
        incidence = _incidence(rows, index, len(known))
        same, shared = (
            np.asarray(incidence.multiply(incidence @ matrix).sum(axis=1)).ravel()
            for matrix in self._similar(known, known)
        )
        return same, shared

    def _similar(self, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """float64 [n, m] twice: what mutations (int64 [n] and [m] codes) share by their site, and by others'."""
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
    """int64 [M]: one number for template, position and residue."""
    return np.asarray((mutations.template << 29) + (mutations.position << 5) + mutations.residue)


def _incidence(mutations: MutationList, index: np.ndarray, width: int) -> Any:
    """Sparse float64 [n, width]: which of the distinct mutations each row has."""
    from scipy import sparse  # deferred: SciPy is not needed to load definitions

    ones = np.ones(len(index))
    return sparse.csr_matrix((ones, (mutations.row, index)), shape=(mutations.n_rows, width))
