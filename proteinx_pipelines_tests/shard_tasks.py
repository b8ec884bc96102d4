"""Shards for tests of the pools: a worker imports this module and little else."""

import os
import signal
import time
from pathlib import Path


def square(task: tuple[int, str]) -> int:
    """The square of a number; where the text names a file, the process is killed the first time."""
    number, mark = task
    if mark and Path(mark).read_text() != "tried":
        Path(mark).write_text("tried")
        os.kill(os.getpid(), signal.SIGKILL)
    return number * number


def always_dies(_task: int) -> int:
    """Kill the process."""
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


def refuses(task: int) -> int:
    """Raise an error for shard 2."""
    if task == 2:
        raise ValueError("shard 2 cannot be computed")
    return task


def sleeps(seconds: float) -> float:
    """Wait."""
    time.sleep(seconds)
    return seconds
