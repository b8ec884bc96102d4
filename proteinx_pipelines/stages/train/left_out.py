"""Gaussian process regression judged by groups of rows left out, all from one factor of the covariance.

For a group b with A = (K + noise I)^-1, the residuals of leaving the whole group out are A_bb^-1 (A y)_b, with
covariance A_bb^-1: nothing is fitted again. With positions as groups, the likelihood tells how well new positions are
predicted, which marginal likelihood does not.

Source:
    Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", section 5.4.2, for groups of one row.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from proteinx_pipelines.stages.train.gaussian_process import JITTER, PRIOR_WIDTH

_NOISE_START = 0.3
_LOWEST, _HIGHEST = -6.0, 4.0
"""Bounds of a log parameter about its start."""
_MOST_STEPS = 40
Terms = Sequence[np.ndarray]
"""Parts of a covariance, float64 [n, n] each, which the exponentials of the parameters weigh."""
Criterion = Callable[[np.ndarray, np.ndarray, np.ndarray], tuple[float, np.ndarray]]
"""(inverse of the covariance, inverse times targets, targets) -> value, and its gradient in the covariance [n, n]."""


class Weighed(NamedTuple):
    """Weights of the terms."""

    parameters: np.ndarray
    """float64 [k]: natural logarithms, one per term."""
    noise: float
    log_likelihood: float
    """Of the criterion, without the prior."""


def marginal(inverse: np.ndarray, weights: np.ndarray, targets: np.ndarray) -> tuple[float, np.ndarray]:
    """Log marginal likelihood, up to a constant, and its gradient."""
    _, log_det = np.linalg.slogdet(inverse)
    value = -0.5 * float(targets @ weights) + 0.5 * float(log_det)
    return value, 0.5 * (np.outer(weights, weights) - inverse)


def by_groups(groups: np.ndarray) -> Criterion:
    """Criterion: log density of each group's targets given all other rows, summed over groups.

    Args:
        groups: int64 [n].
    """
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]

    def criterion(inverse: np.ndarray, weights: np.ndarray, _: np.ndarray) -> tuple[float, np.ndarray]:
        n = len(weights)
        residual, value = np.zeros(n), 0.0
        half = np.empty((n, n))  # inverse times the block-diagonal spread, block by block
        for group in members:
            block = inverse[np.ix_(group, group)]
            covariance = np.linalg.inv(block)  # of the left-out targets
            residual[group] = covariance @ weights[group]
            value += 0.5 * (np.linalg.slogdet(block)[1] - float(weights[group] @ residual[group]))
            spread = np.outer(residual[group], residual[group]) + covariance
            half[:, group] = inverse[:, group] @ spread
        pulled = inverse @ residual
        # d value = sum(gradient * d covariance), from dA = -A dK A in the block densities
        gradient = 0.5 * (np.outer(pulled, weights) + np.outer(weights, pulled)) - 0.5 * half @ inverse
        return value, gradient

    return criterion


def weigh(
    terms: Terms,
    targets: np.ndarray,
    start: np.ndarray,
    criterion: Criterion,
    relative: np.ndarray | None = None,
) -> Weighed:
    """Choose the weight of each term by a criterion times a normal prior about `start`.

    Args:
        terms: k parts, [n, n] each.
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
        options={"maxiter": _MOST_STEPS, "ftol": 1e-6},
    )  # fmt: skip
    value, _ = _value(terms, targets, found.x, criterion, relative)
    return Weighed(found.x[:-1], float(np.exp(found.x[-1])), value)


def likelihood(
    terms: Terms,
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
    terms: Terms,
    targets: np.ndarray,
    weighed: Weighed,
    groups: np.ndarray,
    relative: np.ndarray | None = None,
) -> np.ndarray:
    """Predict each group (int64 [n]) from all other rows, float64 [n]."""
    return left_out_with_deviation(terms, targets, weighed, groups, relative)[0]


def left_out_with_deviation(
    terms: Terms,
    targets: np.ndarray,
    weighed: Weighed,
    groups: np.ndarray,
    relative: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Predict each group from all other rows, with the deviation of a measurement: float64 [n] each."""
    inverse = _inverse(terms, weighed.parameters, weighed.noise, relative)
    weights = inverse @ targets
    residual, variance = np.zeros(len(targets)), np.ones(len(targets))
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        covariance = np.linalg.inv(inverse[np.ix_(rows, rows)])
        residual[rows] = covariance @ weights[rows]
        variance[rows] = np.diag(covariance)
    return np.asarray(targets - residual), np.sqrt(np.maximum(variance, 1e-12))


def _value(
    terms: Terms,
    targets: np.ndarray,
    parameters: np.ndarray,
    criterion: Criterion,
    relative: np.ndarray | None = None,
) -> tuple[float, np.ndarray]:
    inverse = _inverse(terms, parameters[:-1], float(np.exp(parameters[-1])), relative)
    value, gradient = criterion(inverse, inverse @ targets, targets)
    slopes = [
        weight * float(np.vdot(gradient, term))
        for weight, term in zip(np.exp(parameters), terms, strict=False)
    ]
    of_noise = np.trace(gradient) if relative is None else gradient.diagonal() @ relative
    return value, np.array([*slopes, float(np.exp(parameters[-1]) * of_noise)])


def _inverse(
    terms: Terms, parameters: np.ndarray, noise: float, relative: np.ndarray | None = None
) -> np.ndarray:
    """Inverse of the weighed terms plus noise, [n, n]."""
    from scipy import linalg

    total = np.zeros_like(terms[0])
    for weight, term in zip(np.exp(parameters), terms, strict=True):
        total += weight * term
    total[np.diag_indices(len(total))] += (noise if relative is None else noise * relative) + JITTER
    try:
        factor = linalg.cholesky(total, lower=True, check_finite=False)
        inverse, failed = linalg.lapack.dpotri(factor, lower=True)
    except linalg.LinAlgError as error:
        raise np.linalg.LinAlgError(str(error)) from error
    if failed:
        raise np.linalg.LinAlgError("singular")
    lower = np.tril(inverse)
    return np.asarray(lower + np.tril(lower, -1).T)
