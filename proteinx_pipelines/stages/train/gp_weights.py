"""Weights of the training rows of a Gaussian process whose parameters are known, by the way of `gp_structure`."""

from typing import Any

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS
from proteinx_pipelines.stages.train import gp_structure as structure
from proteinx_pipelines.stages.train.gaussian_process import JITTER, Parameters, solve
from proteinx_pipelines.stages.train.gp_predictor import GpPredictor
from proteinx_pipelines.stages.train.gp_rows import GpRows, GridRows
from proteinx_pipelines.stages.train.residue_grid import cells_of
from proteinx_pipelines.stages.train.site_grid import SiteGrid, conjugate_gradients


def solved(
    rows: GpRows,
    parameters: Parameters,
    targets: np.ndarray,
    offset: float,
    scale: float,
    relative: np.ndarray | None = None,
) -> GpPredictor:
    """Solve for the weights of rows with targets (float64 [n], mean 0, deviation 1), and return the predictor."""
    predictor = GpPredictor(rows, parameters, np.zeros(len(targets)), offset, scale)
    predictor.relative = relative
    noise: Any = parameters.noise if relative is None else parameters.noise * relative
    additive = structure.additive_of(rows)
    # Matrix-free solvers where the kernel has the structure, Cholesky otherwise.
    if len(targets) > structure.MOST_FACTORISED and additive is not None:
        training = additive.rows.training
        grid = SiteGrid(additive.kernel, training, training, parameters.kernel)
        predictor.weights, predictor.converged = conjugate_gradients(grid.times, noise, targets)
    elif (explained := predictor.explained_grid) is not None:
        predictor.weights, predictor.converged = conjugate_gradients(explained.times, noise, targets)
    elif len(targets) > structure.MOST_EXPLAINED and structure.is_explained(rows):
        covariance = rows.kernel.combine(rows.kernel.pieces(rows.training, rows.training), parameters.kernel)
        times = covariance.__matmul__  # a hundred products cost less than a factor of n^3 / 3
        predictor.weights, predictor.converged = conjugate_gradients(times, noise, targets)
    elif (residues := structure.on_grid(rows)) is not None:
        predictor.weights, predictor.converged = _solved_on_grid(residues, parameters, targets)
    else:
        predictor.weights = solve(predictor.factor, targets)
    return predictor


def _solved_on_grid(rows: GridRows, parameters: Parameters, targets: np.ndarray) -> tuple[np.ndarray, bool]:
    """Weight of each training row, float64 [n], and convergence of conjugate gradients."""
    residues = rows.residues()
    n_letters = max(len(AMINO_ACIDS), int(residues.max()) + 1)  # one more for padding
    grid = rows.grid(parameters.kernel, n_letters)
    return grid.solve(cells_of(residues, n_letters), targets, parameters.noise + JITTER)
