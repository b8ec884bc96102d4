"""Training in shards: each fold is one shard, fitted independently and stored as files.

    plan_shards -> run_shard, in any order and anywhere -> finish

Shards are independent: each has its own seed, scaling, checkpoints and files. `shard_files` finds completed ones, so
that a killed training continues at the fold it was in. This module runs one: search, fit, class probabilities, export.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.experiment_dir.files import file_sha256, json_ready, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Fold
from proteinx_pipelines.stages.train.class_probabilities import calibrated
from proteinx_pipelines.stages.train.export import MODEL_FILES, FittedModel, describe_embedding, save_model
from proteinx_pipelines.stages.train.fold_task import task_of
from proteinx_pipelines.stages.train.fold_units import fit_fold, joined_fits
from proteinx_pipelines.stages.train.ordinal import ClassMap
from proteinx_pipelines.stages.train.search import searched
from proteinx_pipelines.stages.train.shard import Shard, ShardInputs, ShardResult
from proteinx_pipelines.stages.train.shard_files import model_folder
from proteinx_pipelines.stages.train.targets import TargetScaling
from proteinx_pipelines.stages.train.task import Fit, FitTask


def run_shard(
    shard: Shard,
    inputs: ShardInputs,
    *,
    directory: ExperimentDir,
    monitor: StageMonitor,
    checkpoint: Path | None = None,
    units: Sequence[Fit] | None = None,
) -> ShardResult:
    """Fit, score and export one fold; its files are written first, then the record that marks it as finished.

    Args:
        shard: the fold to fit.
        inputs: records and flags.
        directory: receives the model, checkpoints and the record.
        monitor: receives progress and metrics; may stop the training.
        checkpoint: to continue from, for a model that trains in epochs.
        units: fits of all `units_of` the flags, made elsewhere by `fit_unit`; None fits here.
    """
    started = time.monotonic()
    inputs, choice = _chosen(shard, inputs, directory, monitor)
    task, scaling, unlike = task_of(shard, inputs, directory, monitor, checkpoint)
    task.monitor.progress(0, 1, "fitting")
    fit = fit_fold(inputs, task, shard) if units is None else joined_fits(inputs, shard, units)
    folder = model_folder(directory, shard.fold)
    classes, calibration = _classes(shard, inputs, task, fit, scaling, directory)
    model = FittedModel(
        inputs.entry.name, fit.predictor, scaling, describe_embedding(inputs.embedding), classes
    )
    save_model(model, folder, fold=shard.fold, seed=shard.seed)
    found = _final_metrics(
        task,
        fit.predictor.mean(inputs.embedding, task.fold.train),
        fit.predictor.mean(inputs.embedding, task.fold.val),
    )
    if not inputs.entry.has_epochs:  # the others have written a value per epoch
        for name, value in found.items():
            task.monitor.metric(name, value)
    sizes: dict[str, Any] = {"n_train": len(task.fold.train), "n_val": len(task.fold.val)}
    if unlike:
        sizes["standardized_because"] = unlike
    result = ShardResult(
        shard.fold, shard.seed, found, json_ready({"seed": shard.seed, **sizes, **choice, **calibration, **fit.info}),
        {name: file_sha256(folder / name) for name in MODEL_FILES},
    )  # fmt: skip
    write_json(directory.shard(shard.fold), asdict(result))
    seconds = round(time.monotonic() - started, 3)
    task.monitor.event("model_fitted", model=inputs.entry.name, seconds=seconds, **found)
    return result


def _chosen(
    shard: Shard, inputs: ShardInputs, directory: ExperimentDir, monitor: StageMonitor
) -> tuple[ShardInputs, dict[str, Any]]:
    """Inputs with the flags that a search chose for this fold, and the record of the search; as they are without."""
    if not inputs.flags.train.search:
        return inputs, {}

    def score(flags: ExperimentFlags, fold: Fold, place: ExperimentDir) -> float:
        alone = replace(
            inputs, flags=flags, split=replace(inputs.split, folds=(replace(fold, test=fold.test[:0]),))
        )
        task, scaling, _ = task_of(Shard(0, 1, shard.seed), alone, place, _Quiet(monitor), None)
        predictor = fit_fold(alone, task, Shard(0, 1, shard.seed)).predictor
        found = scaling.unscale(predictor.mean(inputs.embedding, fold.val))
        measured = inputs.variants.column("target").astype(np.float64)[fold.val]
        return metrics.compute(flags.train.search_metric, measured, found)

    flags, found = searched(
        inputs.flags, inputs.split, shard.fold, shard.seed, directory=directory, monitor=monitor, score=score
    )
    return replace(inputs, flags=flags), {"search": found}


def _classes(
    shard: Shard,
    inputs: ShardInputs,
    task: FitTask,
    fit: Fit,
    scaling: TargetScaling,
    directory: ExperimentDir,
) -> tuple[ClassMap | None, dict[str, Any]]:
    """The map to class probabilities, and its record; none where targets are scores."""
    thresholds = inputs.flags.transform.bins
    if not thresholds or not inputs.probabilities:
        return None, {}
    directory.root.mkdir(parents=True, exist_ok=True)
    validation = None
    if inputs.entry.has_epochs and len(task.fold.val):
        validation = scaling.unscale(fit.predictor.mean(inputs.embedding, task.fold.val))
    with tempfile.TemporaryDirectory(dir=directory.root, prefix=".classes-") as scratch:

        def left_out(fold: Fold, number: int) -> np.ndarray:
            place = ExperimentDir(Path(scratch) / f"group_{number}", directory.experiment_id)
            place.root.mkdir(parents=True, exist_ok=True)
            alone = replace(inputs, split=replace(inputs.split, folds=(fold,)))
            quiet = _Quiet(task.monitor, "class probabilities")
            own, own_scaling, _ = task_of(Shard(0, 1, shard.seed), alone, place, quiet, None)
            predictor = fit_fold(alone, own, Shard(0, 1, shard.seed)).predictor
            return own_scaling.unscale(predictor.mean(inputs.embedding, fold.test))

        return calibrated(
            inputs.variants, inputs.split, task.fold, thresholds, seed=shard.seed, validation=validation,
            asked=inputs.flags.split, left_out=left_out,
        )  # fmt: skip


class _Quiet(StageMonitor):
    """Passes a stop on; trainings of a search or of groups left out are no curves of their own."""

    def __init__(self, inner: StageMonitor, what: str = "searching") -> None:
        self._inner, self._what = inner, what

    def progress(self, done: float, total: float, note: str = "") -> None:  # noqa: ARG002
        """Let the experiment be stopped.

        Raises:
            Stopped: it must end.
        """
        self._inner.progress(0, 1, self._what)


def _final_metrics(task: FitTask, train: np.ndarray, val: np.ndarray) -> dict[str, float]:
    """Loss (mean squared error in scaled units) and rank correlation of the exported model."""
    found = {"train/loss": float(np.mean((train - task.targets[task.fold.train]) ** 2))}
    if len(val):
        measured = task.targets[task.fold.val]
        found["val/loss"] = float(np.mean((val - measured) ** 2))
        found["val/spearman"] = metrics.compute("spearman", measured, val)
    return {name: value for name, value in found.items() if np.isfinite(value)}
