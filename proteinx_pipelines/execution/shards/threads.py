"""Threads of numerical libraries: a shard computes with as many as the node would, whatever the worker has.

A Cholesky decomposition (a Gaussian process, a ridge) has other last digits with two threads than with one.

Source: https://github.com/joblib/threadpoolctl.
"""

import contextlib
import os
import sys
from collections.abc import Iterator

from threadpoolctl import threadpool_limits

VARIABLE = "OMP_NUM_THREADS"


def threads_here() -> int:
    """Threads that numerical libraries use in this process: the variable's, else one a core."""
    text = os.environ.get(VARIABLE, "")
    if text.isdecimal() and int(text) > 0:
        return int(text)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextlib.contextmanager
def with_threads(n: int) -> Iterator[None]:
    """Let numerical libraries use n threads, those that are loaded and those that are loaded within."""
    before = os.environ.get(VARIABLE)
    os.environ[VARIABLE] = str(n)
    torch = sys.modules.get("torch")
    earlier = None if torch is None else torch.get_num_threads()
    try:
        with threadpool_limits(n):
            if torch is not None:
                torch.set_num_threads(n)
            yield
    finally:
        if torch is not None:
            torch.set_num_threads(earlier)
        os.environ.pop(VARIABLE) if before is None else os.environ.update({VARIABLE: before})
