"""Matrix-free products with the kernel of mutations and evidence, where it is a sum over mutations.

Terms of sites are Kronecker products on the grid of S sites by 20 residues, as in `site_grid`; linear terms of what a
mutation changes have few columns; their Gaussians are smooth in few dimensions, so that some hundred pivots tell every
value to `_TOLERANCE`. A product takes 20 S^2 + r n operations, not n^2, and no covariance is ever written down: 8,000
variants are solved in seconds. Used for means of more than `gp_structure.MOST_WRITTEN` rows; a Gaussian that is not
of low rank (`EvidenceGrid.of` returns None) is left to the matrix.
"""

from dataclasses import dataclass

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train.amino_acids import similarity
from proteinx_pipelines.stages.train.evidence_kernel import DistinctMutations, EvidenceKernel, sites_of_both
from proteinx_pipelines.stages.train.kernels import SAME, SAME_RESIDUE
from proteinx_pipelines.stages.train.mutations import MutationList

_TOLERANCE = 1e-6
"""Largest error of a Gaussian's diagonal, whose values are 1."""
_JITTER = 1e-10


@dataclass(frozen=True)
class _Gaussian:
    """A Gaussian of d columns by its values at r pivots: k(x, y) is about a(x) @ a(y) with a(x) = L^-1 k(pivots, x)."""

    pivots: np.ndarray
    """float64 [r, d]."""
    factor: np.ndarray
    """float64 [r, r]: L, Cholesky factor of the pivots' own values."""

    @classmethod
    def of(cls, points: np.ndarray, most: int) -> "_Gaussian | None":
        """Choose at most so many pivots among points (float64 [n, d]) by the largest remaining error; None if too few.

        Source:
            Harbrecht, Peters and Schneider 2012, doi:10.1016/j.apnum.2011.10.001 (pivoted Cholesky decomposition).
        """
        points = np.unique(points, axis=0)
        left, rows = np.ones(len(points)), np.empty((min(most, len(points)), len(points)))
        chosen: list[int] = []
        while left.max(initial=0.0) > _TOLERANCE:
            if len(chosen) == len(rows):
                return None
            pivot, n = int(left.argmax()), len(chosen)
            row = _gaussian(points[[pivot]], points)[0] - rows[:n, pivot] @ rows[:n]
            rows[n] = row / np.sqrt(left[pivot])
            left = np.maximum(left - rows[n] ** 2, 0.0)
            left[pivot] = 0.0
            chosen.append(pivot)
        pivots = points[chosen]
        own = _gaussian(pivots, pivots)
        own[np.diag_indices(len(own))] += _JITTER
        return cls(pivots, np.linalg.cholesky(own))

    def columns(self, points: np.ndarray) -> np.ndarray:
        """a(x) of points (float64 [m, d]), float64 [m, r]."""
        from scipy import linalg  # deferred: SciPy is not needed to load definitions

        values = _gaussian(self.pivots, points)
        return np.asarray(linalg.solve_triangular(self.factor, values, lower=True, check_finite=False).T)


@dataclass(frozen=True)
class _Described:
    """Mutations of m rows beside those of the training rows: all of a product that no vector changes."""

    mutations: DistinctMutations
    columns: list[np.ndarray]
    """Columns [u, r] whose products with those of the training rows are the terms of what mutations change."""
    here: np.ndarray
    there: np.ndarray
    """int64 [u] and [v]: site of each mutation of these rows, and of the training rows."""
    any_residue: np.ndarray
    by_residue: np.ndarray
    """float64 [S, S]: weighted similarity of sites, for any residues and by the similarity of the new ones."""
    exchange: np.ndarray | None
    """float64 [S, 20, 20]: weighted covariance of residues at each site; None without such a term."""


class EvidenceGrid:
    """The kernel between any rows and the training rows of one process."""

    def __init__(
        self,
        kernel: EvidenceKernel,
        training: DistinctMutations,
        weights: np.ndarray,
        smooth: list[_Gaussian],
    ) -> None:
        self._kernel, self._training, self._weights, self._smooth = kernel, training, weights, smooth
        self._own = self._describe(training)

    @classmethod
    def of(
        cls, kernel: EvidenceKernel, training: MutationList, parameters: np.ndarray, most_pivots: int
    ) -> "EvidenceGrid | None":
        """Prepare products with training rows; None where the kernel is no sum over mutations or not of low rank.

        Args:
            kernel: of the process.
            training: n rows.
            parameters: float64, logarithms, as for `EvidenceKernel.combine`.
            most_pivots: of a Gaussian that is of low rank.
        """
        if not kernel.is_additive:
            return None
        mutations, weights = kernel.distinct(training), np.exp(parameters[: len(kernel.terms)])
        smooth = []
        for points, known in kernel.sites.of_mutations(mutations.at):
            found = _Gaussian.of(_scaled(points[known]), most_pivots)
            if found is None:
                return None
            smooth.append(found)
        return cls(kernel, mutations, weights, smooth)

    def times(self, vector: np.ndarray, rows: MutationList | None = None) -> np.ndarray:
        """Multiply the kernel [m, n] by a vector of the training rows: float64 [n] to float64 [m].

        Args:
            vector: float64 [n].
            rows: m rows; the training rows when None.
        """
        theirs = self._training
        asked = self._own if rows is None else self._describe(self._kernel.distinct(rows))
        # A weight for each distinct mutation of the training rows, [v].
        spread = np.bincount(theirs.index, vector[theirs.row], minlength=len(theirs.at.row))
        found = self._by_sites(asked, spread)
        for one, other in zip(asked.columns, self._own.columns, strict=True):
            found += one @ (other.T @ spread)  # [u] = [u, r] @ ([r, v] @ [v])
        mine = asked.mutations
        return np.bincount(mine.row, found[mine.index], minlength=mine.n_rows)

    def _describe(self, mutations: DistinctMutations) -> _Described:
        kernel, weights = self._kernel, self._weights
        here, there, template, position = sites_of_both(mutations.at, self._training.at)
        sites = kernel.weighted_sites(weights, kernel.between_sites(template, position))
        exchange = (
            weights[-1] * kernel.sites.exchange_tables[template] if kernel.sites.exchange_terms else None
        )
        return _Described(mutations, self._columns(mutations), here, there, *sites, exchange)

    def _columns(self, mutations: DistinctMutations) -> list[np.ndarray]:
        found = []
        changes = zip(
            self._kernel.change_weights(self._weights), self._smooth,
            self._kernel.sites.of_mutations(mutations.at), strict=True,
        )  # fmt: skip
        for (linear, gaussian), smooth, (points, known) in changes:
            scaled = _scaled(points)
            found += [np.sqrt(linear) * scaled, np.sqrt(gaussian) * known[:, None] * smooth.columns(scaled)]
        return found

    def _by_sites(self, asked: _Described, spread: np.ndarray) -> np.ndarray:
        """Terms of sites and of residues at one site, float64 [u], from weights of the training mutations [v]."""
        weights = self._weights
        grid = np.zeros((len(asked.any_residue), len(AMINO_ACIDS)))
        grid[asked.there, self._training.at.new] = spread
        sums, alike = grid.sum(axis=1), grid @ similarity()  # [S], and [S, 20] = [S, 20] @ [20, 20]
        # Pairs at the same site, then pairs at any sites: [S] = [S, S] @ [S] and [S, 20] = [S, S] @ [S, 20].
        values = (weights[2] + weights[0] * SAME) * sums[:, None] + weights[0] * SAME_RESIDUE * alike
        values += (asked.any_residue @ sums)[:, None] + asked.by_residue @ alike
        if asked.exchange is not None:
            values += np.einsum("sab,sb->sa", asked.exchange, grid)
        return np.asarray(values[asked.here, asked.mutations.at.new])


def _scaled(points: np.ndarray) -> np.ndarray:
    """Points (float64 [n, d]) over the root of d: products and squared distances are then means over columns."""
    return np.asarray(points / np.sqrt(points.shape[1]))


def _gaussian(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """exp(-|x - y|^2 / 2), float64 [m, n]."""
    squared = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1)[None] - 2 * one @ other.T
    return np.asarray(np.exp(-np.maximum(squared, 0.0) / 2))
