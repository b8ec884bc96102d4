"""Predictions of a fitted Gaussian process: means, deviations and joint draws at any rows, and its export.

Parameters are chosen in `gp`, weights solved in `gp_weights`; nothing is fitted here.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from proteinx_pipelines.records import AMINO_ACIDS, Embedding
from proteinx_pipelines.stages.train import gp_structure as structure
from proteinx_pipelines.stages.train import joint
from proteinx_pipelines.stages.train.additive_variance import MutationCovariance
from proteinx_pipelines.stages.train.evidence_grid import EvidenceGrid
from proteinx_pipelines.stages.train.gaussian_process import Parameters, factorise, posterior_variance
from proteinx_pipelines.stages.train.gp_rows import GpRows, restore_rows
from proteinx_pipelines.stages.train.kernels import MutationKernel, RbfKernel
from proteinx_pipelines.stages.train.mutations import MutationList
from proteinx_pipelines.stages.train.residue_grid import cells_of
from proteinx_pipelines.stages.train.site_grid import SiteGrid
from proteinx_pipelines.stages.train.site_product import SiteProductKernel

MOST_LEFT_OUT = 500
_CHUNK_NUMBERS = 1 << 24


class GpPredictor:
    """Training rows with their weights."""

    def __init__(
        self,
        rows: GpRows,
        parameters: Parameters,
        weights: np.ndarray,
        offset: float,
        scale: float,
    ) -> None:
        self.rows = rows
        self.parameters = parameters
        self.weights = weights
        """float64 [n]: weight of each training row in the mean."""
        self.offset, self.scale = offset, scale
        """Mean and deviation of the training targets; the process is fitted to targets with mean 0, deviation 1."""
        self.converged = True
        """True if the weights reached the tolerance; conjugate gradients may not."""
        self.relative: np.ndarray | None = None
        """float64 [n]: noise of each training row over the mean noise; None where all are alike."""
        self.chosen: dict[str, Any] = {}
        """How the parameters were chosen, for `training.json`; empty after loading."""

    def mean(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Predicted values of the rows (int64 [n]) in scaled units, float64 [n]."""
        if (additive := structure.additive_of(self.rows)) is not None:
            seen = additive.rows.of(embedding, rows)
            grid = SiteGrid(additive.kernel, seen, additive.rows.training, self.parameters.kernel)
            values = grid.times(self.weights)  # [m] = [m, n] @ [n], without the matrix
            return np.asarray(values * self.scale + self.offset)
        if (explained := self.explained_grid) is not None:
            asked = self.rows.of(embedding, rows)
            assert isinstance(asked, MutationList)
            values = explained.times(self.weights, asked)
            return np.asarray(values * self.scale + self.offset)
        if (residues := structure.on_grid(self.rows) or structure.at_few_sites(self.rows)) is not None:
            combinations = residues.grid(self.parameters.kernel, len(AMINO_ACIDS) + 1)
            training, asked = cells_of(residues.residues()), cells_of(residues.residues_of(embedding, rows))
            values = combinations.times(training, self.weights, asked)
            # The kernel is a product over positions: positions constant in training contribute one factor per row.
            values *= residues.elsewhere(embedding, rows, self.parameters.kernel)
            return np.asarray(values * self.scale + self.offset)
        # [c] = [c, n] @ [n] for each chunk of c rows
        found = [self._cross(embedding, chunk) @ self.weights for chunk in self._chunks(rows)]
        return np.concatenate([np.empty(0), *found]) * self.scale + self.offset

    def deviation(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Standard deviation of a new measurement of each row, float64 [n], in scaled units."""
        if (additive := structure.additive_of(self.rows)) is not None and len(rows) > len(self.weights):
            asked = additive.rows.of(embedding, rows)
            variance = self._of_mutations.variance(asked, self.few, self.factor)
            if variance is not None:
                return np.asarray(self.scale * np.sqrt(variance + self.parameters.noise))
        found, few = [np.empty(0)], self.few
        for chunk in self._chunks(rows):
            prior = self.rows.kernel.diagonal(self.rows.of(embedding, chunk), self.parameters.kernel)
            found.append(posterior_variance(self.factor, self._cross(embedding, chunk, few), prior))
        return np.asarray(self.scale * np.sqrt(np.concatenate(found) + self.parameters.noise))

    def both(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Mean and deviation of the rows, float64 [n] each, from one comparison with the training rows."""
        by_structure = (
            structure.additive_of(self.rows) is not None
            or structure.at_few_sites(self.rows) is not None
            or self.explained_grid is not None
        )
        if by_structure or len(self.weights) > self.n_factorised:
            return self.mean(embedding, rows), self.deviation(embedding, rows)
        kernel, means, variances = self.rows.kernel, [np.empty(0)], [np.empty(0)]
        for chunk in self._chunks(rows):
            seen = self.rows.of(embedding, chunk)
            cross = kernel.combine(kernel.pieces(seen, self.rows.training), self.parameters.kernel)
            means.append(cross @ self.weights)
            prior = kernel.diagonal(seen, self.parameters.kernel)
            variances.append(posterior_variance(self.factor, cross, prior))
        deviation = self.scale * np.sqrt(np.concatenate(variances) + self.parameters.noise)
        return np.concatenate(means) * self.scale + self.offset, np.asarray(deviation)

    def typical_deviation(self) -> float:
        """Mean deviation of a training row's measurement when the row is left out, in scaled units.

        Of at most `MOST_LEFT_OUT` rows; from the factor: the variance without row i is 1 / (K + noise)^-1_ii.

        Source:
            Rasmussen and Williams 2006, "Gaussian Processes for Machine Learning", equation 5.12.
        """
        from scipy import linalg

        n = len(self.factor)
        rows = np.unique(np.linspace(0, n - 1, min(n, MOST_LEFT_OUT)).astype(np.int64))
        unit = np.zeros((n, len(rows)))
        unit[rows, np.arange(len(rows))] = 1.0
        # (K + noise)^-1_ii = |L^-1 e_i|^2
        inverse = linalg.solve_triangular(self.factor, unit, lower=True, overwrite_b=True, check_finite=False)
        return float(np.mean(self.scale / np.sqrt((inverse**2).sum(axis=0))))

    def deviation_bounds(self, embedding: Embedding, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Bounds of `deviation`, float64 [n] each: the noise alone, and the deviation before any training row."""
        if isinstance(self.rows.kernel, RbfKernel | SiteProductKernel):  # the same for every row
            prior = np.full(len(rows), np.exp(self.parameters.kernel[0]))
        else:
            prior = self.rows.kernel.diagonal(self.rows.of(embedding, rows), self.parameters.kernel)
        low = np.full(len(rows), self.scale * np.sqrt(self.parameters.noise))
        return low, np.asarray(self.scale * np.sqrt(prior + self.parameters.noise))

    is_joint = True

    @property
    def draws_any_number(self) -> bool:
        """True if the kernel has a structure by which any number of rows is drawn, or the rows a grid's."""
        return joint.has_structure(self.rows)

    def covariance(self, embedding: Embedding, rows: np.ndarray) -> np.ndarray:
        """Covariance of the function, without noise, at rows (int64 [m]), float64 [m, m], in scaled units."""
        return joint.covariance(self, embedding, rows)

    def draws(
        self, embedding: Embedding, rows: np.ndarray, n: int, seed: Sequence[int]
    ) -> Iterator[np.ndarray] | None:
        """Draw n functions, each at all rows; see `joint.draws`."""
        return joint.draws(self, embedding, rows, n, seed)

    def settings(self) -> dict[str, Any]:
        """Kernel and its parameters."""
        return {
            "parameters": [float(value) for value in self.parameters.kernel],
            "noise": self.parameters.noise,
            "log_likelihood": self.parameters.log_likelihood,
            "offset": self.offset,
            "scale": self.scale,
            **self.rows.settings(),
        }

    def tensors(self) -> dict[str, np.ndarray]:
        """Training rows and their weights."""
        noise = {} if self.relative is None else {"relative_noise": self.relative}
        return {"weights": self.weights, **noise, **self.rows.tensors()}

    def _chunks(self, rows: np.ndarray) -> list[np.ndarray]:
        step = max(1, _CHUNK_NUMBERS // min(structure.MOST_EXACT, max(1, len(self.weights))))
        return [rows[start : start + step] for start in range(0, len(rows), step)]

    @cached_property
    def few(self) -> Any:
        """Training rows to factorise, in the kernel's form; evenly spaced ones if there are more than `MOST_EXACT`."""
        return self.rows.take(self._few_rows)

    @cached_property
    def explained_grid(self) -> EvidenceGrid | None:
        """Products with the kernel that need no matrix, for many rows with evidence; None where there are none."""
        return structure.explained_grid(self.rows, self.parameters.kernel)

    @property
    def _few_rows(self) -> np.ndarray:
        """int64: training rows that are factorised, ascending."""
        return np.unique(np.linspace(0, len(self.weights) - 1, self.n_factorised).astype(np.int64))

    @cached_property
    def _of_mutations(self) -> MutationCovariance:
        assert isinstance(self.rows.kernel, MutationKernel)
        return MutationCovariance(self.rows.kernel, self.parameters)

    @property
    def n_factorised(self) -> int:
        """Number of rows in `few`."""
        most = structure.MOST_EXPLAINED if structure.is_explained(self.rows) else structure.MOST_EXACT
        return min(len(self.weights), most)

    def _cross(self, embedding: Embedding, rows: np.ndarray, training: Any = None) -> np.ndarray:
        others = self.rows.training if training is None else training
        pieces = self.rows.kernel.pieces(self.rows.of(embedding, rows), others)
        return self.rows.kernel.combine(pieces, self.parameters.kernel)

    @cached_property
    def factor(self) -> np.ndarray:
        """Cholesky factor of `few`; recomputed after loading, since it is n times as large as the rest."""
        kernel = self.rows.kernel
        covariance = kernel.combine(kernel.pieces(self.few, self.few), self.parameters.kernel)
        noise = self.parameters.noise
        return factorise(
            covariance, noise if self.relative is None else noise * self.relative[self._few_rows]
        )


def restore_process(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> GpPredictor:
    """Rebuild the process alone."""
    parameters = Parameters(np.array(settings["parameters"]), settings["noise"], settings["log_likelihood"])
    rows = restore_rows(settings, tensors)
    found = GpPredictor(rows, parameters, tensors["weights"], settings["offset"], settings["scale"])
    found.relative = tensors.get("relative_noise")
    return found
