"""Matrix-free products with a kernel on the grid of all residue combinations at a few positions.

The kernel is a product over positions (`site_product`, and the Gaussian of the distance of one-hot rows), so on the
grid of all combinations it is a Kronecker product of one 21 x 21 matrix per position. The grid of GB1's four sites has
194,481 cells (20 residues and padding); 120,000 measured ones are solved exactly, by conjugate gradients, in seconds.
Cells without a measurement have no effect: they are set to zero and not read. Used by `gp`.

Source:
    Saatci 2011, "Scalable Inference for Structured Gaussian Process Models", chapter 5.
"""

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train.site_grid import conjugate_gradients

MOST_CELLS = 1 << 22
"""Most cells of a grid: 21 to the power of 5 positions fits."""
_RESIDUES = len(AMINO_ACIDS)
_TOLERANCE = 1e-9
_LEAST_FILLED = 0.1


class ResidueGrid:
    """Kernel between all combinations of residues, or padding, at P positions: a product over positions."""

    def __init__(self, variance: float, factor: np.ndarray, n_positions: int) -> None:
        """Find the eigenvalues of the whole grid.

        Args:
            variance: of each cell.
            factor: float64 [letters, letters], the kernel of one position, 1 on the diagonal; the whole kernel is
                variance * factor x factor x ... (P times). 21 letters, or 20 if no row has padding: fewer cells are
                empty then.
            n_positions: P.
        """
        self._n_positions, self._n_letters = n_positions, len(factor)
        self._variance, self._factor = variance, factor
        values, self._vectors = np.linalg.eigh(self._factor)
        values = np.maximum(values, 0.0)
        self._factor_values = values
        # Eigenvalues of a Kronecker product are the products of its factors' eigenvalues: [letters^P].
        products = np.ones(1)
        for _ in range(n_positions):
            products = np.multiply.outer(products, values).ravel()
        self._values = self._variance * products

    def times(self, cells: np.ndarray, weights: np.ndarray, at: np.ndarray) -> np.ndarray:
        """Multiply the kernel between cells `at` (int64 [m]) and `cells` (int64 [n]) by weights, float64 [n] to [m]."""
        grid = np.bincount(cells, weights, minlength=len(self._values))  # [letters^P], 0 in unmeasured cells
        return np.asarray(self._variance * self._each(self._factor, grid)[at])

    def prior_draw(self, random: np.random.Generator) -> np.ndarray:
        """Draw a function from the prior on the whole grid, float64 [letters^P]."""
        # (Q Lambda^1/2) x ... x (Q Lambda^1/2) is a root of the Kronecker product
        root = self._vectors * np.sqrt(self._factor_values)
        return np.asarray(self._each(root, random.standard_normal(len(self._values))) * self._variance**0.5)

    def solve(self, cells: np.ndarray, targets: np.ndarray, noise: float) -> tuple[np.ndarray, bool]:
        """Solve (kernel + noise I) x = targets to a relative residual of 1e-9: x, float64 [n], and convergence.

        The preconditioner is the inverse on the whole grid, whose eigenvectors are known.

        Args:
            cells: int64 [n], distinct.
            targets: float64 [n].
            noise: > 0.
        """

        def nearly_solved(residual: np.ndarray) -> np.ndarray:
            # Q (Lambda + noise)^-1 Q' on the whole grid, restricted to the measured cells
            grid = np.bincount(cells, residual, minlength=len(self._values))
            along = self._each(self._vectors.T, grid) / (self._values + noise)
            return np.asarray(self._each(self._vectors, along)[cells])

        return conjugate_gradients(
            lambda weights: self.times(cells, weights, cells), noise, targets,
            precondition=nearly_solved, tolerance=_TOLERANCE,
        )  # fmt: skip

    def _each(self, matrix: np.ndarray, grid: np.ndarray) -> np.ndarray:
        """Apply the matrix along each position; after all of them the axes are in their original order."""
        # Each step multiplies the leading axis, [letters, rest], and moves it to the end by transposing.
        for _ in range(self._n_positions):
            grid = (matrix @ grid.reshape(self._n_letters, -1)).T
        return np.asarray(grid.ravel())


def gaussian_factor(squared_length: float, n_letters: int = _RESIDUES + 1) -> np.ndarray:
    """Gaussian of the distance of one-hot residues, float64 [letters, letters]."""
    squared = np.full((n_letters, n_letters), 2.0)  # one-hot residues; padding is the vector of zeros
    squared[_RESIDUES:], squared[:, _RESIDUES:] = 1.0, 1.0
    np.fill_diagonal(squared, 0.0)
    return np.asarray(np.exp(-squared / (2 * squared_length)))


def cells_of(residues: np.ndarray, n_letters: int = _RESIDUES + 1) -> np.ndarray:
    """Index of each row's cell, int64 [n].

    Args:
        residues: uint8 [n, P], 20 is padding.
        n_letters: 21, or 20 if no row has padding.
    """
    # Residues are digits in base `n_letters`, the first position the most significant (C order of the grid).
    cells = np.zeros(len(residues), dtype=np.int64)
    for column in residues.T:
        cells = cells * n_letters + column
    return cells


def fills_grid(tokens: np.ndarray) -> bool:
    """True if rows cover at least a tenth of all residue combinations at the varying positions, without duplicates.

    Args:
        tokens: uint8 [n, L], n >= 1.
    """
    varying = tokens[:, tokens.min(axis=0) != tokens.max(axis=0)]
    n_cells = _RESIDUES ** varying.shape[1]  # a Python integer: it does not overflow
    if n_cells > MOST_CELLS or len(tokens) < _LEAST_FILLED * n_cells:
        return False
    return len(np.unique(cells_of(varying))) == len(tokens)
