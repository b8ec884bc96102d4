"""Interface of a pool of workers that compute shards."""

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

from proteinx_pipelines.errors import BackendError

Task = TypeVar("Task")
Result = TypeVar("Result")
TICK_S = 0.5
"""Seconds between two signs of life while no shard ends."""


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


def unavailable(what: str, error: BaseException) -> BackendError:
    """The error of a cluster that does not answer, in words."""
    return BackendError(f"{what} does not answer as a Dask scheduler: {type(error).__name__}: {error}"[:500])
