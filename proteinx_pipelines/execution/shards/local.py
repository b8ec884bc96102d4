"""Shards in processes of this machine, one executor each: a process that dies costs its own shard."""

import contextlib
import logging
import multiprocessing
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

from proteinx_pipelines.errors import WorkerLost
from proteinx_pipelines.execution.shards.interface import TICK_S, Result, Task
from proteinx_pipelines.execution.shards.travel import packed, unpacked

log = logging.getLogger(__name__)
MOST_TRIES = 3
"""Most workers that one shard may lose: then it, not they, is the cause."""


class LocalPool:
    """Processes of this machine; each is replaced when it dies, and its shard is computed again."""

    def __init__(self, n_workers: int) -> None:
        self.n_workers = n_workers
        self._executors: list[ProcessPoolExecutor] = []
        self._closed = threading.Event()

    def compute(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], alive: Callable[[int], None]
    ) -> Iterator[tuple[int, Result]]:
        """Compute all shards; see `ShardPool`."""
        sent = packed(function)  # once a process: it may hold all rows of an experiment
        waiting: queue.SimpleQueue[tuple[int, int]] = queue.SimpleQueue()
        ended: queue.SimpleQueue[tuple[int, Any, BaseException | None]] = queue.SimpleQueue()
        for number in range(len(tasks)):
            waiting.put((number, 1))
        for _ in range(min(self.n_workers, len(tasks))):
            arguments = (sent, tasks, waiting, ended)
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
        self, function: bytes, tasks: Sequence[Any],
        waiting: "queue.SimpleQueue[tuple[int, int]]",
        ended: "queue.SimpleQueue[tuple[int, Any, BaseException | None]]",
    ) -> None:  # fmt: skip
        """One worker: a process that computes one shard after the other."""
        executor = self._started(function)
        while not self._closed.is_set():
            try:
                number, tries = waiting.get_nowait()
            except queue.Empty:
                return
            try:
                ended.put((number, executor.submit(_computed, tasks[number]).result(), None))
            except BrokenProcessPool:
                if self._closed.is_set():
                    return
                log.warning("The process that computed shard %d is gone.", number)
                executor = self._started(function)
                if tries < MOST_TRIES:
                    waiting.put((number, tries + 1))
                else:
                    text = f"Shard {number} ended {tries} processes; its memory may not suffice."
                    ended.put((number, None, WorkerLost(text)))
            except BaseException as error:  # noqa: BLE001  # raised again in the stage's thread
                ended.put((number, None, error))

    def _started(self, function: bytes) -> ProcessPoolExecutor:
        executor = ProcessPoolExecutor(
            1,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=begin_worker,
            initargs=(function,),
        )
        self._executors.append(executor)
        return executor


_SLEEPING = {"OMP_WAIT_POLICY": "PASSIVE", "KMP_BLOCKTIME": "0", "OPENBLAS_THREAD_TIMEOUT": "4"}
"""Environment in which threads that wait for work give up their core."""
_FUNCTION: list[Callable[[Any], Any]] = []
"""In a process of a pool: what it does with every task."""


def begin_worker(function: bytes) -> None:
    """Prepare a process for shards: the threads of its parent, and the same end.

    Numerical libraries give other last digits with other numbers of threads. Theirs are taken over with the
    environment (OMP_NUM_THREADS); that there are then more threads than cores costs little as long as they sleep when
    they wait. The function comes pickled: reading it may import such a library, which reads its variables then.
    """
    for name, value in _SLEEPING.items():
        os.environ.setdefault(name, value)
    threading.Thread(target=_end_with_parent, name="parent-watch", daemon=True).start()
    _FUNCTION[:] = [unpacked(function)]


def _computed(task: Any) -> Any:
    return _FUNCTION[0](task)


def _end_with_parent() -> None:
    """Wait for the end of the parent, which may be a SIGKILL; the executor's own pipes would never tell."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _kill(executor: ProcessPoolExecutor) -> None:
    processes = list((executor._processes or {}).values())  # noqa: SLF001  # 3.14 has `kill_workers`
    executor.shutdown(wait=False, cancel_futures=True)
    for process in processes:
        with contextlib.suppress(OSError, ValueError):
            process.kill()
