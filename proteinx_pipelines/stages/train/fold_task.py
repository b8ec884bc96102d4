"""Task of a model for one fold: scaled targets, those of test rows hidden, and what else it may know of the rows."""

import logging
from pathlib import Path

import numpy as np

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.reading import JOINT
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Fold
from proteinx_pipelines.stages.train.further_values import further_values
from proteinx_pipelines.stages.train.replicate_noise import row_noise
from proteinx_pipelines.stages.train.shard import Shard, ShardInputs
from proteinx_pipelines.stages.train.targets import TargetScaling, fit_scaling, network_scaling
from proteinx_pipelines.stages.train.task import FitTask, FoldMonitor

_log = logging.getLogger(__name__)


def task_of(
    shard: Shard,
    inputs: ShardInputs,
    directory: ExperimentDir,
    monitor: StageMonitor,
    checkpoint: Path | None,
) -> tuple[FitTask, TargetScaling, str | None]:
    """Task of a model, scaling of its targets, and the reason if that differs from `train.target`."""
    fold, variants = inputs.split.folds[shard.fold], inputs.variants
    targets = variants.column("target").astype(np.float64)
    # Classes stay classes.
    is_scaled = inputs.entry.has_epochs and inputs.flags.train.loss != "bce"
    asked = inputs.flags.train.target
    method, unlike = network_scaling(asked, targets[fold.train]) if is_scaled else (asked, None)
    if unlike:
        _log.warning(
            "Fold %d: targets of %s cannot be learned by a network as they are, and were standardised.",
            shard.fold,
            unlike,
        )
    if is_scaled and inputs.flags.model.tasks == JOINT and method == "none":
        method = "standardize"  # as the other tasks are: `network_tasks`
    scaling = fit_scaling(method, targets[fold.train])
    noise = row_noise(variants, inputs.flags, fold.train)
    task = FitTask(
        embedding=inputs.embedding,
        targets=_visible_targets(scaling, targets, fold),
        fold=fold,
        sites=inputs.sites,
        flags=inputs.flags,
        seed=shard.seed,
        directory=directory,
        monitor=FoldMonitor(monitor, shard.fold, shard.n_folds),
        noise=None if noise is None else noise.scaled(scaling.deviation),
        further=further_values(variants, fold, inputs.flags),
        templates=tuple(variants.templates[name] for name in sorted(variants.templates)),
        checkpoint=checkpoint,
    )
    return task, scaling, unlike


def _visible_targets(scaling: TargetScaling, targets: np.ndarray, fold: Fold) -> np.ndarray:
    """Scaled targets, NaN outside training and validation, so that test targets cannot leak."""
    visible = np.full(len(targets), np.nan)
    for part in (fold.train, fold.val):
        visible[part] = scaling.scale(targets[part])
    return visible
