"""Gaussian process regression with calibrated uncertainty: `model.name=gp`.

Exact up to `MOST_EXACT` training rows; larger training sets are subsampled to that size, seeded per fold. The mutation
kernel on single mutants, and the rbf kernel on a grid (a large share of all residue combinations at a few positions),
have no such limit:

| kernel | training rows | mean by | deviation by |
|---|---|---|---|
| mutation, single mutants | up to `MOST_FACTORISED` | Cholesky, all rows | the same factor |
| mutation, single mutants | more | `site_grid`, all rows | Cholesky, `MOST_EXACT` rows at most |
| mutation with evidence, single mutants | more than `MOST_EXPLAINED` | products, all rows | Cholesky, as many |
| rbf, sites or none given, one-hot on a grid | more than `MOST_EXACT` | `residue_grid`, all rows | Cholesky, as many |
| rbf or sites, one-hot at `FEW_SITES` or fewer | up to `MOST_EXACT` | Cholesky, then `residue_grid` | the same factor |
| any other | any | Cholesky, `MOST_EXACT` rows at most | the same factor |

Both grids are solved by conjugate gradients. Parameters are chosen on up to `MOST_FOR_PARAMETERS` rows by exact
marginal likelihood. The deviation of a prediction includes the noise, so it is that of a new measurement.

With `sites`, targets that are never negative are learned on their root scale, and turned back by `root_scale`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.records import AMINO_ACIDS, Embedding
from proteinx_pipelines.stages.train import joint, root_scale
from proteinx_pipelines.stages.train.additive_variance import MutationCovariance
from proteinx_pipelines.stages.train.error_share import share_of_errors, told_of_errors
from proteinx_pipelines.stages.train.evidence_kernel import EvidenceKernel
from proteinx_pipelines.stages.train.gaussian_process import (
    JITTER,
    Parameters,
    factorise,
    fit_parameters,
    log_likelihood,
    posterior_variance,
    solve,
)
from proteinx_pipelines.stages.train.gp_rows import (
    GpRows,
    GridRows,
    MutationRows,
    describe_rows,
    restore_rows,
)
from proteinx_pipelines.stages.train.kernels import MutationKernel, RbfKernel
from proteinx_pipelines.stages.train.promise import promise_of
from proteinx_pipelines.stages.train.replicate_noise import RowNoise, noise_by_share
from proteinx_pipelines.stages.train.residue_grid import cells_of, fills_grid
from proteinx_pipelines.stages.train.residue_rows import NAME as SITES
from proteinx_pipelines.stages.train.scales import choose_scales
from proteinx_pipelines.stages.train.site_grid import SiteGrid, conjugate_gradients
from proteinx_pipelines.stages.train.site_product import SiteProductKernel
from proteinx_pipelines.stages.train.targets import deviation_of
from proteinx_pipelines.stages.train.task import Fit, FitTask

MOST_EXACT = 6000
"""Most training rows of an exact fit: 36 million covariances, 0.3 GB, and a factorisation of a few seconds."""
MOST_FACTORISED = 1000
"""Training rows of single mutants above which the mean is solved by conjugate gradients."""
MOST_EXPLAINED = 2000
"""As `MOST_EXACT`, for the deviation under a kernel with evidence, whose covariances cost more."""
MOST_FOR_PARAMETERS = 500
MOST_LEFT_OUT = 500
FEW_SITES = 4
"""Varying positions up to which means under `rbf` and `sites` are computed on the grid of all combinations (194,481
cells)."""
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
        if (additive := _additive(self.rows)) is not None:
            seen = additive.rows.of(embedding, rows)
            grid = SiteGrid(additive.kernel, seen, additive.rows.training, self.parameters.kernel)
            values = grid.times(self.weights)  # [m] = [m, n] @ [n], without the matrix
            return np.asarray(values * self.scale + self.offset)
        if (residues := on_grid(self.rows) or at_few_sites(self.rows)) is not None:
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
        if (additive := _additive(self.rows)) is not None and len(rows) > len(self.weights):
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
        by_structure = _additive(self.rows) is not None or at_few_sites(self.rows) is not None
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
        step = max(1, _CHUNK_NUMBERS // min(MOST_EXACT, max(1, len(self.weights))))
        return [rows[start : start + step] for start in range(0, len(rows), step)]

    @cached_property
    def few(self) -> Any:
        """Training rows to factorise, in the kernel's form; evenly spaced ones if there are more than `MOST_EXACT`."""
        return self.rows.take(self._few_rows)

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
        most = MOST_EXPLAINED if _is_explained(self.rows) else MOST_EXACT
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


def fit(task: FitTask) -> Fit:
    """Fit one fold.

    Raises:
        FlagError: `model.kernel` does not fit the embedding.
    """
    problem = kernel_problem(task.flags.model.kernel, task.embedding)
    if problem:
        raise FlagError([problem])
    on_roots = task.flags.model.kernel == SITES and root_scale.fits(task.targets[task.fold.train])
    # Errors are of the scores, not of their roots.
    seen = replace(task, targets=root_scale.to_latent(task.targets), noise=None) if on_roots else task
    process = fit_gp(seen, kernel=task.flags.model.kernel)
    told = {
        "kernel": process.rows.name,
        "n_rows": len(process.weights),
        "noise": process.parameters.noise,
        "log_likelihood": process.parameters.log_likelihood,
        "converged": process.converged,
        **process.chosen,
    }
    if on_roots:
        return Fit(root_scale.RootScaled(process), {**told, **root_scale.TOLD})
    return Fit(process, told)


def fit_gp(task: FitTask, *, kernel: str | None) -> GpPredictor:
    """Choose parameters on a subset of the training rows, then solve with all of them, or with `MOST_EXACT`."""
    rows = task.fold.train
    tokens = task.embedding.tokens
    many = len(rows) > MOST_EXACT
    is_grid = many and tokens is not None and kernel in (None, "rbf", SITES) and fills_grid(tokens[rows])
    if many and not is_grid and (tokens is None or kernel in ("rbf", "linear", SITES)):
        # Before the vectors of all rows are copied to double precision.
        rows = at_most(rows, MOST_EXACT, task.seed)
        many = False
    on_a_grid = SITES if kernel == SITES else "rbf"
    described = describe_rows(task.embedding, rows, task.templates, on_a_grid if is_grid else kernel)
    if many and not is_grid and _additive(described) is None:
        rows = at_most(rows, MOST_EXACT, task.seed)
        described = describe_rows(task.embedding, rows, task.templates, kernel)
    targets = task.targets[rows]
    offset, scale = float(targets.mean()), deviation_of(targets)
    unit = (targets - offset) / scale  # mean 0, deviation 1, as the start and prior of the parameters assume
    # Each evaluation of the likelihood costs a Cholesky factor, O(n^3), so parameters are fitted on a subset.
    few = np.searchsorted(rows, at_most(rows, MOST_FOR_PARAMETERS, task.seed))
    if (additive := _additive(described)) is None:
        noise = None if task.noise is None or on_grid(described) else task.noise.of(rows, scale)
        parameters, relative, told = _with_errors(described, few, unit[few], noise)
        predictor = solved(described, parameters, unit, offset, scale, relative)
        predictor.chosen = told
        return predictor
    promise = promise_of(task)
    noise = None if task.noise is None else task.noise.of(rows, scale)
    scales = choose_scales(additive.rows, few, unit[few], promise, noise)
    predictor = solved(described, scales.parameters, unit, offset, scale, scales.relative)
    predictor.chosen = {"left_out": promise.name, "deviation_factor": round(scales.factor, 4)}
    predictor.chosen |= scales.about_noise()
    return predictor


def _with_errors(
    rows: GpRows, few: np.ndarray, targets: np.ndarray, noise: RowNoise | None
) -> tuple[Parameters, np.ndarray | None, dict[str, Any]]:
    """Parameters of a kernel that is no sum, noise of each training row over the mean noise, and facts about both.

    Replicates are not read here, standard errors are.

    Args:
        rows: n training rows.
        few: int64 [f], rows on which parameters are chosen, as indices.
        targets: float64 [f].
        noise: of the training rows.
    """
    kernel, chosen = rows.kernel, rows.take(few)
    plain = fit_parameters(kernel, chosen, targets)
    if noise is None or not noise.n_errors:
        return plain, None, {}
    pieces = kernel.pieces(chosen, chosen)

    def value(factor: float, ratio: np.ndarray) -> float:
        return log_likelihood(
            kernel, pieces, targets, np.append(plain.kernel, np.log(plain.noise * factor)), ratio
        )

    share = share_of_errors(noise.variance, few, plain.log_likelihood, value)
    relative = noise_by_share(noise.variance, share)
    if relative is not None:
        plain = fit_parameters(kernel, chosen, targets, relative[few])
    return plain, relative, told_of_errors(noise.n_errors, share, relative)


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
    additive = _additive(rows)
    # Matrix-free solvers where the kernel has the structure, Cholesky otherwise.
    if len(targets) > MOST_FACTORISED and additive is not None:
        training = additive.rows.training
        grid = SiteGrid(additive.kernel, training, training, parameters.kernel)
        predictor.weights, predictor.converged = conjugate_gradients(grid.times, noise, targets)
    elif len(targets) > MOST_EXPLAINED and _is_explained(rows):
        covariance = rows.kernel.combine(rows.kernel.pieces(rows.training, rows.training), parameters.kernel)
        times = covariance.__matmul__  # a hundred products cost less than a factor of n^3 / 3
        predictor.weights, predictor.converged = conjugate_gradients(times, noise, targets)
    elif (residues := on_grid(rows)) is not None:
        predictor.weights, predictor.converged = _solved_on_grid(residues, parameters, targets)
    else:
        predictor.weights = solve(predictor.factor, targets)
    return predictor


def on_grid(rows: GpRows) -> GridRows | None:
    """Return the rows if they fill a grid of residues: only then are there more of them than `MOST_EXACT`."""
    return rows if not isinstance(rows, MutationRows) and len(rows.training) > MOST_EXACT else None


def at_few_sites(rows: GpRows) -> GridRows | None:
    """Return one-hot rows under `rbf` or `sites` at few positions: their mean on all combinations costs nothing.

    A product with the grid of 4 sites takes 20 ms for any number of predictions; the covariances of 149,361 variants
    and 480 training rows take 3 s.
    """
    if isinstance(rows, MutationRows) or rows.positions is None or rows.name not in ("rbf", SITES):
        return None
    return rows if 1 <= len(rows.positions) <= FEW_SITES else None


def _solved_on_grid(rows: GridRows, parameters: Parameters, targets: np.ndarray) -> tuple[np.ndarray, bool]:
    """Weight of each training row, float64 [n], and convergence of conjugate gradients."""
    residues = rows.residues()
    n_letters = max(len(AMINO_ACIDS), int(residues.max()) + 1)  # one more for padding
    grid = rows.grid(parameters.kernel, n_letters)
    return grid.solve(cells_of(residues, n_letters), targets, parameters.noise + JITTER)


def _is_explained(rows: GpRows) -> bool:
    """True under a kernel with evidence that is a sum over mutations."""
    return isinstance(rows, MutationRows) and isinstance(rows.kernel, EvidenceKernel) and rows.is_additive


class _Additive(NamedTuple):
    rows: MutationRows
    kernel: MutationKernel


def _additive(rows: GpRows) -> _Additive | None:
    """Rows and kernel if the covariance matrix is not needed (additive kernel); None if it is."""
    if isinstance(rows, MutationRows) and isinstance(rows.kernel, MutationKernel) and rows.kernel.is_additive:
        return _Additive(rows, rows.kernel)
    return None


def kernel_problem(kernel: str | None, embedding: Embedding) -> str | None:
    """Describe the problem of a kernel on this embedding; None if there is none."""
    if kernel in ("mutation", SITES) and embedding.tokens is None:
        name = embedding.info.get("name")
        return f"`model.kernel` {kernel} needs `embedding.name` onehot, found {name!r}; use rbf or linear"
    return None


def restore(
    settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> GpPredictor | root_scale.RootScaled:
    """Rebuild the predictor from its exported settings and tensors."""
    process = restore_process(settings, tensors)
    return root_scale.RootScaled(process) if root_scale.is_told(settings) else process


def restore_process(settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]) -> GpPredictor:
    """Rebuild the process alone."""
    parameters = Parameters(np.array(settings["parameters"]), settings["noise"], settings["log_likelihood"])
    rows = restore_rows(settings, tensors)
    found = GpPredictor(rows, parameters, tensors["weights"], settings["offset"], settings["scale"])
    found.relative = tensors.get("relative_noise")
    return found


def at_most(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Take all rows (int64 [n]), or `most` of them drawn by the seed, ascending."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
