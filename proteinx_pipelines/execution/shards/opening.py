"""Opens the pool that the settings name: processes of this machine, or the workers of a Dask cluster."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

from proteinx_pipelines.execution.shards.interface import ShardPool
from proteinx_pipelines.execution.shards.local import LocalPool
from proteinx_pipelines.execution.shards.on_dask import dask_pool
from proteinx_pipelines.settings import Settings


@contextmanager
def shard_pool(settings: Settings, n_shards: int) -> Iterator[ShardPool]:
    """Open the pool that the settings name: a Dask cluster, or processes of this machine.

    Raises:
        BackendError: the cluster does not answer, or its package is not installed.
    """
    if settings.dask is None:
        pool = LocalPool(min(n_shards, os.cpu_count() or 1))
        try:
            yield pool
        finally:
            pool.close()
        return
    with dask_pool(settings.dask) as cluster:
        yield cluster
