"""Predictor of a Gaussian process of several tasks: predicts the first, the target, from a sequence alone.

Made and read back by `task_gp`.
"""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.coregionalisation import Observed, TaskParameters, covariance
from proteinx_pipelines.stages.train.gaussian_process import factorise, posterior_variance, solve
from proteinx_pipelines.stages.train.gp_rows import GpRows
from proteinx_pipelines.stages.train.joint import MOST_JOINT, root_of

_CHUNK_NUMBERS = 1 << 24
_MOST_LEFT_OUT = 500


class Told:
    """Names of exported settings and tensors."""

    TASKS = "tasks"
    ROW, TASK = "value_row", "value_task"
    LOADINGS, OWN, NOISE = "task_loadings", "task_own", "task_noise"


class TaskProcess:
    """Measured values of all tasks with their weights."""

    is_joint = True
    draws_any_number = False

    def __init__(
        self, rows: GpRows, observed: Observed, parameters: TaskParameters, offset: float, scale: float,
        names: tuple[str, ...],
    ) -> None:  # fmt: skip
        self.rows, self.observed, self.parameters = rows, observed, parameters
        self.offset, self.scale = offset, scale
        """Mean and deviation of the training targets; each task is fitted with mean 0 and deviation 1."""
        self.names = names
        self.weights = np.zeros(len(observed.row))
        """float64 [n]: weight of each value in the mean."""

    def solve(self) -> None:
        """Compute the weights from the values."""
        self.weights = solve(self.factor, self.observed.value)

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]) in scaled units, float64 [n]."""
        return self._scaled([self._shared(embedding, chunk) @ self._by_row for chunk in self._chunks(rows)])

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Standard deviation of a new measurement of each row, float64 [n], in scaled units."""
        return self.both(embedding, rows)[1]

    def both(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of the rows, float64 [n] each, from one comparison with the training rows."""
        means, variances = [], [np.empty(0)]
        for chunk in self._chunks(rows):
            shared = self._shared(embedding, chunk)
            means.append(shared @ self._by_row)
            cross = covariance(self.parameters, shared, _of_target(len(chunk)), self.observed)
            variances.append(posterior_variance(self.factor, cross, self._prior(embedding, chunk)))
        variance = np.concatenate(variances) + self.parameters.noise[0]
        return self._scaled(means), np.asarray(self.scale * np.sqrt(variance))

    def typical_deviation(self) -> float:
        """Mean deviation of a training row's target when that value is left out, in scaled units.

        Of at most 500 rows, as `gp_predictor.GpPredictor` has it.
        """
        from scipy import linalg

        own = np.flatnonzero(self.observed.task == 0)
        own = own[np.unique(np.linspace(0, len(own) - 1, min(len(own), _MOST_LEFT_OUT)).astype(np.int64))]
        unit = np.zeros((len(self.factor), len(own)))
        unit[own, np.arange(len(own))] = 1.0
        inverse = linalg.solve_triangular(self.factor, unit, lower=True, overwrite_b=True, check_finite=False)
        return float(np.mean(self.scale / np.sqrt((inverse**2).sum(axis=0))))

    def deviation_bounds(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of `deviation`, float64 [n] each: the noise alone, and the deviation before any training row."""
        noise = self.parameters.noise[0]
        low = np.full(len(rows), self.scale * np.sqrt(noise))
        return low, np.asarray(self.scale * np.sqrt(self._prior(embedding, rows) + noise))

    def covariance(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Covariance of the target's function, without noise, at rows (int64 [m]), float64 [m, m], in scaled units."""
        from scipy import linalg

        kernel, asked = self.rows.kernel, self.rows.of(embedding, rows)
        target = _of_target(len(rows))
        among = kernel.combine(kernel.pieces(asked, asked), self.parameters.kernel)
        prior = covariance(self.parameters, among, target, target)
        cross = covariance(self.parameters, self._shared(embedding, rows), target, self.observed)
        whitened = linalg.solve_triangular(self.factor, cross.T, lower=True, check_finite=False)
        found = prior - whitened.T @ whitened
        return np.asarray(self.scale**2 * (found + found.T) / 2)

    def draws(
        self, embedding: Embedding, rows: np.ndarray, n: int, seed: Sequence[int]
    ) -> Iterator[np.ndarray] | None:
        """Draw n functions of the target, each at all rows; None for more than `joint.MOST_JOINT` rows."""
        if len(rows) > MOST_JOINT:
            return None
        root, mean = root_of(self.covariance(embedding, rows)), self.mean(embedding, rows)
        return (
            np.asarray(mean + root @ np.random.default_rng([*seed, number]).standard_normal(len(mean)))
            for number in range(n)
        )

    def settings(self) -> dict[str, Any]:
        """Tasks, kernel and its parameters."""
        return {
            Told.TASKS: list(self.names),
            "parameters": [float(value) for value in self.parameters.kernel],
            "log_likelihood": self.parameters.log_likelihood,
            "offset": self.offset,
            "scale": self.scale,
            **self.rows.settings(),
        }

    def tensors(self) -> dict[str, np.ndarray]:
        """Training rows, which value is of which row and task, their weights, and the parameters of the tasks."""
        return {
            "weights": self.weights,
            Told.ROW: self.observed.row.astype(np.int64),
            Told.TASK: self.observed.task.astype(np.int64),
            Told.LOADINGS: self.parameters.loadings,
            Told.OWN: self.parameters.own,
            Told.NOISE: self.parameters.noise,
            **self.rows.tensors(),
        }

    @cached_property
    def factor(self) -> np.ndarray:
        """Cholesky factor of the covariance of all values; recomputed after loading."""
        kernel, seen = self.rows.kernel, self.observed
        shared = kernel.combine(kernel.pieces(self._training, self._training), self.parameters.kernel)
        found = covariance(self.parameters, shared, seen, seen)
        return factorise(found, self.parameters.noise[seen.task])

    @cached_property
    def _by_row(self) -> np.ndarray:
        """float64 [m]: weight of the kernel of each training row in the mean of the target."""
        weights = self.weights * self.parameters.between[0, self.observed.task]
        return np.bincount(self.observed.row, weights, minlength=self._n_rows)

    @cached_property
    def _training(self) -> Any:
        return self.rows.take(np.arange(self._n_rows))

    @property
    def _n_rows(self) -> int:
        return int(self.observed.row.max()) + 1

    def _prior(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        own = self.rows.kernel.diagonal(self.rows.of(embedding, rows), self.parameters.kernel)
        return np.asarray(self.parameters.between[0, 0] * own)

    def _shared(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Kernel between rows and training rows, float64 [c, m]."""
        pieces = self.rows.kernel.pieces(self.rows.of(embedding, rows), self._training)
        return self.rows.kernel.combine(pieces, self.parameters.kernel)

    def _chunks(self, rows: np.ndarray) -> list[np.ndarray]:
        step = max(1, _CHUNK_NUMBERS // max(1, len(self.weights)))
        return [rows[start : start + step] for start in range(0, len(rows), step)]

    def _scaled(self, means: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.empty(0), *means]) * self.scale + self.offset


def _of_target(n: int) -> Observed:
    """The target of n rows."""
    return Observed(np.arange(n), np.zeros(n, np.int64), np.zeros(n))
