"""Root scale of targets that are ratios of counts: never negative, most of them small, a few large.

The cube root makes such values nearly normal (Wilson and Hilferty 1931, doi:10.1073/pnas.17.12.684, of gamma
distributions); a process fitted on it is a warped Gaussian process (Snelson et al. 2004) with a fixed warp. Values on
the root scale are called latent here. Used by `gp` with the kernel `sites`; the process itself knows nothing of it.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from proteinx_pipelines.records import Embedding

if TYPE_CHECKING:
    from proteinx_pipelines.stages.train.gp_predictor import GpPredictor
    from proteinx_pipelines.stages.train.task_process import TaskProcess

TOLD: Mapping[str, Any] = {"scale_of_targets": "root"}
"""Entry of a model's settings and of `training.json` that says so."""


class RootScaled:
    """A process of cube roots that predicts the targets themselves."""

    is_joint = True

    def __init__(self, process: "GpPredictor | TaskProcess") -> None:
        self.process = process
        """Fitted to the roots of the targets."""

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]), float64 [n]: cubes of latent means, which are medians."""
        return from_latent(self.process.mean(embedding, rows))

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Deviation of a new measurement of each row, float64 [n]; see `spread`."""
        return self.both(embedding, rows)[1]

    def both(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of the rows, float64 [n] each."""
        mean, deviation = self.process.both(embedding, rows)
        return from_latent(mean), spread(mean, deviation)

    def typical_deviation(self) -> float:
        """Deviation at the typical value, from the mean deviation of a training row that is left out."""
        return float(spread(np.array(self.process.offset), np.array(self.process.typical_deviation())))

    def deviation_bounds(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of `deviation`, float64 [n] each: a spread grows with the latent deviation."""
        mean = self.process.mean(embedding, rows)
        low, high = self.process.deviation_bounds(embedding, rows)
        return spread(mean, low), spread(mean, high)

    @property
    def draws_any_number(self) -> bool:
        """True if the process draws any number of rows."""
        return self.process.draws_any_number

    def covariance(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Covariance at rows (int64 [m]), float64 [m, m]: latent correlations times deviations turned back."""
        latent = self.process.covariance(embedding, rows)
        deviation = np.sqrt(np.maximum(np.diag(latent), 0.0))
        factor = spread(self.process.mean(embedding, rows), deviation) / np.maximum(deviation, 1e-300)
        return np.asarray(latent * factor[:, None] * factor[None])

    def draws(
        self, embedding: Embedding, rows: np.ndarray, n: int, seed: Sequence[int]
    ) -> Iterator[np.ndarray] | None:
        """Draw n functions, each at all rows; None where the process has none."""
        found = self.process.draws(embedding, rows, n, seed)
        return None if found is None else map(from_latent, found)

    def settings(self) -> dict[str, Any]:
        """Those of the process, and the scale."""
        return {**self.process.settings(), **TOLD}

    def tensors(self) -> dict[str, np.ndarray]:
        """Those of the process."""
        return self.process.tensors()


def is_told(settings: Mapping[str, Any]) -> bool:
    """True if a model with these settings predicts on the root scale."""
    return TOLD.items() <= settings.items()


def fits(targets: np.ndarray) -> bool:
    """True if targets (float64 [n]) may be ratios of counts: none is below zero, and not all are equal."""
    return bool(targets.min() >= 0 and np.ptp(targets) > 0)


def to_latent(targets: np.ndarray) -> np.ndarray:
    """Cube roots, float64 [n]."""
    return np.asarray(np.cbrt(targets))


def from_latent(latent: np.ndarray) -> np.ndarray:
    """Cubes, float64 [n]; in the order of the latent values, whatever their sign."""
    return np.asarray(latent**3)


def spread(latent: np.ndarray, deviation: np.ndarray) -> np.ndarray:
    """Deviation of a target: half of what two latent deviations add to it, float64 [n].

    Mean plus two deviations is then the upper end of the process's own interval of 95 %, as without a root.
    """
    return np.asarray((from_latent(latent + 2 * deviation) - from_latent(latent)) / 2)
