"""Gaussian process regression in double precision: parameters by marginal likelihood, exact posterior.

Works on kernels and targets; `gp` connects it to embeddings.

Source:
    Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", algorithm 2.1.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.stages.train.kernels import Kernel, Pieces

PRIOR_WIDTH = 1.5
"""Standard deviation of the normal prior on each log parameter: prevents extreme values from few rows."""
_NOISE_START = 0.3
_BOUND = 6.0
_MOST_STEPS = 25
JITTER = 1e-6
"""Added to the noise, so that the factorisation does not fail for near-identical rows."""


@dataclass(frozen=True)
class Parameters:
    """Parameters chosen by marginal likelihood."""

    kernel: np.ndarray
    """float64 [k], natural logarithms."""
    noise: float
    """Variance not explained by the kernel, in scaled units squared."""
    log_likelihood: float
    """Log likelihood of the rows used, without the prior."""


def fit_parameters(
    kernel: Kernel, rows: Any, targets: np.ndarray, relative: np.ndarray | None = None
) -> Parameters:
    """Maximise the exact log marginal likelihood times a normal prior about the kernel's start.

    Args:
        kernel: kernel whose parameters are chosen.
        rows: n rows in the kernel's form; time grows with n cubed, times a hundred evaluations.
        targets: float64 [n], about mean 0 and deviation 1.
        relative: float64 [n], noise of each row over the mean noise; alike when None.
    """
    from scipy import optimize  # deferred: SciPy is not needed to load definitions

    pieces = kernel.pieces(rows, rows)  # independent of the parameters: computed once for all evaluations
    start = np.append(kernel.start, np.log(_NOISE_START))

    def loss(parameters: np.ndarray) -> float:
        value = log_likelihood(kernel, pieces, targets, parameters, relative)
        return float(-value + 0.5 * (((parameters - start) / PRIOR_WIDTH) ** 2).sum())

    found = optimize.minimize(
        loss, start, method="L-BFGS-B", bounds=[(value - _BOUND, value + _BOUND) for value in start],
        options={"maxiter": _MOST_STEPS, "ftol": 1e-5, "eps": 1e-4},
    )  # fmt: skip
    value = log_likelihood(kernel, pieces, targets, found.x, relative)
    return Parameters(found.x[:-1], float(np.exp(found.x[-1])), float(value))


def log_likelihood(
    kernel: Kernel,
    pieces: Pieces,
    targets: np.ndarray,
    parameters: np.ndarray,
    relative: np.ndarray | None = None,
) -> float:
    """Compute the log marginal likelihood; `parameters` are the kernel's, then the log noise. -inf if singular."""
    from scipy import linalg

    try:
        noise = float(np.exp(parameters[-1]))
        factor = factorise(
            kernel.combine(pieces, parameters[:-1]), noise if relative is None else noise * relative
        )
    except linalg.LinAlgError:
        return float("-inf")
    # K + noise I = L L': y'(K + noise I)^-1 y = |L^-1 y|^2, and log det = 2 sum(log diag L)
    whitened = linalg.solve_triangular(factor, targets, lower=True, check_finite=False)
    n = len(targets)
    return float(-0.5 * whitened @ whitened - np.log(np.diag(factor)).sum() - 0.5 * n * np.log(2 * np.pi))


def factorise(covariance: np.ndarray, noise: float | np.ndarray) -> np.ndarray:
    """Compute the lower Cholesky factor of covariance + noise I; overwrites the covariance."""
    from scipy import linalg

    covariance[np.diag_indices(len(covariance))] += noise + JITTER
    return np.asarray(linalg.cholesky(covariance, lower=True, overwrite_a=True, check_finite=False))


def solve(factor: np.ndarray, targets: np.ndarray) -> np.ndarray:
    """Solve for the weight of each training row in the posterior mean, float64 [n]."""
    from scipy import linalg

    return np.asarray(linalg.cho_solve((factor, True), targets, check_finite=False))


def posterior_variance(factor: np.ndarray, cross: np.ndarray, prior: np.ndarray) -> np.ndarray:
    """Compute the variance of the function at m new rows, without noise, float64 [m].

    Args:
        factor: of `factorise`, [n, n].
        cross: float64 [m, n], covariance of new and training rows.
        prior: float64 [m], variance of each new row before training.
    """
    from scipy import linalg

    # k(x, x) - |L^-1 k(X, x)|^2 for each new row: [n, m] = [n, n]^-1 @ [n, m]
    whitened = linalg.solve_triangular(factor, cross.T, lower=True, check_finite=False)
    return np.asarray(np.maximum(prior - (whitened**2).sum(axis=0), 0.0))
