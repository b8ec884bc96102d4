"""Embedding by shards: batches of sequences, as one process would make them, computed by workers."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from proteinx_pipelines.errors import MissingWeights
from proteinx_pipelines.execution.shards.opening import shard_pool
from proteinx_pipelines.flags.embedding import EmbeddingFlags
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.settings import Settings, load_settings
from proteinx_pipelines.stages.embedding.spreading import EngineSpec, Letters

LEAST_BATCHES = 2
"""Fewer batches than this are computed here."""


@dataclass(frozen=True)
class EmbeddingTask:
    """A run of batches, and the model that computes them."""

    spec: EngineSpec
    batches: tuple[Letters, ...]


@dataclass(frozen=True)
class ShardedEmbedding:
    """A `BatchSpread` over a pool of workers."""

    settings: Settings
    n_shards: int
    monitor: StageMonitor

    def embed(self, spec: EngineSpec, batches: Sequence[Letters]) -> Iterator[tuple[int, np.ndarray]]:
        """Embed batches; see `BatchSpread`."""
        runs = _runs([letters.size for letters, _ in batches], self.n_shards)
        tasks = [EmbeddingTask(spec, tuple(batches[start:stop])) for start, stop in runs]

        def alive(done: int) -> None:
            self.monitor.progress(done, len(tasks), f"{done} of {len(tasks)} shards")

        with shard_pool(self.settings, len(tasks)) as pool:
            for number, vectors in pool.compute(embed_batches, tasks, alive):
                yield from zip(range(*runs[number]), vectors, strict=True)


def embed_batches(task: EmbeddingTask) -> list[np.ndarray]:
    """Embed a run of batches, in a worker; float32 [B, D] for each."""
    embedder = _opened(task.spec)
    return [np.asarray(embedder.embed(letters, positions)) for letters, positions in task.batches]


@lru_cache(maxsize=1)
def _opened(spec: EngineSpec) -> Any:
    """The model of a spec; kept for the next shard of the same worker.

    Raises:
        MissingWeights: the checkpoint of this worker is another one.
    """
    from proteinx_pipelines.execution.paths import fetched_path
    from proteinx_pipelines.stages.embedding.language_model import open_embedder

    flags = EmbeddingFlags.model_validate_json(spec.flags)
    path = Path(spec.weights) if spec.weights is not None else None
    if path is not None and not path.is_file():
        path = fetched_path(load_settings(), "embedding.weights", flags.weights, confined=False)
    embedder, sha256 = open_embedder(flags, path, StageMonitor(), spec.longest)
    if sha256 != spec.weights_sha256:
        raise MissingWeights(
            f"This worker has other weights of {flags.name} than the node ({sha256[:12]}...)."
        )
    return embedder


def _runs(sizes: Sequence[int], n: int) -> list[tuple[int, int]]:
    """Consecutive runs of batches with about equal numbers of residues: (start, stop), at most `n`, none empty."""
    ends = np.cumsum(sizes)
    cuts = np.searchsorted(ends, ends[-1] * np.arange(1, n) / n) + 1
    marks = sorted({0, *(int(cut) for cut in cuts if 0 < cut < len(sizes)), len(sizes)})
    return list(pairwise(marks))
