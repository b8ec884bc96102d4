"""Joint uncertainty of a Gaussian process at new rows: their covariance, and draws of the whole function.

A draw gives every row a value at once, so that alike rows rise and fall together. Three exact ways, by structure:

| rows | draw by |
|---|---|
| `linear` kernel | one draw of the weights, corrected by Matheron's rule; any number of rows |
| `rbf` or `sites` kernel, one-hot rows on a grid | a prior draw by the grid's Kronecker factors, then Matheron's rule |
| any other | Cholesky factor of the covariance; at most `MOST_JOINT` rows |

Matheron's rule turns a draw f of the prior into one of the posterior without any covariance of new rows:
mean(x) + f(x) - k(x, X) (K + noise)^-1 (f(X) + e), where e is a draw of the noise. Used by `gp`.

Source:
    Wilson et al. 2020, "Efficiently Sampling Functions from Gaussian Process Posteriors", arXiv:2002.09309.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS, Embedding
from proteinx_pipelines.stages.train.gaussian_process import JITTER, Parameters, solve
from proteinx_pipelines.stages.train.gp_rows import GpRows, GridRows, MutationRows, VectorRows
from proteinx_pipelines.stages.train.kernels import LinearKernel
from proteinx_pipelines.stages.train.residue_grid import MOST_CELLS, cells_of

MOST_JOINT = 4096
"""Most rows with a covariance matrix: 0.13 GB, and a factorisation of a second."""
_ROWS_AT_ONCE = 1 << 14


class FittedProcess(Protocol):
    """What is read of a fitted process, a `gp_predictor.GpPredictor`."""

    @property
    def rows(self) -> GpRows:
        """Training rows and kernel."""

    @property
    def parameters(self) -> Parameters:
        """Of the kernel, and the noise."""

    @property
    def scale(self) -> float:
        """Deviation of the training targets."""

    @property
    def few(self) -> Any:
        """Training rows that are factorised, in the kernel's form."""

    @property
    def n_factorised(self) -> int:
        """Number of rows in `few`."""

    @property
    def factor(self) -> np.ndarray:
        """Cholesky factor of `few`, with the noise."""

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]), float64 [n], in scaled units."""


def has_structure(rows: GpRows) -> bool:
    """True if draws need no covariance matrix: of a linear kernel, or of a product over positions on a grid."""
    if isinstance(rows, MutationRows):
        return False
    if isinstance(rows.kernel, LinearKernel):
        return True
    return rows.positions is not None and len(AMINO_ACIDS) ** len(rows.positions) <= MOST_CELLS


def covariance(process: FittedProcess, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
    """Posterior covariance of the function at rows (int64 [m]), without noise, float64 [m, m], in scaled units."""
    from scipy import linalg

    kernel, parameters = process.rows.kernel, process.parameters.kernel
    asked = process.rows.of(embedding, rows)
    prior = kernel.combine(kernel.pieces(asked, asked), parameters)
    cross = kernel.combine(kernel.pieces(process.few, asked), parameters)
    # k(x, x') - (L^-1 k(X, x))' (L^-1 k(X, x')): [m, m] = [m, n] @ [n, m]
    whitened = linalg.solve_triangular(process.factor, cross, lower=True, check_finite=False)
    found = prior - whitened.T @ whitened
    return np.asarray(process.scale**2 * (found + found.T) / 2)


def draws(
    process: FittedProcess, embedding: Embedding, rows: np.ndarray, n: int, seed: Sequence[int]
) -> Iterator[np.ndarray] | None:
    """Draw n functions from the posterior and evaluate each at all rows.

    Args:
        process: a fitted process.
        embedding: holds the rows.
        rows: int64 [m].
        n: number of draws; draw k depends on `seed` and k alone.
        seed: numbers below 2**32.

    Returns:
        n arrays, float64 [m], in scaled units, without noise; None if there are more rows than `MOST_JOINT` and the
        kernel has no structure on them.
    """
    seen = process.rows
    draw: Callable[[np.random.Generator], np.ndarray] | None = None
    if isinstance(seen, VectorRows) and isinstance(seen.kernel, LinearKernel):
        draw = _by_weights(process, seen, embedding, rows)
    elif not isinstance(seen, MutationRows):
        draw = _on_grid(process, seen, embedding, rows)
    if draw is None and len(rows) <= MOST_JOINT:
        root = root_of(covariance(process, embedding, rows))
        mean = process.mean(embedding, rows)

        def draw(random: np.random.Generator) -> np.ndarray:
            return np.asarray(mean + root @ random.standard_normal(len(mean)))

    if draw is None:
        return None
    return (draw(np.random.default_rng([*seed, number])) for number in range(n))


def root_of(matrix: np.ndarray) -> np.ndarray:
    """Lower Cholesky factor of a covariance (float64 [m, m]) that rounding may have left slightly indefinite."""
    from scipy import linalg

    size = max(float(np.diag(matrix).max(initial=0.0)), 1e-300)
    for jitter in (1e-9, 1e-7, 1e-5, 1e-3):
        try:
            raised = matrix + jitter * size * np.eye(len(matrix))
            return np.asarray(linalg.cholesky(raised, lower=True, overwrite_a=True, check_finite=False))
        except linalg.LinAlgError:
            continue
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0.0)))


def _by_weights(
    process: FittedProcess, vectors: VectorRows, embedding: Embedding, rows: np.ndarray
) -> Callable[[np.random.Generator], np.ndarray]:
    training, variance = np.asarray(process.few), float(np.exp(process.parameters.kernel[0]))
    mean = process.mean(embedding, rows)

    def draw(random: np.random.Generator) -> np.ndarray:
        weights = np.sqrt(variance) * random.standard_normal(training.shape[1])
        weights -= variance * (training.T @ _correction(process, training @ weights, random))
        pieces = [
            vectors.of(embedding, rows[start : start + _ROWS_AT_ONCE]) @ weights
            for start in range(0, len(rows), _ROWS_AT_ONCE)
        ]
        return np.asarray(mean + process.scale * np.concatenate([np.zeros(0), *pieces]))

    return draw


def _on_grid(
    process: FittedProcess, seen: GridRows, embedding: Embedding, rows: np.ndarray
) -> Callable[[np.random.Generator], np.ndarray] | None:
    """None if the grid is too large, or a row differs at a position that is constant in training."""
    parameters = process.parameters.kernel
    if seen.positions is None or (seen.elsewhere(embedding, rows, parameters) != 1).any():
        return None
    residues, asked = seen.residues(), seen.residues_of(embedding, rows)
    highest = max(int(residues.max(initial=0)), int(asked.max(initial=0)))
    n_letters = max(len(AMINO_ACIDS), highest + 1)  # one more for padding
    if n_letters ** residues.shape[1] > MOST_CELLS:
        return None
    grid = seen.grid(parameters, n_letters)
    training, cells = cells_of(residues, n_letters), cells_of(asked, n_letters)
    is_factorised = len(training) == process.n_factorised
    mean, noise = process.mean(embedding, rows), process.parameters.noise + JITTER

    def draw(random: np.random.Generator) -> np.ndarray:
        prior = grid.prior_draw(random)
        if is_factorised:
            weights = _correction(process, prior[training], random)
        else:
            values = prior[training] + np.sqrt(noise) * random.standard_normal(len(training))
            weights = grid.solve(training, values, noise)[0]
        return np.asarray(mean + process.scale * (prior[cells] - grid.times(training, weights, cells)))

    return draw


def _correction(process: FittedProcess, drawn: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Weight of each training row in the correction of a prior draw (its values there, float64 [n]), float64 [n]."""
    noise = np.sqrt(process.parameters.noise + JITTER) * random.standard_normal(len(drawn))
    return solve(process.factor, drawn + noise)
