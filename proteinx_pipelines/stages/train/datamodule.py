"""Batches for a network: rows of an embedding, made dense one batch at a time.

The order of batches depends only on the fold's seed and the epoch, so that a training that is continued, or loads
with more processes, gets the same batches.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader, Dataset, Sampler

from proteinx_pipelines.records import Embedding
from proteinx_pipelines.stages.train.job import NetworkJob, Part
from proteinx_pipelines.stages.train.network_predictor import rows_at_once

Batch = tuple[torch.Tensor, torch.Tensor]
"""float32 [B, D] and float32 [B]."""


class RowsDataset(Dataset[Batch]):
    """Rows of an embedding with their targets, fetched by whole batches."""

    def __init__(self, embedding: Embedding, part: Part) -> None:
        self._embedding = embedding
        self._part = part

    def __len__(self) -> int:
        return len(self._part.rows)

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        """Return the batch of these rows, indexed within the part."""
        chosen = np.asarray(indices, dtype=np.int64)
        vectors = self._embedding.dense(self._part.rows[chosen])
        return torch.from_numpy(vectors), torch.from_numpy(self._part.targets[chosen])


class EpochOrder(Sampler[int]):
    """A permutation of n rows for each epoch, dealt in turn to the processes of a distributed training.

    The end is padded with rows from the front so that all processes have equally many and none waits for a missing
    batch. With one process every row occurs exactly once.
    """

    def __init__(self, n: int, seed: int, *, epoch: int = 0, rank: int = 0, world_size: int = 1) -> None:
        self._n, self._seed, self._epoch = n, seed, epoch
        self._rank, self._world_size = rank, world_size

    def set_epoch(self, epoch: int) -> None:
        """Called by Lightning before each epoch."""
        self._epoch = epoch

    def __iter__(self) -> Iterator[int]:
        order = np.random.default_rng([self._seed, self._epoch]).permutation(self._n)
        padded = np.resize(order, len(self) * self._world_size)
        return iter(padded[self._rank :: self._world_size].tolist())

    def __len__(self) -> int:
        return -(-self._n // self._world_size)


class FoldData(LightningDataModule):
    """Training and validation batches of one job."""

    def __init__(self, job: NetworkJob, *, shards: bool) -> None:
        """Take rows from `job`.

        Args:
            job: embedding, rows and targets.
            shards: deal training rows to the processes of a distributed training; false when Lightning does.
        """
        super().__init__()
        self._job = job
        self._shards = shards

    def train_dataloader(self) -> DataLoader[Batch]:
        """Shuffled batches. `train.batch_size` counts the rows of one optimizer step over all processes."""
        assert self.trainer is not None
        rank, world_size = self.trainer.global_rank, self.trainer.world_size
        order = EpochOrder(
            len(self._job.train.rows),
            self._job.seed,
            # Loader processes fetch their first batches before Lightning calls `set_epoch`.
            epoch=_next_epoch(self.trainer),
            rank=rank if self._shards else 0,
            world_size=world_size if self._shards else 1,
        )
        batch_size = max(1, self._job.flags.train.batch_size // world_size)
        return self._loader(self._job.train, batch_size, order)

    def val_dataloader(self) -> DataLoader[Batch] | list[DataLoader[Batch]]:
        """All validation rows in their order, in every process: exact metrics, equal everywhere."""
        part = self._job.val
        return self._loader(part, rows_at_once(self._job.embedding), None) if len(part.rows) else []

    def _loader(self, part: Part, batch_size: int, order: EpochOrder | None) -> DataLoader[Batch]:
        assert self.trainer is not None
        n_workers = self._job.flags.train.num_workers
        return DataLoader(
            RowsDataset(self._job.embedding, part),
            batch_size=batch_size,
            sampler=order,
            num_workers=n_workers,
            persistent_workers=n_workers > 0,
            collate_fn=_as_it_is,
            pin_memory=self.trainer.strategy.root_device.type == "cuda",
            # Separate generator, or it would draw from dropout's.
            generator=torch.Generator().manual_seed(self._job.seed),
        )


def end_loader_processes(loaders: Any) -> None:
    """End the processes of DataLoaders, in lists or not, that an exception or `persistent_workers` left running.

    Otherwise they live until garbage collection, in a process that runs for months.
    """
    if isinstance(loaders, list):
        for loader in loaders:
            end_loader_processes(loader)
    elif (iterator := getattr(loaders, "_iterator", None)) is not None:
        iterator._shutdown_workers()  # noqa: SLF001  # torch has no public name for it
        loaders._iterator = None  # noqa: SLF001


def _next_epoch(trainer: Any) -> int:
    """Number of the next epoch; `current_epoch` lags by one while a checkpoint is being continued."""
    return int(trainer.fit_loop.epoch_progress.current.processed)


def _as_it_is(batch: Any) -> Any:
    return batch
