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

    def _covariance(self, codes: np.ndarray, training: MutationList, factor: np.ndarray) -> np.ndarray:
        from scipy import linalg

        n = len(codes)
        singles = MutationList(np.arange(n), codes >> 29, (codes >> 5) & ((1 << 24) - 1), codes & 31, n)
        kernel, parameters = self._kernel, self._parameters.kernel
        cross = kernel.combine(kernel.pieces(training, singles), parameters)
        # k(a, b) - (L^-1 k(X, a))' (L^-1 k(X, b)): [u, u] = [u, m] @ [m, u]
        whitened = linalg.solve_triangular(factor, cross, lower=True, overwrite_b=True, check_finite=False)
        found = kernel.combine(kernel.pieces(singles, singles), parameters)
        found -= whitened.T @ whitened
        return np.asarray(found)
