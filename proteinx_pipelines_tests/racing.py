"""Several processes that do the same thing at the same moment."""

import multiprocessing
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from typing import Any

__all__ = ["Barrier", "race"]


def race(target: Callable[..., None], *arguments: tuple[Any, ...]) -> None:
    """Call `target` in a new process for each of `arguments`, with a barrier of all of them behind; all must end well.

    Without the barrier there is no race: a new process imports for longer than most tests take.
    """
    context = multiprocessing.get_context("spawn")
    start = context.Barrier(len(arguments))
    workers = [context.Process(target=target, args=(*each, start)) for each in arguments]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(240)
    assert [worker.exitcode for worker in workers] == [0] * len(workers)
