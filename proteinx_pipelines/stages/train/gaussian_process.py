"""Gaussian process regression in double precision: parameters by marginal likelihood, exact posterior.

Knows kernels and targets, not embeddings: `gp` brings them together.

Source:
    Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", algorithm 2.1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.stages.train.kernels import Kernel, Pieces

PRIOR_WIDTH = 1.5
"""Deviation of the normal prior on each log parameter: keeps few rows from extreme answers."""
_NOISE_START = 0.3
_BOUND = 6.0
_MOST_STEPS = 25
JITTER = 1e-6
"""Added to the noise, so that a factorisation of alike rows does not fail."""


@dataclass(frozen=True)
class Parameters:
    """What the marginal likelihood chose."""

    kernel: np.ndarray
    """float64 [k], natural logarithms."""
    noise: float
    """Variance of what the kernel does not explain, in scaled units squared."""
    log_likelihood: float
    """Of the rows that were used, without the prior."""


def fit_parameters(kernel: Kernel, rows: Any, targets: np.ndarray) -> Parameters:
    """Maximise the exact log marginal likelihood times a normal prior about the kernel's start.

    Args:
        kernel: Whose parameters to choose.
        rows: n rows in the kernel's form; time grows with n cubed, times a hundred evaluations.
        targets: float64 [n], about mean 0 and deviation 1.
    """
    from scipy import optimize  # deferred: SciPy is not needed to load definitions

    pieces = kernel.pieces(rows, rows)
    start = np.append(kernel.start, np.log(_NOISE_START))

    def loss(parameters: np.ndarray) -> float:
        value = log_likelihood(kernel, pieces, targets, parameters)
        return float(-value + 0.5 * (((parameters - start) / PRIOR_WIDTH) ** 2).sum())

    found = optimize.minimize(
        loss, start, method="L-BFGS-B", bounds=[(value - _BOUND, value + _BOUND) for value in start],
        options={"maxiter": _MOST_STEPS, "ftol": 1e-5, "eps": 1e-4},
    )  # fmt: skip
    value = log_likelihood(kernel, pieces, targets, found.x)
    return Parameters(found.x[:-1], float(np.exp(found.x[-1])), float(value))


def log_likelihood(kernel: Kernel, pieces: Pieces, targets: np.ndarray, parameters: np.ndarray) -> float:
    """Log marginal likelihood; `parameters` are the kernel's and the noise's logarithm. -inf if singular."""
    from scipy import linalg

    try:
        factor = factorise(kernel.combine(pieces, parameters[:-1]), float(np.exp(parameters[-1])))
    except linalg.LinAlgError:
        return float("-inf")
    whitened = linalg.solve_triangular(factor, targets, lower=True, check_finite=False)
    n = len(targets)
    return float(-0.5 * whitened @ whitened - np.log(np.diag(factor)).sum() - 0.5 * n * np.log(2 * np.pi))


def factorise(covariance: np.ndarray, noise: float) -> np.ndarray:
    """Lower Cholesky factor of covariance + noise I; the covariance is overwritten."""
    from scipy import linalg

    covariance[np.diag_indices(len(covariance))] += noise + JITTER
    return np.asarray(linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False))


def solve(factor: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """float64 [n]: the weight of each training row in the posterior mean."""
    from scipy import linalg

    return np.asarray(linalg.cho_solve((factor, True), targets, check_finite=False))


def posterior_variance(factor: np.ndarray, cross: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Variance of the function at m new rows, noise not included, float64 [m].

    Args:
        factor: of `factorise`, [n, n].
        cross: float64 [m, n], covariance of new and training rows.
        prior: float64 [m], variance of each new row before training.
    """
    from scipy import linalg

    whitened = linalg.solve_triangular(factor, cross.T, lower=True, check_finite=False)
    return np.asarray(np.maximum(prior - (whitened**2).sum(axis=0), 0.0))
