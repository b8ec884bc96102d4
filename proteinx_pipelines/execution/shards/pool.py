"""Pools of workers that compute shards: here processes of this machine; `on_dask` has those of a cluster."""

import contextlib
import logging
import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from proteinx_pipelines.errors import BackendError, WorkerLost
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
Task = TypeVar("Task")
Result = TypeVar("Result")
TICK_S = 0.5
"""Seconds between two signs of life while no shard ends."""
MOST_TRIES = 3
"""Most workers that one shard may lose: then it, not they, is the cause."""


class ShardPool(Protocol):
    """Workers that compute shards."""

    def compute(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], alive: Callable[[int], None]
    ) -> Iterator[tuple[int, Result]]:
        """Compute all shards.

        Args:
            function: of a module, so that a worker can import it.
            tasks: one a shard; pickled.
            alive: called at least once a second with the number of finished shards; raises to stop them all.

        Yields:
            Number of a task and its result, as they end.

        Raises:
            WorkerLost: workers were lost, too often for one shard; worth another attempt.
            Exception: what a shard raised.
        """


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
    from proteinx_pipelines.execution.shards.on_dask import dask_pool

    with dask_pool(settings.dask) as cluster:
        yield cluster


class LocalPool:
    """Processes of this machine; each is replaced when it dies, and its shard is computed again."""

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers
        self._threads = max(1, (os.cpu_count() or 1) // n_workers)
        self._executors: list[ProcessPoolExecutor] = []
        self._closed = threading.Event()

    def compute(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], alive: Callable[[int], None]
    ) -> Iterator[tuple[int, Result]]:
        """Compute all shards; see `ShardPool`."""
        waiting: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        ended: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()
        for number in range(len(tasks)):
            waiting.put((number, 1))
        for _ in range(min(self.n_workers, len(tasks))):
            arguments = (function, tasks, waiting, ended)
            threading.Thread(target=self._work, args=arguments, name="shards", daemon=True).start()
        done = 0
        while done < len(tasks):
            alive(done)
            try:
                number, result, error = ended.get(timeout=TICK_S)
            except queue.Empty:
                continue
            if error is not None:
                raise error
            done += 1
            yield number, result

    def close(self) -> None:
        """End all processes; shards that run are lost."""
        self._closed.set()
        for executor in self._executors:
            _kill(executor)

    def _work(
        self, function: Callable[[Any], Any], tasks: Sequence[Any],
        waiting: "queue.SimpleQueue[tuple[int, int]]",
        ended: "queue.SimpleQueue[tuple[int, Any, BaseException | None]]",
    ) -> None:  # fmt: skip
        """One worker: a process that computes one shard after the other."""
        executor = self._started()
        while not self._closed.is_set():
            try:
                number, tries = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                ended.put((number, executor.submit(function, tasks[number]).result(), None))
            except BrokenProcessPool:
                if self._closed.is_set():
                    return
                log.warning("The process that computed shard %d is gone.", number)
                executor = self._started()
                if tries < MOST_TRIES:
                    waiting.put((number, tries + 1))
                else:
                    text = f"Shard {number} ended {tries} processes; its memory may not suffice."
                    ended.put((number, None, WorkerLost(text)))
            except BaseException as error:  # noqa: BLE001  # raised again in the stage's thread
                ended.put((number, None, error))

    def _started(self) -> ProcessPoolExecutor:
        executor = ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=use_threads,
            initargs=(self._threads,),
        )
        self._executors.append(executor)
        return executor


def use_threads(n_threads: int) -> None:
    """Let numerical libraries of this process use so many threads."""
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = str(n_threads)


def _kill(executor: ProcessPoolExecutor) -> None:
    processes = list((executor._processes or {}).values())  # noqa: SLF001  # 3.14 has `kill_workers`
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        with contextlib.suppress(OSError, ValueError):
            process.kill()


def unavailable(what: str, error: BaseException) -> BackendError:
    """The error of a cluster that does not answer, in words."""
    return BackendError(f"{what} does not answer as a Dask scheduler: {type(error).__name__}: {error}"[:500])
