"""`model.name=gp` with `model.tasks=joint`: one Gaussian process of the target and further properties.

The kernel is the one that `gp` would use on its own (with evidence: the kinds that it would choose for the target); its
parameters, the covariance of the tasks and a noise for each are chosen by marginal likelihood (`coregionalisation`) on
at most `MOST_FOR_PARAMETERS` values. Solved exactly by Cholesky, up to `MOST_VALUES` measured values. Predicts the
target: further properties matter by their training values alone.

Not used here: conjugate gradients and grids, scales by left-out positions, and noise by replicates.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.stages.train import root_scale
from proteinx_pipelines.stages.train.coregionalisation import (
    Observed,
    TaskParameters,
    fit_task_parameters,
)
from proteinx_pipelines.stages.train.evidence_kernel import EvidenceKernel
from proteinx_pipelines.stages.train.evidence_sites import KINDS, sites_of
from proteinx_pipelines.stages.train.further_values import names_of_tasks
from proteinx_pipelines.stages.train.gp import kernel_problem
from proteinx_pipelines.stages.train.gp_rows import GpRows, MutationRows, describe_rows, restore_rows
from proteinx_pipelines.stages.train.informed import fit_informed
from proteinx_pipelines.stages.train.residue_rows import NAME as SITES
from proteinx_pipelines.stages.train.targets import deviation_of
from proteinx_pipelines.stages.train.task import Fit, FitTask
from proteinx_pipelines.stages.train.task_process import TaskProcess, Told

MOST_VALUES = 6000
"""Most measured values of all tasks together: 36 million covariances, 0.3 GB, and a factor of a few seconds."""
MOST_FOR_PARAMETERS = 600
_OF_ONE_TASK = ("weights", "deviation_factor")
"""Facts about a choice of evidence that are those of a process of the target alone."""


def fit(task: FitTask) -> Fit:
    """Fit one fold.

    Raises:
        FlagError: `model.kernel` does not fit the embedding, or there are more values than are solved exactly.
    """
    if problem := kernel_problem(task.flags.model.kernel, task.embedding):
        raise FlagError([problem])
    training = task.targets[task.fold.train]
    on_roots = task.flags.model.kernel == SITES and root_scale.fits(training)
    target = np.full(len(task.targets), np.nan)  # validation rows are not trained on
    target[task.fold.train] = root_scale.to_latent(training) if on_roots else training
    offset, scale = float(np.nanmean(target)), deviation_of(target[task.fold.train])
    names = names_of_tasks(task)
    values = np.stack([(target - offset) / scale, *task.further.values()])
    _refuse_too_many(values, names)
    rows = np.flatnonzero(np.isfinite(values).any(axis=0))
    observed = _observed(values[:, rows])
    described, start, facts = _described(task, rows)
    few, of_rows = observed.take(_few(observed, len(names), task.seed))
    parameters = fit_task_parameters(described.kernel, described.take(of_rows), few, len(names), start)
    process = TaskProcess(described, observed, parameters, offset, scale, names)
    process.solve()
    told = {
        "kernel": described.name,
        "n_rows": len(rows),
        "noise": float(parameters.noise[0]),
        "log_likelihood": parameters.log_likelihood,
        "tasks": _about(task, names, observed, parameters),
        **{name: value for name, value in facts.items() if name not in _OF_ONE_TASK},
    }
    if on_roots:
        return Fit(root_scale.RootScaled(process), {**told, **root_scale.TOLD})
    return Fit(process, told)


def is_told(settings: Mapping[str, Any]) -> bool:
    """True if a model with these settings is of several tasks."""
    return Told.TASKS in settings


def restore(
    settings: Mapping[str, Any], tensors: Mapping[str, np.ndarray]
) -> TaskProcess | root_scale.RootScaled:
    """Rebuild the predictor from its exported settings and tensors."""
    parameters = TaskParameters(
        np.array(settings["parameters"]),
        tensors[Told.LOADINGS],
        tensors[Told.OWN],
        tensors[Told.NOISE],
        settings["log_likelihood"],
    )
    observed = Observed(tensors[Told.ROW], tensors[Told.TASK], np.zeros(len(tensors[Told.ROW])))
    process = TaskProcess(
        restore_rows(settings, tensors), observed, parameters,
        settings["offset"], settings["scale"], tuple(settings[Told.TASKS]),
    )  # fmt: skip
    process.weights = tensors["weights"]
    return root_scale.RootScaled(process) if root_scale.is_told(settings) else process


def _refuse_too_many(values: np.ndarray, names: tuple[str, ...]) -> None:
    counts = np.isfinite(values).sum(axis=1)
    if counts.sum() <= MOST_VALUES:
        return
    found = ", ".join(f"{name} {count:,}" for name, count in zip(names, counts, strict=True))
    text = (
        f"`model.tasks` 'joint' of gp solves for at most {MOST_VALUES:,} measured values of all properties; the "
        f"training rows have {counts.sum():,} ({found}). Select fewer rows (`data.limit`, `data.where`), name fewer "
        "`data.properties`, or set `model.tasks` to 'single'"
    )
    raise FlagError([text])


def _observed(values: np.ndarray) -> Observed:
    """The values that are there, of float64 [T, m]: task by task, and by row within each."""
    of_task, row = np.nonzero(np.isfinite(values))
    return Observed(row, of_task, values[of_task, row])


def _few(observed: Observed, n_tasks: int, seed: int) -> np.ndarray:
    """Values by which parameters are chosen, int64, ascending: half of rows with a target, with all that they have."""
    n = len(observed.row)
    if n <= MOST_FOR_PARAMETERS:
        return np.arange(n)
    random = np.random.default_rng(seed)
    has_target = np.isin(observed.row, observed.row[observed.task == 0])
    left, chosen = MOST_FOR_PARAMETERS, []
    for part, share in ((has_target, 0.5), (~has_target, 1.0)):
        rows = np.unique(observed.row[part])
        per_row = max(1.0, part.sum() / max(1, len(rows)))
        most = min(len(rows), int(share * left / per_row)) if (~part).any() else int(left / per_row)
        picked = random.permutation(rows)[:most]
        chosen.append(np.flatnonzero(part & np.isin(observed.row, picked)))
        left -= len(chosen[-1])
    assert n_tasks > 0
    return np.sort(np.concatenate(chosen))


def _described(task: FitTask, rows: np.ndarray) -> tuple[GpRows, np.ndarray | None, dict[str, Any]]:
    """Rows with their kernel, the start of its parameters (None: the kernel's own), and facts about the choice."""
    kernel = task.flags.model.kernel
    described = describe_rows(task.embedding, rows, task.templates, kernel)
    if kernel not in (None, "mutation") or not isinstance(described, MutationRows):
        return described, None, {}
    informed, facts = fit_informed(replace(task, further={}))
    if informed is None:
        return described, None, facts
    kinds = [kind for kind in KINDS if kind in informed.choice.kinds]
    sites = sites_of(task.embedding.evidence, described.templates, kinds)
    assert sites is not None
    epistasis = bool((described.training.counts > 1).any())
    own = EvidenceKernel(described.templates, sites, epistasis=epistasis)
    start = own.start.copy()
    chosen = informed.choice.parameters.kernel
    start[: len(own.terms)] = chosen[: len(own.terms)]
    return MutationRows(described.templates, described.training, own), start, facts


def _about(
    task: FitTask, names: tuple[str, ...], observed: Observed, parameters: TaskParameters
) -> dict[str, Any]:
    """Facts about the tasks for `training.json`."""
    counts = np.bincount(observed.task, minlength=len(names))
    return {
        "names": list(names),
        "rows": {name: int(count) for name, count in zip(names, counts, strict=True)},
        "rows_without_score": int(len(np.unique(observed.row)) - len(task.fold.train)),
        "correlation": [[round(float(each), 4) for each in line] for line in parameters.correlation],
        "noise": {name: float(each) for name, each in zip(names, parameters.noise, strict=True)},
    }
