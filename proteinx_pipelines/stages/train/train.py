"""Train stage: fit the chosen model on every fold and export it.

Receives records and returns one; the files of each model are written here, `training.json` by
`experiment_dir.codecs.train`. The evaluate stage scores the models; the metrics here are those monitored during
training.
"""

import logging
import shutil
from collections.abc import Sequence
from pathlib import Path

from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.flags.tree import ExperimentFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.records import Embedding, Split, Training, VariantTable
from proteinx_pipelines.spreading import Spread
from proteinx_pipelines.stages.train.checks import check_inputs
from proteinx_pipelines.stages.train.class_probabilities import check_classes
from proteinx_pipelines.stages.train.export_pt import export_parts
from proteinx_pipelines.stages.train.fold_units import n_seeds, units_of
from proteinx_pipelines.stages.train.registry import model_entry
from proteinx_pipelines.stages.train.resume import starting_points
from proteinx_pipelines.stages.train.shard import ShardInputs, ShardResult, plan_shards
from proteinx_pipelines.stages.train.shard_files import finished_shards, forget_shards, model_folder
from proteinx_pipelines.stages.train.shards import run_shard
from proteinx_pipelines.stages.train.spread_folds import fit_spread
from proteinx_pipelines.stages.train.targets import UNITS

log = logging.getLogger(__name__)
TRAIN_VERSION = "13"


def train_models(
    variants: VariantTable,
    embedding: Embedding,
    split: Split,
    flags: ExperimentFlags,
    *,
    directory: ExperimentDir,
    monitor: StageMonitor,
    checkpoint: Path | None = None,
    resume: bool = False,
    spread: Spread | None = None,
    probabilities: bool = True,
) -> Training:
    """Fit one model per fold and export each under `directory.model_dir`.

    Folds are independent: each has its own seed, scaling and checkpoints. The same flags and seed give the same bytes
    on the same machine.

    Args:
        variants: N variants with finite targets in training and validation rows.
        embedding: row i belongs to variant i.
        split: one fold, or K for cross-validation; validation rows are used for early stopping only.
        flags: `model.*`, `train.*`, `trainer.*`.
        directory: receives models, checkpoints and loggers' files. Those of an earlier training are removed.
        monitor: receives progress, learning curves and histograms; may stop the training.
        checkpoint: to continue from: a checkpoint file (single split), or a folder laid out as
            `ckpts/` is, of which each fold takes its own `last.ckpt` if it has one. Overrides
            `train.ckpt_path`, which is never read here: the caller confines it.
        resume: True if `directory` holds an interrupted attempt at this same training: its finished folds are kept, and
        the fold it was in continues from its own checkpoint if it has one.
        spread: workers that fit several folds and seeds at once; None fits one after the other here. The bytes are the
        same.
        probabilities: False to leave out the class probabilities of `transform.bins`.

    Raises:
        EmptySplit: a fold has no training rows; change `split.*`.
        BadVariants: targets or vectors are not finite, or classes are too small; see the message.
        FlagError: flags of the model contradict each other or the machine; see the message.
        TrainingDiverged: the loss is not finite; lower `train.lr`.
        CorruptArtifact: records are of different experiments, or the checkpoint is damaged.
        Stopped: the monitor ended the training; finished epochs stay in `ckpts/`.
    """
    check_inputs(variants, embedding, split)
    if probabilities:
        check_classes(variants, split, flags.transform.bins)
    inputs = ShardInputs(
        model_entry(flags.model.name), variants, embedding, split, flags, probabilities=probabilities
    )
    shards = plan_shards(split, flags)
    starts = starting_points(inputs.entry, split, directory, checkpoint, resume=resume)
    results = finished_shards(shards, directory) if resume else {}
    forget_shards(directory, keep=results)
    _remove_earlier(directory, checkpoint, resume=resume)
    if results:
        monitor.event("training_continued", finished_folds=sorted(results))
        log.info("%d of %d folds were finished by an earlier attempt.", len(results), len(shards))
    unfinished = [shard for shard in shards if shard.fold not in results]
    if spread is not None and len(unfinished) * len(units_of(flags)) > 1:
        fitted = fit_spread(
            spread, unfinished, inputs, starts=starts, directory=directory, monitor=monitor
        )  # fmt: skip
        results |= {result.fold: result for result in fitted}
    else:
        for shard in unfinished:
            results[shard.fold] = run_shard(
                shard, inputs, directory=directory, monitor=monitor, checkpoint=starts[shard.fold]
            )
    exported = export_parts(variants, embedding, split, directory) if flags.train.export_pt else []
    return finish(inputs, list(results.values()), directory, exported)


def finish(
    inputs: ShardInputs,
    results: Sequence[ShardResult],
    directory: ExperimentDir,
    exported: Sequence[str] = (),
) -> Training:
    """Combine the records of all shards into that of the training, in the order of the folds."""
    ordered = sorted(results, key=lambda result: result.fold)
    return Training(
        model_name=inputs.entry.name,
        model_dirs=[model_folder(directory, result.fold) for result in ordered],
        fold_metrics=[result.metrics for result in ordered],
        info={
            "version": TRAIN_VERSION,
            "target": inputs.flags.train.target,
            "units": UNITS[inputs.flags.train.target],
            **({"seeds": n} if (n := n_seeds(inputs.flags)) > 1 else {}),
            "folds": [result.info for result in ordered],
            "exported": list(exported),
        },
    )


def _remove_earlier(directory: ExperimentDir, checkpoint: Path | None, *, resume: bool) -> None:
    """Remove the checkpoints of an earlier training, unless this one continues from them."""
    if not resume and (checkpoint is None or not checkpoint.is_relative_to(directory.checkpoints_dir)):
        shutil.rmtree(directory.checkpoints_dir, ignore_errors=True)
