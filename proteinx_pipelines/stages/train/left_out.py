"""Gaussian process regression judged by groups of rows left out, all from one factor of the covariance.

For a group b with A = (K + noise I)^-1, the residuals of leaving the whole group out are A_bb^-1 (A y)_b, with
covariance A_bb^-1: nothing is fitted again. With positions as groups, the likelihood tells how well new positions are
predicted, which marginal likelihood does not.

Source:
    Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", section 5.4.2, for groups of one row.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from proteinx_pipelines.stages.train.gaussian_process import JITTER, PRIOR_WIDTH

_NOISE_START = 0.3
_LOWEST, _HIGHEST = -6.0, 4.0
"""Bounds of a log parameter about its start."""
_MOST_STEPS = 40


class Solved(NamedTuple):
    """A covariance of n rows, inverted."""

    inverse: np.ndarray
    """float64 [n, n]."""
    lower: np.ndarray
    """Its lower triangle, zeros above."""
    log_det: float
    """Natural logarithm of the covariance's determinant."""
    weights: np.ndarray
    """float64 [n]: inverse times targets."""


Criterion = Callable[[Solved, np.ndarray], tuple[float, np.ndarray]]
"""(inverted covariance, targets) -> value, and the lower triangle of its gradient in the covariance, zeros above."""


class Weighed(NamedTuple):
    """Weights of the terms."""

    parameters: np.ndarray
    """float64 [k]: natural logarithms, one per term."""
    noise: float
    log_likelihood: float
    """Of the criterion, without the prior."""


def marginal(solved: Solved, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Log marginal likelihood, up to a constant, and its gradient."""
    from scipy.linalg import blas  # deferred: SciPy is not needed to load definitions

    value = -0.5 * float(targets @ solved.weights) - 0.5 * solved.log_det
    return value, np.asarray(blas.dsyr(0.5, solved.weights, a=-0.5 * solved.lower, lower=1, overwrite_a=1))


def by_groups(groups: np.ndarray) -> Criterion:
    """Criterion: log density of each group's targets given all other rows, summed over groups.

    Args:
        groups: int64 [n].
    """
    from scipy.linalg import blas  # deferred: SciPy is not needed to load definitions

    of_size = _of_size(groups)

    def criterion(solved: Solved, _: np.ndarray) -> tuple[float, np.ndarray]:
        inverse, weights = solved.inverse, solved.weights
        residual, value, scaled = np.zeros(len(weights)), 0.0, []
        for rows in of_size:  # int64 [g, s]: g groups of s rows
            beside = inverse[rows]  # [g, s, n]
            block = np.take_along_axis(beside, rows[:, None, :], axis=2)  # [g, s, s]
            covariance = np.linalg.inv(block)  # of the left-out targets
            own = weights[rows]
            left = np.einsum("gij,gj->gi", covariance, own)
            value += 0.5 * float(np.linalg.slogdet(block)[1].sum() - (own * left).sum())
            residual[rows] = left
            root = np.linalg.cholesky(left[:, :, None] * left[:, None, :] + covariance)
            scaled.append((root.transpose(0, 2, 1) @ beside).reshape(-1, len(weights)))
        # d value = sum(gradient * d covariance), from dA = -A dK A in the block densities:
        # (pulled weights' + weights pulled' - A S A) / 2, with S block-diagonal, so A S A = B' B of half the work.
        gradient = blas.dsyrk(-0.5, np.concatenate(scaled).T, lower=1)
        return value, np.asarray(
            blas.dsyr2(0.5, inverse @ residual, weights, a=gradient, lower=1, overwrite_a=1)
        )

    return criterion


def _of_size(groups: np.ndarray) -> list[np.ndarray]:
    """Rows of the groups, int64 [g, s] for each size s of a group: what is alike is computed at once."""
    _, group, size = np.unique(groups, return_inverse=True, return_counts=True)
    order = np.argsort(group, kind="stable")
    of_row = size[group[order]]
    return [order[of_row == s].reshape(-1, s) for s in np.unique(size)]


def weigh(
    terms: np.ndarray,
    targets: np.ndarray,
    start: np.ndarray,
    criterion: Criterion,
    relative: np.ndarray | None = None,
) -> Weighed:
    """Choose the weight of each term by a criterion times a normal prior about `start`.

    Args:
        terms: float64 [k, n, n], parts of a covariance, which the exponentials of the parameters weigh.
        targets: float64 [n], about mean 0 and deviation 1.
        start: float64 [k], logarithms.
        criterion: `marginal` or of `by_groups`.
        relative: float64 [n], noise of each row over the mean noise; alike when None.
    """
    from scipy import optimize  # deferred: SciPy is not needed to load definitions

    start = np.append(start, np.log(_NOISE_START))

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        try:
            value, slope = _value(terms, targets, parameters, criterion, relative)
        except np.linalg.LinAlgError:
            return 1e10, np.zeros(len(parameters))
        away = (parameters - start) / PRIOR_WIDTH
        return -value + 0.5 * float(away @ away), -slope + away / PRIOR_WIDTH

    found = optimize.minimize(
        loss, start, jac=True, method="L-BFGS-B", bounds=[(at + _LOWEST, at + _HIGHEST) for at in start],
        options={"maxiter": _MOST_STEPS, "ftol": 1e-5},
    )  # fmt: skip
    value, _ = _value(terms, targets, found.x, criterion, relative)
    return Weighed(found.x[:-1], float(np.exp(found.x[-1])), value)


def likelihood(
    terms: np.ndarray,
    targets: np.ndarray,
    weighed: Weighed,
    criterion: Criterion,
    relative: np.ndarray | None = None,
) -> float:
    """Value of a criterion under given weights; minus infinity where the covariance is singular."""
    parameters = np.append(weighed.parameters, np.log(weighed.noise))
    try:
        return float(_value(terms, targets, parameters, criterion, relative)[0])
    except np.linalg.LinAlgError:
        return float("-inf")


def left_out(
    terms: np.ndarray,
    targets: np.ndarray,
    weighed: Weighed,
    groups: np.ndarray,
    relative: np.ndarray | None = None,
) -> np.ndarray:
    """Predict each group (int64 [n]) from all other rows, float64 [n]."""
    return left_out_with_deviation(terms, targets, weighed, groups, relative)[0]


def left_out_with_deviation(
    terms: np.ndarray,
    targets: np.ndarray,
    weighed: Weighed,
    groups: np.ndarray,
    relative: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Predict each group from all other rows, with the deviation of a measurement: float64 [n] each."""
    inverse, _, _, weights = _solve(terms, targets, weighed.parameters, weighed.noise, relative)
    residual, variance = np.zeros(len(targets)), np.ones(len(targets))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        covariance = np.linalg.inv(inverse[np.ix_(rows, rows)])
        residual[rows] = covariance @ weights[rows]
        variance[rows] = np.diag(covariance)
    return np.asarray(targets - residual), np.sqrt(np.maximum(variance, 1e-12))


def _value(
    terms: np.ndarray,
    targets: np.ndarray,
    parameters: np.ndarray,
    criterion: Criterion,
    relative: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    """Value of a criterion and its slope in the parameters (logarithms: one per term, then the noise)."""
    noise = float(np.exp(parameters[-1]))
    value, gradient = criterion(_solve(terms, targets, parameters[:-1], noise, relative), targets)
    k, n, _ = terms.shape
    own = gradient.diagonal()
    # The sum over both triangles of symmetric matrices: twice that over the lower one, less the diagonal's. Which of
    # them memory calls the lower one does not matter: terms are symmetric.
    sums = 2 * (terms.reshape(k, n * n) @ gradient.ravel(order="K")) - np.einsum("kii,i->k", terms, own)
    of_noise = own.sum() if relative is None else own @ relative
    return value, np.append(np.exp(parameters[:-1]) * sums, noise * of_noise)


def _solve(
    terms: np.ndarray,
    targets: np.ndarray,
    parameters: np.ndarray,
    noise: float,
    relative: np.ndarray | None = None,
) -> Solved:
    """Invert the weighed terms ([k, n, n]) plus noise."""
    from scipy.linalg import lapack

    total = np.tensordot(np.exp(parameters), terms, axes=1)
    total[np.diag_indices(len(total))] += (noise if relative is None else noise * relative) + JITTER
    # Transposed, a symmetric matrix is itself, in the order of LAPACK: nothing is copied.
    lower, failed = lapack.dpotrf(total.T, lower=1, clean=1, overwrite_a=1)
    if not failed:
        log_det = 2 * float(np.log(lower.diagonal()).sum())
        lower, failed = lapack.dpotri(lower, lower=1, overwrite_c=1)
    if failed:
        raise np.linalg.LinAlgError("The covariance is singular.")
    inverse = lower + lower.T
    inverse[np.diag_indices(len(inverse))] /= 2
    return Solved(inverse, lower, log_det, inverse @ targets)
