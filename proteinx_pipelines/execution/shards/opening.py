"""Opens the pool that the settings name: processes of this machine, or the workers of a Dask cluster."""

import multiprocessing
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.process import AuthenticationString  # type: ignore[attr-defined]

from proteinx_pipelines.execution.shards.interface import ShardPool
from proteinx_pipelines.execution.shards.local import LocalPool
from proteinx_pipelines.execution.shards.on_dask import dask_pool
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.stages.train.processes import may_have_children


@contextmanager
def shard_pool(settings: Settings, n_shards: int) -> Iterator[ShardPool]:
    """Open the pool that the settings name: a Dask cluster, or processes of this machine.

    Raises:
        BackendError: the cluster does not answer, or its package is not installed.
    """
    if settings.dask is None:
        pool = LocalPool(min(n_shards, os.cpu_count() or 1))
        with may_have_children(), _own_key():  # a step runs in a daemonic process of Celery's billiard
            try:
                yield pool
            finally:
                pool.close()
        return
    with dask_pool(settings.dask) as cluster:
        yield cluster


@contextmanager
def _own_key() -> Iterator[None]:
    """Give the current process a key of `multiprocessing`, which it hands to the processes that it starts.

    That of billiard refuses to be handed on. Both are random bytes; neither leaves this machine.
    """
    config = multiprocessing.current_process()._config  # type: ignore[attr-defined]  # noqa: SLF001
    before = config.get("authkey")
    config["authkey"] = AuthenticationString(secrets.token_bytes(32))
    try:
        yield
    finally:
        config["authkey"] = before
