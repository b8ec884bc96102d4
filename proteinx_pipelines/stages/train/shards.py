"""Training in shards: each fold is one shard, fitted independently and stored as files.

    plan_shards -> run_shard, in any order and anywhere -> finish

Shards are independent: each has its own seed, scaling, checkpoints and files. `finished_shards` finds completed ones,
so that a killed training continues at the fold it was in.
"""

import logging
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines import metrics
from proteinx_pipelines.experiment_dir.files import file_sha256, json_ready, read_json, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.reading import JOINT, effective
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.positions import Sites, changed_sites
from proteinx_pipelines.records import Embedding, Fold, Split, VariantTable
from proteinx_pipelines.stages.train.averaging import averaged, part_of
from proteinx_pipelines.stages.train.class_probabilities import calibrated
from proteinx_pipelines.stages.train.ensemble import EnsemblePredictor, Member
from proteinx_pipelines.stages.train.export import (
    MODEL_FILES,
    FittedModel,
    describe_embedding,
    save_model,
)
from proteinx_pipelines.stages.train.further_values import further_values
from proteinx_pipelines.stages.train.ordinal import ClassMap
from proteinx_pipelines.stages.train.registry import ModelEntry
from proteinx_pipelines.stages.train.replicate_noise import row_noise
from proteinx_pipelines.stages.train.search import searched
from proteinx_pipelines.stages.train.targets import TargetScaling, fit_scaling, network_scaling
from proteinx_pipelines.stages.train.task import Fit, FitTask, FoldMonitor, MemberMonitor

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Shard:
    """One fold to be fitted."""

    fold: int
    n_folds: int
    seed: int
    """Seed of this fold, below 2**32."""


@dataclass(frozen=True)
class ShardResult:
    """Record of a finished shard, plain JSON types; its model is in `model_folder`."""

    fold: int
    seed: int
    metrics: Mapping[str, float]
    info: Mapping[str, Any]
    files: Mapping[str, str]
    """File of the model -> SHA-256."""


@dataclass(frozen=True)
class ShardInputs:
    """Inputs shared by all shards of a training."""

    entry: ModelEntry
    variants: VariantTable
    embedding: Embedding
    split: Split
    flags: ExperimentFlags
    probabilities: bool = True
    """False if class probabilities are not asked for, which cost further fits."""

    @cached_property
    def sites(self) -> Sites:
        """Changed residues of the variants, which all folds share."""
        return changed_sites(self.variants)


def fold_seed(seed: int, fold: int) -> int:
    """Seed of fold `fold` (from 0): independent of the other folds, below 2**32."""
    return int(np.random.SeedSequence([seed, fold]).generate_state(1, dtype=np.uint32)[0])


def member_seed(seed: int, fold: int, member: int) -> int:
    """Seed of a member (from 0) of a fold's ensemble; the first has the fold's seed."""
    if member == 0:
        return fold_seed(seed, fold)
    return int(np.random.SeedSequence([seed, fold, member]).generate_state(1, dtype=np.uint32)[0])


def plan_shards(split: Split, flags: ExperimentFlags) -> list[Shard]:
    """Plan the shards of a training, one per fold."""
    n_folds = len(split.folds)
    return [Shard(fold, n_folds, fold_seed(flags.train.seed, fold)) for fold in range(n_folds)]


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
    task, scaling, unlike = _task(shard, inputs, directory, monitor, checkpoint)
    task.monitor.progress(0, 1, "fitting")
    fit = _fit(inputs, task, shard) if units is None else _joined(inputs, shard, units)
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


@dataclass(frozen=True)
class Unit:
    """What is fitted by itself within a fold: one part of one seed."""

    member: int = 0
    """Number within `train.seeds`."""
    part: int = 0
    """Number within `train.parts`."""


def units_of(flags: ExperimentFlags) -> list[Unit]:
    """What is fitted of each fold: one unit, or one for each of `train.seeds` and `train.parts`."""
    return [Unit(member, part) for member in range(n_seeds(flags)) for part in range(n_parts(flags))]


def fit_unit(
    shard: Shard, inputs: ShardInputs, unit: Unit, *, directory: ExperimentDir, monitor: StageMonitor
) -> Fit:
    """Fit one unit of a fold, and export nothing: `run_shard` combines them."""
    task, _scaling, _unlike = _task(shard, inputs, directory, monitor, None)
    return _fit_unit(inputs, task, shard, unit)


def _fit(inputs: ShardInputs, task: FitTask, shard: Shard) -> Fit:
    """Fit the model, or one for each of `train.seeds`, which then predict as one."""
    units = units_of(inputs.flags)
    if len(units) == 1:
        return inputs.entry.load().fit(task)
    return _joined(inputs, shard, [_fit_unit(inputs, task, shard, unit) for unit in units])


def _fit_unit(inputs: ShardInputs, task: FitTask, shard: Shard, unit: Unit) -> Fit:
    units, seed = units_of(inputs.flags), member_seed(inputs.flags.train.seed, shard.fold, unit.member)
    is_first = unit == Unit()
    own = replace(
        task, seed=seed, member=unit.member, part=unit.part,
        fold=part_of(task.fold, unit.part, n_parts(inputs.flags), shard.seed),
        monitor=MemberMonitor(task.monitor, units.index(unit), len(units)),
        checkpoint=task.checkpoint if is_first and n_parts(inputs.flags) == 1 else None,
    )  # fmt: skip
    if not is_first:  # its earlier attempt is not continued: the same seed gives the same model
        shutil.rmtree(own.directory.checkpoints_dir / own.fold_name, ignore_errors=True)
    return inputs.entry.load().fit(own)


def _joined(inputs: ShardInputs, shard: Shard, fits: Sequence[Fit]) -> Fit:
    """Average the parts of each seed, and let the seeds predict as one; `fits` are in the order of `units_of`."""
    n, parts = n_seeds(inputs.flags), n_parts(inputs.flags)
    fold = inputs.split.folds[shard.fold]
    sizes = [len(part_of(fold, part, parts, shard.seed).train) for part in range(parts)]
    members = [averaged(inputs.entry.name, fits[k * parts : (k + 1) * parts], sizes) for k in range(n)]
    if n == 1:
        return members[0]
    seeds = [member_seed(inputs.flags.train.seed, shard.fold, member) for member in range(n)]
    further = {"seeds": seeds, "members": [dict(fit.info) for fit in members[1:]]}
    return Fit(EnsemblePredictor([Member(fit.predictor) for fit in members]), {**members[0].info, **further})


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
        task, scaling, _ = _task(Shard(0, 1, shard.seed), alone, place, _Quiet(monitor), None)
        predictor = _fit(alone, task, Shard(0, 1, shard.seed)).predictor
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
            own, own_scaling, _ = _task(Shard(0, 1, shard.seed), alone, place, quiet, None)
            predictor = _fit(alone, own, Shard(0, 1, shard.seed)).predictor
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


def n_seeds(flags: ExperimentFlags) -> int:
    """Number of models of each fold; 1 for a model on which seeds have no effect."""
    return effective(flags).train.seeds


def n_parts(flags: ExperimentFlags) -> int:
    """Number of parts of the training rows of each model; 1 for a model that is no network."""
    return effective(flags).train.parts


def finished_shards(shards: Sequence[Shard], directory: ExperimentDir) -> dict[int, ShardResult]:
    """Fold -> record, for shards that are finished and intact in `directory`; every byte is checked.

    The caller must check that they are of the same training.
    """
    found = {}
    for shard in shards:
        try:
            result = read_result(shard, directory)
            folder = model_folder(directory, shard.fold)
            whole = set(result.files) == set(MODEL_FILES) and all(
                file_sha256(folder / name) == digest for name, digest in result.files.items()
            )
        except (OSError, ValueError, TypeError, AttributeError):  # none, or half of what a crash left
            continue
        if whole and (result.fold, result.seed) == (shard.fold, shard.seed):
            found[shard.fold] = result
    return found


def read_result(shard: Shard, directory: ExperimentDir) -> ShardResult:
    """Read the record of a finished fold, unverified."""
    return ShardResult(**read_json(directory.shard(shard.fold)))


def forget_shards(directory: ExperimentDir, keep: Mapping[int, ShardResult]) -> None:
    """Remove files of other shards, such as those of an earlier training with more folds."""
    if not keep:
        shutil.rmtree(directory.shards_dir, ignore_errors=True)
        shutil.rmtree(directory.model_dir, ignore_errors=True)
        return
    kept = {path for fold in keep for path in (directory.shard(fold), model_folder(directory, fold))}
    for path in (*directory.shards_dir.glob("*"), *directory.model_dir.glob("*")):
        if path not in kept:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def model_folder(directory: ExperimentDir, fold: int) -> Path:
    """Folder of the model of a fold."""
    return directory.model_dir / f"fold_{fold}"


def _task(
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


def _final_metrics(task: FitTask, train: np.ndarray, val: np.ndarray) -> dict[str, float]:
    """Loss (mean squared error in scaled units) and rank correlation of the exported model."""
    found = {"train/loss": float(np.mean((train - task.targets[task.fold.train]) ** 2))}
    if len(val):
        measured = task.targets[task.fold.val]
        found["val/loss"] = float(np.mean((val - measured) ** 2))
        found["val/spearman"] = metrics.compute("spearman", measured, val)
    return {name: value for name, value in found.items() if np.isfinite(value)}
