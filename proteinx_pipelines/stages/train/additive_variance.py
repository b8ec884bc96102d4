"""Posterior variance of many variants under the additive mutation kernel.

Such a process is a sum of values of mutations, so the variance of a variant is the sum of the covariances of its
mutations. Those of u distinct mutations are one matrix [u, u], whatever the number of variants: a million double
mutants of 4,750 singles need as many numbers as the singles. Used by `gp`.
"""

import numpy as np

from proteinx_pipelines.stages.train.gaussian_process import Parameters
from proteinx_pipelines.stages.train.kernels import MutationKernel
from proteinx_pipelines.stages.train.mutations import MutationList

MOST_MUTATIONS = 8_000
"""Most distinct mutations: 0.5 GB of covariances."""


class MutationCovariance:
    """Covariances of mutations seen so far, computed once for all variants that have them."""

    def __init__(self, kernel: MutationKernel, parameters: Parameters) -> None:
        self._kernel, self._parameters = kernel, parameters
        self._codes = np.zeros(0, np.int64)
        self._matrix = np.zeros((0, 0))

    def variance(self, asked: MutationList, training: MutationList, factor: np.ndarray) -> np.ndarray | None:
        """Variance of the function at the asked variants, float64 [n]; None if they have too many mutations.

        Args:
            asked: n variants.
            training: m variants, the rows of the factor.
            factor: Cholesky factor of their covariance, [m, m].
        """
        codes = (asked.template << 29) + (asked.position << 5) + asked.residue
        if (asked.counts <= 1).all():
            return self._of_singles(asked, codes, training, factor)
        if not np.isin(codes, self._codes).all():
            every = np.union1d(self._codes, codes)
            if len(every) > MOST_MUTATIONS:
                return None
            self._codes, self._matrix = every, self._covariance(every, training, factor)
        place = np.searchsorted(self._codes, codes)
        found = np.bincount(asked.row, self._matrix[place, place], minlength=asked.n_rows)
        for apart in range(1, int(asked.counts.max(initial=0))):
            # Mutations are ordered by row: pairs of a row are `apart` from one another.
            first = np.flatnonzero(asked.row[:-apart] == asked.row[apart:])
            pair = 2 * self._matrix[place[first], place[first + apart]]
            found += np.bincount(asked.row[first], pair, minlength=asked.n_rows)
        return np.asarray(np.maximum(found, 0.0))

    def _of_singles(
        self, asked: MutationList, codes: np.ndarray, training: MutationList, factor: np.ndarray
    ) -> np.ndarray | None:
        """Variance of variants of at most one mutation: the diagonal alone."""
        every, place = np.unique(codes, return_inverse=True)
        if len(every) > MOST_MUTATIONS:
            return None
        prior = self._kernel.diagonal(_singles(every), self._parameters.kernel)
        found = prior - (self._whitened(every, training, factor) ** 2).sum(axis=0)
        return np.maximum(np.bincount(asked.row, found[place], minlength=asked.n_rows), 0.0)

    def _covariance(self, codes: np.ndarray, training: MutationList, factor: np.ndarray) -> np.ndarray:
        singles, whitened = _singles(codes), self._whitened(codes, training, factor)
        found = self._kernel.combine(self._kernel.pieces(singles, singles), self._parameters.kernel)
        # k(a, b) - (L^-1 k(X, a))' (L^-1 k(X, b)): [u, u] = [u, m] @ [m, u]
        found -= whitened.T @ whitened
        return np.asarray(found)

    def _whitened(self, codes: np.ndarray, training: MutationList, factor: np.ndarray) -> np.ndarray:
        """L^-1 k(X, a) of each mutation, [m, u]."""
        from scipy import linalg

        cross = self._kernel.combine(self._kernel.pieces(training, _singles(codes)), self._parameters.kernel)
        return np.asarray(
            linalg.solve_triangular(factor, cross, lower=True, overwrite_b=True, check_finite=False)
        )


def _singles(codes: np.ndarray) -> MutationList:
    """Variants of one mutation each."""
    n = len(codes)
    return MutationList(np.arange(n), codes >> 29, (codes >> 5) & ((1 << 24) - 1), codes & 31, n)
