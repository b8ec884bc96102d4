"""Input and output of one Lightning training as data that can be written to files.

`lightning_fit` runs a job in this process, `ddp_launch` writes it to a folder for processes of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from proteinx_pipelines.contract.shard import TrainingShard
from proteinx_pipelines.experiment_dir.files import json_ready, write_bytes, write_json
from proteinx_pipelines.flags.tree import ExperimentFlags, sha256_of
from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.network_tasks import training_values
from proteinx_pipelines.stages.train.task import FitTask

SPEC_FILE = "spec.json"
INPUTS_FILE = "inputs.safetensors"


@dataclass(frozen=True)
class Part:
    """Rows of an embedding and their targets."""

    rows: np.ndarray
    """int64 [n]."""
    targets: np.ndarray
    """float32 [n], scaled; [n, T] with NaN for missing values, for training on several tasks."""


@dataclass(frozen=True)
class NetworkJob:
    """All inputs of one training of a network."""

    model: str
    """Name in the registry; its module builds the network from `settings`."""
    settings: Mapping[str, Any]
    flags: ExperimentFlags
    seed: int
    where: str
    """For messages: `fold 2`, or empty for a single split."""
    checkpoints_dir: Path
    logs_dir: Path
    log_name: str
    """Subfolder of the loggers' files: `fold_2`, or empty for a single split."""
    checkpoint: Path | None
    embedding: Embedding
    train: Part
    val: Part
    rows_sha256: str
    """Digest of the ids of training and validation rows, independent of their order."""


@dataclass(frozen=True)
class NetworkFit:
    """A trained network."""

    weights: Mapping[str, np.ndarray]
    """float32 tensors by name: of the epoch with the lowest validation loss, or of the last one."""
    info: Mapping[str, Any]
    """`epochs`, `steps`, `best_epoch`, `stopped_early`, `ended_by` (a flag), `n_parameters`, `curve` (one entry per
    epoch)."""
    output: Mapping[str, Any] = field(default_factory=dict)
    """Settings of `losses.output_of`, which belong to the exported ones."""


def job_of(task: FitTask, settings: Mapping[str, Any]) -> NetworkJob:
    """Build the job of one fold."""
    flags, fold = task.flags, task.monitor.fold
    rows, values = training_values(task)
    return NetworkJob(
        model=flags.model.name,
        settings=settings,
        flags=flags,
        seed=task.seed,
        where="" if fold is None else f"fold {fold}",
        checkpoints_dir=task.directory.checkpoints_dir / task.fold_name,
        logs_dir=task.directory.logs_dir,
        log_name=task.fold_name,
        checkpoint=task.checkpoint,
        embedding=task.embedding,
        train=Part(rows, values.astype(np.float32)),
        val=Part(task.fold.val, task.targets[task.fold.val].astype(np.float32)),
        rows_sha256=_digest_of_rows(task, rows),
    )


def write_job(job: NetworkJob, folder: Path) -> Path:
    """Write a job into a folder, with only the rows it uses; returns the spec's path."""
    from safetensors.numpy import save

    rows = np.concatenate([job.train.rows, job.val.rows])
    kind = "tokens" if job.embedding.tokens is not None else "vectors"
    matrix = job.embedding.tokens if job.embedding.tokens is not None else job.embedding.vectors
    assert matrix is not None
    tensors = {
        kind: np.ascontiguousarray(matrix[rows]),
        "train": np.ascontiguousarray(job.train.targets),
        "val": np.ascontiguousarray(job.val.targets),
    }
    write_bytes(folder / INPUTS_FILE, save(tensors))
    shard = TrainingShard(
        model=job.model,
        settings=json_ready(job.settings),
        flags=job.flags.nested(),
        seed=job.seed,
        where=job.where,
        checkpoints_dir=str(job.checkpoints_dir),
        logs_dir=str(job.logs_dir),
        log_name=job.log_name,
        checkpoint=None if job.checkpoint is None else str(job.checkpoint),
        info=json_ready(job.embedding.info),
        alphabet=job.embedding.alphabet,
        rows_sha256=job.rows_sha256,
    )
    return write_json(folder / SPEC_FILE, shard.document())


def read_job(folder: Path) -> NetworkJob:
    """Read a job written by `write_job`; its rows are renumbered, training first."""
    from safetensors.numpy import load_file

    shard = TrainingShard.model_validate_json((folder / SPEC_FILE).read_bytes())
    tensors = load_file(folder / INPUTS_FILE)
    n_train, n_val = len(tensors["train"]), len(tensors["val"])
    embedding = Embedding(
        ids=pa.nulls(n_train + n_val, pa.string()),
        info=shard.info,
        alphabet=shard.alphabet,
        vectors=tensors.get("vectors"),
        tokens=tensors.get("tokens"),
    )
    return NetworkJob(
        model=shard.model,
        settings=shard.settings,
        flags=ExperimentFlags.model_validate(shard.flags),
        seed=shard.seed,
        where=shard.where,
        checkpoints_dir=Path(shard.checkpoints_dir),
        logs_dir=Path(shard.logs_dir),
        log_name=shard.log_name,
        checkpoint=Path(shard.checkpoint) if shard.checkpoint else None,
        embedding=embedding,
        train=Part(np.arange(n_train), tensors["train"]),
        val=Part(np.arange(n_train, n_train + n_val), tensors["val"]),
        rows_sha256=shard.rows_sha256,
    )


def _digest_of_rows(task: FitTask, training: np.ndarray) -> str:
    parts = [
        sorted(task.embedding.ids.take(pa.array(rows)).to_pylist()) for rows in (training, task.fold.val)
    ]
    return sha256_of(parts)
