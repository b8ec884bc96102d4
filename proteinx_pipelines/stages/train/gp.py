"""Gaussian process regression with calibrated uncertainty: `model.name=gp`.

    rows in the kernel's form (`gp_rows`) -> parameters -> weights (`gp_weights`) -> `gp_predictor`

Larger training sets than `gp_structure` has a way for are subsampled, seeded per fold. Parameters are chosen on up to
`MOST_FOR_PARAMETERS` rows by exact marginal likelihood. The deviation of a prediction includes the noise, so it is that
of a new measurement.

With `sites`, targets that are never negative are learned on their root scale, and turned back by `root_scale`.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train import gp_structure as structure
from proteinx_pipelines.stages.train import root_scale
from proteinx_pipelines.stages.train.error_share import share_of_errors, told_of_errors
from proteinx_pipelines.stages.train.gaussian_process import Parameters, fit_parameters, log_likelihood
from proteinx_pipelines.stages.train.gp_predictor import GpPredictor, restore_process
from proteinx_pipelines.stages.train.gp_rows import GpRows, describe_rows
from proteinx_pipelines.stages.train.gp_weights import solved
from proteinx_pipelines.stages.train.promise import promise_of
from proteinx_pipelines.stages.train.replicate_noise import RowNoise, noise_by_share
from proteinx_pipelines.stages.train.residue_grid import fills_grid
from proteinx_pipelines.stages.train.residue_rows import NAME as SITES
from proteinx_pipelines.stages.train.scales import choose_scales
from proteinx_pipelines.stages.train.targets import deviation_of
from proteinx_pipelines.stages.train.task import Fit, FitTask

MOST_FOR_PARAMETERS = 500


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
    many = len(rows) > structure.MOST_EXACT
    is_grid = many and tokens is not None and kernel in (None, "rbf", SITES) and fills_grid(tokens[rows])
    if many and not is_grid and (tokens is None or kernel in ("rbf", "linear", SITES)):
        # Before the vectors of all rows are copied to double precision.
        rows = at_most(rows, structure.MOST_EXACT, task.seed)
        many = False
    on_a_grid = SITES if kernel == SITES else "rbf"
    described = describe_rows(task.embedding, rows, task.templates, on_a_grid if is_grid else kernel)
    if many and not is_grid and structure.additive_of(described) is None:
        rows = at_most(rows, structure.MOST_EXACT, task.seed)
        described = describe_rows(task.embedding, rows, task.templates, kernel)
    targets = task.targets[rows]
    offset, scale = float(targets.mean()), deviation_of(targets)
    unit = (targets - offset) / scale  # mean 0, deviation 1, as the start and prior of the parameters assume
    # Each evaluation of the likelihood costs a Cholesky factor, O(n^3), so parameters are fitted on a subset.
    few = np.searchsorted(rows, at_most(rows, MOST_FOR_PARAMETERS, task.seed))
    if (additive := structure.additive_of(described)) is None:
        noise = None if task.noise is None or structure.on_grid(described) else task.noise.of(rows, scale)
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


def at_most(rows: np.ndarray, most: int, seed: int) -> np.ndarray:
    """Take all rows (int64 [n]), or `most` of them drawn by the seed, ascending."""
    if len(rows) <= most:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
