"""Shards for tests of the pools: a worker imports this module and little else."""

import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.errors import Cancelled, MissingWeights
from proteinx_pipelines.spreading import Files, refuse_unwanted
from proteinx_pipelines.stages.train.spread_folds import FoldTask, FoldWork

NOTES, DEADLY = "PROTEINX_TEST_NOTES", "PROTEINX_TEST_DEADLY"
"""Environment variables: the file of notes, and the number of the fold that kills its process once."""


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


def lacks_weights(_task: int) -> int:
    """Refuse, as a worker with another checkpoint does."""
    raise MissingWeights("This worker has other weights of esm2 than the node.")


def until_unwanted(began: str) -> None:
    """Work until nobody wants the result."""
    Path(began).touch()
    while True:
        try:
            refuse_unwanted()
        except Cancelled:
            Path(began).with_name("ended").touch()
            raise
        time.sleep(0.05)


@dataclass(frozen=True)
class CountedFolds(FoldWork):
    """Notes each fit in the file that an environment variable names; one fold kills the process the first time."""

    def __call__(self, task: FoldTask) -> Files:
        """Fit one shard."""
        notes = Path(os.environ[NOTES])
        with notes.open("a") as stream:
            stream.write(f"{task.shard.fold}\n")
        deadly = os.environ.get(DEADLY)
        mark = notes.with_name(f"killed-{deadly}")
        if deadly == str(task.shard.fold) and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__call__(task)
