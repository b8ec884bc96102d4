"""Interface by which a stage has shards of its work computed elsewhere, by several workers at once.

A shard is a function of a task that gives files by their names, so that a finished one can be kept, sent and compared.
`execution.shards` implements `Spread`.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol, TypeVar

from proteinx_pipelines.errors import Cancelled
from proteinx_pipelines.monitor import StageMonitor

Files = Mapping[str, bytes]
"""Relative name -> content."""
TaskT = TypeVar("TaskT", contravariant=True)


class ShardWork(Protocol[TaskT]):
    """What is done with each task; of a module, picklable, with everything that all tasks share."""

    @property
    def kind(self) -> str:
        """Kind of its shards, for people and for keys: `fold`, `library`, ..."""
        ...

    @property
    def n_threads(self) -> int | None:
        """Threads of numerical libraries a shard; None: as many as the node has, for equal last digits."""
        ...

    @property
    def passing(self) -> tuple[str, ...]:
        """Beginnings of names of files that the node gets and that are not kept, such as checkpoints."""
        ...

    def label(self, task: TaskT) -> Mapping[str, Any]:
        """What tells this task from the others of the same stage, plain JSON; enters the shard's key."""
        ...

    def __call__(self, task: TaskT) -> Files:
        """Compute one shard."""
        ...


class Spread(Protocol):
    """Workers that compute shards, and the memory of what they have finished."""

    @property
    def n_shards(self) -> int:
        """Number of shards worth making of a work that can be cut anywhere."""
        ...

    def compute(
        self, work: ShardWork[Any], tasks: Sequence[Any], alive: Callable[[int], None]
    ) -> Iterator[tuple[int, Files]]:
        """Compute all shards; finished ones of an earlier attempt, here or elsewhere, are taken over.

        Args:
            work: done with each task.
            tasks: one a shard.
            alive: called at least once a second with the number of finished shards; raises to stop them all.

        Yields:
            Number of a task and its files, as they end.

        Raises:
            WorkerLost: workers were lost, too often for one shard; worth another attempt.
            Exception: what a shard raised.
        """
        ...


class JournalMonitor(StageMonitor):
    """Monitor in a worker: keeps what is told, for the node, and ends a shard that nobody wants any longer."""

    def __init__(self) -> None:
        self._calls: list[tuple[str, list[Any], dict[str, Any]]] = []

    def progress(self, done: float, total: float, note: str = "") -> None:  # noqa: ARG002  # the interface's
        """Raise when the shard is no longer wanted.

        Raises:
            Cancelled: the node stopped the shards.
        """
        refuse_unwanted()

    def metric(
        self, name: str, value: float, *, step: int | None = None, epoch: int | None = None,
        fold: int | None = None,
    ) -> None:  # fmt: skip
        """Keep one value."""
        self._calls.append(("metric", [name, float(value)], {"step": step, "epoch": epoch, "fold": fold}))

    def histogram(
        self, name: str, counts: list[int], edges: list[float], *, step: int | None = None,
        fold: int | None = None,
    ) -> None:  # fmt: skip
        """Keep one histogram."""
        kept = [name, [int(count) for count in counts], [float(edge) for edge in edges]]
        self._calls.append(("histogram", kept, {"step": step, "fold": fold}))

    def event(self, name: str, **payload: Any) -> None:
        """Keep one event."""
        self._calls.append(("event", [name], payload))

    def content(self) -> bytes:
        """All that was told, as JSON."""
        return json.dumps(self._calls, default=float).encode("utf-8")


def replay(journal: bytes, monitor: StageMonitor) -> None:
    """Tell a monitor what a worker's was told."""
    for call, arguments, named in json.loads(journal):
        getattr(monitor, call)(*arguments, **named)


_wanted: list[Callable[[], bool]] = []


@contextmanager
def wanted_while(is_wanted: Callable[[], bool]) -> Iterator[None]:
    """In a worker that outlives its shards: say how the present shard learns that it is no longer wanted."""
    _wanted.append(is_wanted)
    try:
        yield
    finally:
        _wanted.remove(is_wanted)


def refuse_unwanted() -> None:
    """Raise when the shard that runs here is no longer wanted.

    Raises:
        Cancelled: the node stopped the shards, or is gone.
    """
    if _wanted and not _wanted[-1]():
        raise Cancelled("The shard is no longer wanted.")
