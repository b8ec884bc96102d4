"""Checkpoints to continue from, and detection of an interrupted training."""

from pathlib import Path

from proteinx_pipelines.errors import FlagError
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.records import Split
from proteinx_pipelines.stages.train.registry import ModelEntry

LAST_CHECKPOINT = "last.ckpt"
"""The newest checkpoint of a fold, always the one to resume from."""


def was_interrupted(directory: ExperimentDir) -> bool:
    """True if a training left something to continue: a finished fold, or a checkpoint.

    The caller must check that it was the same training (same key).
    """
    checkpoints = directory.checkpoints_dir
    left = (
        directory.shards_dir.glob("*"),
        checkpoints.glob(LAST_CHECKPOINT),
        checkpoints.glob(f"fold_*/{LAST_CHECKPOINT}"),
    )
    return any(any(found) for found in left)


def starting_points(
    entry: ModelEntry,
    split: Split,
    directory: ExperimentDir,
    checkpoint: Path | None,
    *,
    resume: bool = False,
) -> list[Path | None]:
    """Checkpoint of each fold; None for a fold that starts from the beginning.

    With `resume`, a fold's own newest checkpoint in `directory` takes precedence over the one that `checkpoint` names.

    Raises:
        FlagError: one file for several folds, a model without checkpoints, or a path that does not exist.
    """
    named = _named(entry, split, directory, checkpoint)
    if not resume or not entry.has_epochs:
        return named
    own = [_last_of(directory.checkpoints_dir / _fold_name(split, k)) for k in range(len(split.folds))]
    return [mine or other for mine, other in zip(own, named, strict=True)]


def _named(
    entry: ModelEntry, split: Split, directory: ExperimentDir, checkpoint: Path | None
) -> list[Path | None]:
    """Checkpoint that `checkpoint` names for each fold."""
    if checkpoint is None:
        return [None] * len(split.folds)
    if not entry.has_epochs:
        if checkpoint == directory.checkpoints_dir:  # left by an earlier generation with another model
            return [None] * len(split.folds)
        raise FlagError(
            [f"`train.ckpt_path`: {entry.name!r} is solved at once and has no checkpoints; leave it out."]
        )
    if checkpoint.is_dir() or checkpoint == directory.checkpoints_dir:  # perhaps not written to yet
        return [_last_of(checkpoint / _fold_name(split, k)) for k in range(len(split.folds))]
    if not checkpoint.is_file():
        raise FlagError(
            [f"`train.ckpt_path`: {checkpoint} is not there; a checkpoint file (.ckpt) is expected."]
        )
    if split.is_cross_validation:
        problem = (
            f"`train.ckpt_path` names one file, but the split has {len(split.folds)} folds: continuing all "
            f"from one would show each its test rows. Name a folder with fold_<k>/{LAST_CHECKPOINT}."
        )
        raise FlagError([problem])
    return [checkpoint]


def _fold_name(split: Split, k: int) -> str:
    return f"fold_{k}" if split.is_cross_validation else "."


def _last_of(folder: Path) -> Path | None:
    path = folder / LAST_CHECKPOINT
    return path if path.is_file() else None
