"""Refusal of checkpoints that a training cannot continue from: damaged, of another network, or of other rows.

Reading and writing checkpoints is in `checkpoint_io`, the choice of one after a crash in `resume`.
"""

import logging
from collections.abc import Mapping
from typing import Any

from proteinx_pipelines.errors import CorruptArtifact, FlagError
from proteinx_pipelines.stages.train.callbacks import TrainedRows
from proteinx_pipelines.stages.train.checkpoint_io import AtomicCheckpointIO, stored_weights
from proteinx_pipelines.stages.train.job import NetworkJob
from proteinx_pipelines.stages.train.network_module import NetworkModule

_log = logging.getLogger(__name__)


def check_checkpoint(module: NetworkModule, job: NetworkJob) -> None:
    """Refuse a checkpoint that these flags cannot continue from.

    Raises:
        FlagError: it is damaged, not a checkpoint of a training, of another network or of other rows.
        CorruptArtifact: the same for a checkpoint of an earlier attempt of this experiment; a new attempt starts over.
    """
    assert job.checkpoint is not None
    try:
        stored = AtomicCheckpointIO().load_checkpoint(job.checkpoint)
        weights = stored_weights(stored, job.checkpoint)
    except CorruptArtifact as error:
        if job.checkpoint.is_relative_to(job.checkpoints_dir):
            raise
        # The sender named this checkpoint: repeating the attempt cannot help.
        raise FlagError([f"`train.ckpt_path`: {error}"]) from error
    problems, n_epochs = [], job.flags.train.max_epochs
    ours = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    theirs = {name: tuple(value.shape) for name, value in weights.items()}
    if ours != theirs:
        problems.append(
            f"`train.ckpt_path` {job.checkpoint} is of a network with weights {theirs}, these flags make "
            f"{ours}. Use the `model.*` and `embedding.*` flags that it was trained with, or leave it out."
        )
    rows = TrainedRows.stored(stored)
    if rows is None:
        _log.warning(
            "%s does not say which rows it was trained on: whether it knows test rows of this fold is not checked.",
            job.checkpoint,
        )
    elif rows != job.rows_sha256:
        problems.append(
            f"`train.ckpt_path` {job.checkpoint} was trained on other rows; it may know this fold's test rows. "
            "Use the `data.*`, `transform.*` and `split.*` flags that it was trained with, or leave it out."
        )
    if "optimizer_states" not in stored or "loops" not in stored:
        problems.append(
            f"`train.ckpt_path` {job.checkpoint} holds weights only; the state of the training is expected "
            "too. Name a checkpoint from an experiment's `ckpts/`."
        )
    elif (done := _epochs_behind(stored)) is None:
        problems.append(
            f"`train.ckpt_path` {job.checkpoint} does not say how far its training was. Name a checkpoint from an "
            "experiment's `ckpts/`."
        )
    elif done > n_epochs:
        problems.append(
            f"`train.max_epochs` is {n_epochs}, but {job.checkpoint} has {done} epochs behind it; {done} or "
            "more is expected."
        )
    if problems:
        raise FlagError(problems)


def _epochs_behind(stored: Mapping[str, Any]) -> int | None:
    """Number of epochs completed in a checkpoint; None if it is not recorded."""
    place: Any = stored
    for name in ("loops", "fit_loop", "epoch_progress", "current", "processed"):
        place = place.get(name) if isinstance(place, Mapping) else None
    return place if isinstance(place, int) else None
