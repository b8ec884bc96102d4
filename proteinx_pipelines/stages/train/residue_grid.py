"""The Gaussian kernel times a vector on all combinations of residues at a few positions, without the matrix.

On one-hot rows the Gaussian of the distance is a product over positions, so on the grid of all combinations it is a
Kronecker product: 21 by 21 for each position instead of rows by rows. The grid of GB1's four sites has 194,481
cells (20 residues and padding); 120,000 measured ones are solved exactly, by conjugate gradients, in seconds. Cells
without a measurement take no part: they are filled with zeros and not read. Used by `gp`.

Source:
    Saatci 2011, "Scalable Inference for Structured Gaussian Process Models", chapter 5.
"""

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train.site_grid import conjugate_gradients

MOST_CELLS = 1 << 22
"""21 to the power of 5 positions fits."""
_RESIDUES = len(AMINO_ACIDS)
_TOLERANCE = 1e-9
_LEAST_FILLED = 0.1


class ResidueGrid:
    """The kernel between all combinations of residues, or padding, at some positions."""

    def __init__(self, n_positions: int, parameters: np.ndarray, n_letters: int = _RESIDUES + 1) -> None:
        """Take the size.

        Args:
            n_positions: P.
            parameters: float64 [2], logarithms of the variance and the squared length, as `kernels.RbfKernel`.
            n_letters: 21, or 20 where no row has padding: fewer cells are empty then.
        """
        self._n_positions, self._n_letters = n_positions, n_letters
        self._variance = float(np.exp(parameters[0]))
        squared = np.full((n_letters, n_letters), 2.0)  # one-hot residues; padding is the vector of zeros
        squared[_RESIDUES:], squared[:, _RESIDUES:] = 1.0, 1.0
        np.fill_diagonal(squared, 0.0)
        self._factor = np.exp(-squared / (2 * np.exp(parameters[1])))
        values, self._vectors = np.linalg.eigh(self._factor)
        values = np.maximum(values, 0.0)
        products = np.ones(1)
        for _ in range(n_positions):
            products = np.multiply.outer(products, values).ravel()
        self._values = self._variance * products

    def times(self, cells: np.ndarray, weights: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Kernel between cells `at` (int64 [m]) and `cells` (int64 [n]) times float64 [n] weights, float64 [m]."""
        grid = np.bincount(cells, weights, minlength=len(self._values))
        return np.asarray(self._variance * self._each(self._factor, grid)[at])

    def solve(self, cells: np.ndarray, targets: np.ndarray, noise: float) -> tuple[np.ndarray, bool]:
        """Solve (kernel + noise I) x = targets to a relative residual of 1e-9: x, float64 [n], and whether it is.

        The inverse on the whole grid, of which all eigenvectors are known, is the preconditioner.

        Args:
            cells: int64 [n], no two alike.
            targets: float64 [n].
            noise: > 0.
        """

        def nearly_solved(residual: np.ndarray) -> np.ndarray:
            grid = np.bincount(cells, residual, minlength=len(self._values))
            along = self._each(self._vectors.T, grid) / (self._values + noise)
            return np.asarray(self._each(self._vectors, along)[cells])

        return conjugate_gradients(
            lambda weights: self.times(cells, weights, cells), noise, targets,
            precondition=nearly_solved, tolerance=_TOLERANCE,
        )  # fmt: skip

    def _each(self, matrix: np.ndarray, grid: np.ndarray) -> np.ndarray:
        """The matrix applied along each position; after all of them the axes are in order again."""
        for _ in range(self._n_positions):
            grid = (matrix @ grid.reshape(self._n_letters, -1)).T
        return np.asarray(grid.ravel())


def cells_of(residues: np.ndarray, n_letters: int = _RESIDUES + 1) -> np.ndarray:
    """int64 [n]: the cell of each row.

    Args:
        residues: uint8 [n, P], 20 is padding.
        n_letters: 21, or 20 where no row has padding.
    """
    cells = np.zeros(len(residues), dtype=np.int64)
    for column in residues.T:
        cells = cells * n_letters + column
    return cells


def fills_grid(tokens: np.ndarray) -> bool:
    """Whether rows are a good part of all combinations of 20 residues at the positions that vary, none twice.

    Args:
        tokens: uint8 [n, L], n >= 1.
    """
    varying = tokens[:, tokens.min(axis=0) != tokens.max(axis=0)]
    n_cells = _RESIDUES ** varying.shape[1]  # a Python integer: it does not overflow
    if n_cells > MOST_CELLS or len(tokens) < _LEAST_FILLED * n_cells:
        return False
    return len(np.unique(cells_of(varying))) == len(tokens)
