"""Matrix-free products with the additive mutation kernel, on a grid of sites by residues.

Without epistasis the kernel of n single mutants is a sum of Kronecker products on the grid of S sites by 20 residues: a
product takes 20 S^2 operations, not n^2, so 12,000 rows are solved exactly, by conjugate gradients, in less than a
second. Used by `gp` for means; deviations need the matrix.
"""

from collections.abc import Callable

import numpy as np

from proteinx_pipelines.stages.train.amino_acids import similarity
from proteinx_pipelines.stages.train.kernels import SAME, SAME_RESIDUE, MutationKernel
from proteinx_pipelines.stages.train.mutations import MutationList

_TOLERANCE = 1e-6
_MOST_STEPS = 2000


class SiteGrid:
    """Sites of two lists of mutations, and the kernel between them."""

    def __init__(
        self, kernel: MutationKernel, one: MutationList, other: MutationList, parameters: np.ndarray
    ) -> None:
        self._one, self._other = one, other
        keys = np.concatenate([site_keys(one), site_keys(other)])
        sites, index = np.unique(keys, return_inverse=True)
        self._at_one, self._at_other = index[: len(one.row)], index[len(one.row) :]
        self._n_sites = len(sites)
        self._specific, self._shared = np.exp(parameters[:2])
        self._kernels = kernel.between_sites(sites)
        self._similarity = similarity()

    def times(self, weights: np.ndarray) -> np.ndarray:
        """Multiply the kernel [n, m] by weights of the other list's rows: float64 [m] to float64 [n]."""
        # Scatter the weights of the other list's mutations to the grid of sites by residues, [S, 20].
        n_letters = len(self._similarity)
        cell = self._at_other * n_letters + self._other.residue
        grid = np.bincount(cell, weights[self._other.row], minlength=self._n_sites * n_letters)
        grid = grid.reshape(self._n_sites, n_letters)
        sums, alike = grid.sum(axis=1), grid @ self._similarity  # [S], and [S, 20] = [S, 20] @ [20, 20]
        # Pairs at the same site, then pairs at any sites: [S] = [S, S] @ [S] and [S, 20] = [S, S] @ [S, 20].
        values = self._specific * (SAME * sums[:, None] + SAME_RESIDUE * alike)
        values += self._shared * (
            (self._kernels.any_residue @ sums)[:, None] + self._kernels.by_residue @ alike
        )
        # Gather the cells of this list's mutations, [M], and sum them by row, [n].
        found = values[self._at_one, self._one.residue]
        return np.bincount(self._one.row, found, minlength=self._one.n_rows)


def site_keys(mutations: MutationList) -> np.ndarray:
    """int64 [M]: key of template and position, for `MutationKernel.between_sites`."""
    return np.asarray(mutations.template * (1 << 24) + mutations.position)


def conjugate_gradients(
    times: Callable[[np.ndarray], np.ndarray],
    noise: float | np.ndarray,
    targets: np.ndarray,
    *,
    precondition: Callable[[np.ndarray], np.ndarray] = lambda residual: residual,
    tolerance: float = _TOLERANCE,
) -> tuple[np.ndarray, bool]:
    """Solve (K + noise I) x = targets to a relative residual, in at most 2,000 steps.

    Returns:
        x, float64 [n], and True if the residual is within the tolerance.

    Args:
        times: multiplies K by a vector.
        noise: > 0, one or float64 [n].
        targets: float64 [n].
        precondition: multiplies a symmetric positive definite approximation of the inverse by a vector.
        tolerance: length of the residual relative to that of the targets.

    Source:
        Hestenes and Stiefel 1952, doi:10.6028/jres.049.044; Saad 2003, algorithm 9.1.
    """
    solution, residual = np.zeros_like(targets), targets.copy()
    limit = tolerance**2 * float(targets @ targets)
    direction = precondition(residual).copy()
    size = float(residual @ direction)  # squared residual in the norm of the preconditioner
    for _ in range(_MOST_STEPS):
        if float(residual @ residual) <= limit:
            return solution, True
        image = times(direction) + noise * direction
        step = size / float(direction @ image)  # minimises the error along the direction
        solution += step * direction
        residual -= step * image
        improved = precondition(residual)
        before, size = size, float(residual @ improved)
        direction = improved + (size / before) * direction  # conjugate to all earlier directions
    return solution, float(residual @ residual) <= limit
