"""Several tasks in one Gaussian process: the intrinsic model of coregionalisation, its parameters and likelihood.

The covariance of task i at row x and task j at row y is B_ij k(x, y), with one kernel k for all tasks and the
covariance of the tasks B = w w' + diag(d); each task has a noise of its own. A value that was not measured is no
observation, so tasks may be measured on different rows.

Works on kernels and values; `task_gp` connects it to embeddings.

Source:
    Bonilla, Chai and Williams 2007, "Multi-task Gaussian Process Prediction", NIPS 20.
    Alvarez, Rosasco and Lawrence 2012, "Kernels for Vector-Valued Functions: a Review", arXiv:1106.6251, section 4.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from proteinx_pipelines.stages.train.gaussian_process import PRIOR_WIDTH, factorise
from proteinx_pipelines.stages.train.kernels import Kernel

_SHARED, _OWN, _NOISE = 0.5, 0.5, 0.3
"""Initial parts of a task's variance: shared (of the target; w of the others is 0, no correlation), own, and noise."""
_LOADING_WIDTH = 1.0
"""Standard deviation of the normal prior on each entry of w."""
_BOUND = 6.0
_MOST_STEPS = 40
_STEP = 1e-5
_SINGULAR = 1e10
"""Loss where the covariance is singular; finite, since the minimiser compares it."""


@dataclass(frozen=True)
class Observed:
    """n measured values."""

    row: np.ndarray
    """int64 [n]: number of the row among the m that have any value."""
    task: np.ndarray
    """int64 [n]: number of the task; 0 is the target."""
    value: np.ndarray
    """float64 [n], of each task with mean 0 and deviation 1."""

    def take(self, index: np.ndarray) -> tuple["Observed", np.ndarray]:
        """Some of the values (int64 [k], ascending), and the rows that they are of (int64, ascending)."""
        rows, row = np.unique(self.row[index], return_inverse=True)
        return Observed(row, self.task[index], self.value[index]), rows


@dataclass(frozen=True)
class TaskParameters:
    """Parameters chosen by marginal likelihood, of T tasks."""

    kernel: np.ndarray
    """float64 [k], natural logarithms."""
    loadings: np.ndarray
    """float64 [T]: w."""
    own: np.ndarray
    """float64 [T]: d, above 0."""
    noise: np.ndarray
    """float64 [T]: variance of each task that the kernel does not explain, in scaled units squared."""
    log_likelihood: float = float("nan")
    """Log likelihood of the values used, without the prior."""

    @property
    def between(self) -> np.ndarray:
        """B, float64 [T, T]."""
        return np.asarray(np.outer(self.loadings, self.loadings) + np.diag(self.own))

    @property
    def correlation(self) -> np.ndarray:
        """B with ones on its diagonal, float64 [T, T]."""
        size = np.sqrt(np.diag(self.between))
        return np.asarray(self.between / np.outer(size, size))


def covariance(parameters: TaskParameters, shared: np.ndarray, one: Observed, other: Observed) -> np.ndarray:
    """Covariance of the function at the values of `one` (n) and `other` (p), float64 [n, p].

    Args:
        parameters: of the tasks.
        shared: float64, the kernel between the rows of both.
        one: n values.
        other: p values.
    """
    # [n, p] gathered from the kernel of distinct rows and from B
    found = shared[np.ix_(one.row, other.row)]
    found *= parameters.between[np.ix_(one.task, other.task)]
    return np.asarray(found)


def fit_task_parameters(
    kernel: Kernel, rows: Any, observed: Observed, n_tasks: int, start: np.ndarray | None = None
) -> TaskParameters:
    """Maximise the exact log marginal likelihood of all tasks times a normal prior about the start.

    Args:
        kernel: kernel of the rows.
        rows: the m rows in the kernel's form.
        observed: n values of them; time grows with n cubed, times at most a hundred evaluations.
        n_tasks: T.
        start: float64 [k], of the kernel's parameters; the kernel's own when None.
    """
    from scipy import optimize  # deferred: SciPy is not needed to load definitions

    search = Likelihood(kernel, rows, observed, n_tasks)
    first = search.start(kernel.start if start is None else start)
    width = search.prior_width()

    def loss(theta: np.ndarray) -> tuple[float, np.ndarray]:
        value, slope = search.value_and_slope(theta)
        away = (theta - first) / width
        return -value + 0.5 * float(away @ away), away / width - slope

    found = optimize.minimize(
        loss, first, jac=True, method="L-BFGS-B", bounds=[(value - _BOUND, value + _BOUND) for value in first],
        options={"maxiter": _MOST_STEPS, "ftol": 1e-6},
    )  # fmt: skip
    chosen = search.parameters(found.x)
    # w and -w are the same model: the target's is positive.
    sign = -1.0 if chosen.loadings[0] < 0 else 1.0
    value = search.value_and_slope(found.x)[0]
    return TaskParameters(chosen.kernel, sign * chosen.loadings, chosen.own, chosen.noise, float(value))


class Likelihood:
    """Log marginal likelihood of some values, and its slope.

    Parameters are one vector: those of the kernel, w, log d and log noise.
    """

    def __init__(self, kernel: Kernel, rows: Any, observed: Observed, n_tasks: int) -> None:
        self._kernel, self._observed, self._n_tasks = kernel, observed, n_tasks
        self._pieces = kernel.pieces(rows, rows)  # independent of the parameters: computed once
        self._same_row = np.ix_(observed.row, observed.row)
        self._same_task = np.ix_(observed.task, observed.task)

    def start(self, kernel: np.ndarray) -> np.ndarray:
        """Initial vector: the target has its shared part, the other tasks none, so that no sign is preferred."""
        loadings = np.zeros(self._n_tasks)
        loadings[0] = np.sqrt(_SHARED)
        own = np.full(self._n_tasks, np.log(_OWN + _SHARED))
        own[0] = np.log(_OWN)
        return np.concatenate([kernel, loadings, own, np.full(self._n_tasks, np.log(_NOISE))])

    def prior_width(self) -> np.ndarray:
        """Standard deviation of the prior on each parameter, float64."""
        n = self._n_tasks
        logs = np.full(len(self._kernel.start), PRIOR_WIDTH)
        return np.concatenate([logs, np.full(n, _LOADING_WIDTH), np.full(2 * n, PRIOR_WIDTH)])

    def parameters(self, theta: np.ndarray) -> TaskParameters:
        """Take the vector apart."""
        kernel, loadings, own, noise = np.split(theta, len(theta) - self._n_tasks * np.arange(3, 0, -1))
        return TaskParameters(kernel, loadings, np.exp(own), np.exp(noise))

    def value_and_slope(self, theta: np.ndarray) -> tuple[float, np.ndarray]:
        """Compute the log likelihood and its derivative by each parameter.

        The kernel's derivatives are differences of the kernel alone, which cost no further factorisation.
        """
        from scipy import linalg

        found, seen = self.parameters(theta), self._observed
        of_rows = self._kernel.combine(self._pieces, found.kernel)
        of_kernel, of_tasks = of_rows[self._same_row], found.between[self._same_task]
        try:
            factor = factorise(of_kernel * of_tasks, found.noise[seen.task])
        except linalg.LinAlgError:
            return -_SINGULAR, np.zeros_like(theta)
        weights = linalg.cho_solve((factor, True), seen.value, check_finite=False)
        n = len(seen.value)
        value = -0.5 * seen.value @ weights - np.log(np.diag(factor)).sum() - 0.5 * n * np.log(2 * np.pi)
        # d value / d K = (a a' - K^-1) / 2, with a = K^-1 y
        slope = linalg.cho_solve((factor, True), np.eye(n), overwrite_b=True, check_finite=False)
        np.subtract(np.outer(weights, weights), slope, out=slope)
        slope *= 0.5
        noise = np.bincount(seen.task, np.diag(slope), self._n_tasks) * found.noise
        by_task = self._sums(slope * of_kernel)
        slope *= of_tasks
        by_kernel = np.empty(len(found.kernel))
        for k in range(len(by_kernel)):
            moved = found.kernel.copy()
            moved[k] += _STEP
            change = self._kernel.combine(self._pieces, moved) - of_rows
            by_kernel[k] = float((slope * change[self._same_row]).sum()) / _STEP
        loadings = 2 * by_task @ found.loadings
        own = np.diag(by_task) * found.own
        return float(value), np.concatenate([by_kernel, loadings, own, noise])

    def _sums(self, matrix: np.ndarray) -> np.ndarray:
        """Sum of the entries of each pair of tasks, float64 [T, T], of [n, n]."""
        one_hot = (self._observed.task[:, None] == np.arange(self._n_tasks)).astype(np.float64)
        return np.asarray(one_hot.T @ matrix @ one_hot)
