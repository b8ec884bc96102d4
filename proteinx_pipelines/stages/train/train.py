"""The train stage: fit the chosen model on every fold and export it.

Receives records and returns one; the files of each model are written here, `training.json` by
`experiment_dir.codecs.train`. How good the models are is the evaluate stage's question: the metrics here are
those that training itself watches.
"""

import shutil
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Embedding, Fold, Split, Training, VariantTable
from proteinx_pipelines.stages.train.checks import check_inputs
from proteinx_pipelines.stages.train.export import FittedModel, describe_embedding, save_model
from proteinx_pipelines.stages.train.export_pt import export_parts
from proteinx_pipelines.stages.train.registry import MODELS, ModelEntry
from proteinx_pipelines.stages.train.resume import starting_points
from proteinx_pipelines.stages.train.targets import UNITS, TargetScaling, fit_scaling
from proteinx_pipelines.stages.train.task import FitTask, FoldMonitor

TRAIN_VERSION = "3"


def train_models(
    variants: VariantTable,
    embedding: Embedding,
    split: Split,
    flags: ExperimentFlags,
    *,
    directory: ExperimentDir,
    monitor: StageMonitor,
    checkpoint: Path | None = None,
) -> Training:
    """Fit one model per fold and export each under `directory.model_dir`.

    Folds do not depend on each other: each has its own seed, scaling and checkpoints. The same flags and
    seed give the same bytes on the same machine.

    Args:
        variants: N variants with finite targets in training and validation rows.
        embedding: Row i belongs to variant i.
        split: One fold, or K for cross-validation; validation rows steer early stopping only.
        flags: `model.*`, `train.*`, `trainer.*`.
        directory: Where models, checkpoints and loggers' files go. Those of an earlier training are removed.
        monitor: Hears of progress, learning curves and histograms, and may stop the training.
        checkpoint: What to continue from: a checkpoint file (single split), or a folder laid out as
            `ckpts/` is, of which each fold takes its own `last.ckpt` if it has one. Overrides
            `train.ckpt_path`, which is never read here: the caller confines it.

    Raises:
        EmptySplit: a fold has no training rows; change `split.*`.
        BadVariants: targets or vectors are not finite; see the message.
        FlagError: flags of the model contradict each other or the machine; see the message.
        TrainingDiverged: the loss is not finite; lower `train.lr`.
        CorruptArtifact: records of different experiments were put together, or the checkpoint is damaged.
        Stopped: the monitor ended the training; finished epochs stay in `ckpts/`.
    """
    check_inputs(variants, embedding, split)
    entry = MODELS[flags.model.name]
    starts = starting_points(entry, split, directory, checkpoint)
    _remove_earlier(directory, checkpoint)
    fits = [
        _train_fold(entry, variants, embedding, split, k, flags, directory, monitor, starts[k])
        for k in range(len(split.folds))
    ]
    files = export_parts(variants, embedding, split, directory) if flags.train.export_pt else []
    return Training(
        model_name=entry.name,
        model_dirs=[_model_dir(directory, k) for k in range(len(fits))],
        fold_metrics=[found for found, _ in fits],
        info={
            "version": TRAIN_VERSION,
            "target": flags.train.target,
            "units": UNITS[flags.train.target],
            "folds": [info for _, info in fits],
            "exported": files,
        },
    )


def fold_seed(seed: int, fold: int) -> int:
    """Seed of fold `fold` (from 0): independent of the other folds, below 2**32."""
    return int(np.random.SeedSequence([seed, fold]).generate_state(1, dtype=np.uint32)[0])


def _train_fold(
    entry: ModelEntry,
    variants: VariantTable,
    embedding: Embedding,
    split: Split,
    k: int,
    flags: ExperimentFlags,
    directory: ExperimentDir,
    monitor: StageMonitor,
    checkpoint: Path | None,
) -> tuple[Mapping[str, float], Mapping[str, Any]]:
    """Fit, measure and export fold `k`; its metrics and what is worth saying about it."""
    fold, started = split.folds[k], time.monotonic()
    targets = variants.column("target").astype(np.float64)
    scaling = fit_scaling(flags.train.target, targets[fold.train])
    task = FitTask(
        embedding=embedding,
        targets=_visible_targets(scaling, targets, fold),
        fold=fold,
        flags=flags,
        seed=fold_seed(flags.train.seed, k),
        directory=directory,
        monitor=FoldMonitor(monitor, k, len(split.folds)),
        templates=tuple(variants.templates[name] for name in sorted(variants.templates)),
        checkpoint=checkpoint,
    )
    task.monitor.progress(0, 1, "fitting")
    fit = entry.load().fit(task)
    model = FittedModel(entry.name, fit.predictor, scaling, describe_embedding(embedding))
    save_model(model, _model_dir(directory, k), fold=k, seed=task.seed)
    found = _final_metrics(
        task, fit.predictor.mean(embedding, fold.train), fit.predictor.mean(embedding, fold.val)
    )
    if not entry.has_epochs:  # the others have written a value per epoch
        for name, value in found.items():
            task.monitor.metric(name, value)
    task.monitor.event(
        "model_fitted", model=entry.name, seconds=round(time.monotonic() - started, 3), **found
    )
    return found, {"seed": task.seed, "n_train": len(fold.train), "n_val": len(fold.val), **fit.info}


def _visible_targets(scaling: TargetScaling, targets: np.ndarray, fold: Fold) -> np.ndarray:
    """Scaled targets, NaN outside training and validation: what a model cannot see cannot leak."""
    visible = np.full(len(targets), np.nan)
    for part in (fold.train, fold.val):
        visible[part] = scaling.scale(targets[part])
    return visible


def _final_metrics(task: FitTask, train: np.ndarray, val: np.ndarray) -> dict[str, float]:
    """Loss (mean squared error in scaled units) and rank correlation of the exported model."""
    found = {"train/loss": float(np.mean((train - task.targets[task.fold.train]) ** 2))}
    if len(val):
        measured = task.targets[task.fold.val]
        found["val/loss"] = float(np.mean((val - measured) ** 2))
        found["val/spearman"] = metrics.compute("spearman", measured, val)
    return {name: value for name, value in found.items() if np.isfinite(value)}


def _model_dir(directory: ExperimentDir, fold: int) -> Path:
    return directory.model_dir / f"fold_{fold}"


def _remove_earlier(directory: ExperimentDir, checkpoint: Path | None) -> None:
    """Remove what an earlier training left: fewer folds now must not leave old ones behind."""
    shutil.rmtree(directory.model_dir, ignore_errors=True)
    if checkpoint is None or not checkpoint.is_relative_to(directory.checkpoints_dir):
        shutil.rmtree(directory.checkpoints_dir, ignore_errors=True)
