"""Shards on a Dask cluster: `PROTEINX_DASK`, a scheduler's address or the file that it wrote.

Dask only schedules; this node stores each finished shard as it arrives. A worker proves that it has the node's versions
before it computes, and is excluded otherwise. If the scheduler ends, the attempt fails as if a worker were lost, and
the next attempt continues after the finished shards.

Source: https://distributed.dask.org, "Client", "Resilience".
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from proteinx_pipelines.errors import BackendError, MissingWeights, WorkerLost
from proteinx_pipelines.execution.shards.interface import TICK_S, Result, Task, unavailable
from proteinx_pipelines.execution.shards.proof import UnfitWorker, differences, proof
from proteinx_pipelines.execution.shards.threads import threads_here, with_threads
from proteinx_pipelines.execution.shards.travel import packed, unpacked
from proteinx_pipelines.spreading import wanted_while

if TYPE_CHECKING:
    from types import ModuleType

log = logging.getLogger(__name__)
CONNECT_S = 20.0
"""Seconds for the connection to the scheduler."""
RESULT_S = 10.0
"""Seconds to wait for the bytes of a finished shard before the signs of life are given again."""
WORKERS_S = 60.0
"""Seconds without a usable worker after which the attempt is given up."""
RETRIES = 1
"""Times that the scheduler itself repeats a shard that raised."""


@contextmanager
def dask_pool(address: str) -> Iterator["DaskPool"]:
    """Connect to a cluster.

    Raises:
        BackendError: nobody answers there, or the package is not installed.
    """
    distributed = _distributed()
    where = {"scheduler_file": address} if Path(address).is_file() else {"address": address}
    try:
        client = distributed.Client(**where, timeout=CONNECT_S, set_as_default=False, name="proteinx")
    except (OSError, TimeoutError, ValueError) as error:
        raise unavailable(address, error) from error
    try:
        yield DaskPool(client, address)
    finally:
        client.close(timeout=5)


class _Again(Exception):
    """The result of a finished shard is not there yet."""


class DaskPool:
    """Workers of a Dask cluster, through one client."""

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address
        self._unfit: dict[str, str] = {}
        """Worker that refused a shard -> why."""
        self._named: set[str] = set()
        """Workers that were named in the log as unfit."""
        self._manned_at = 0.0
        """When the cluster was last seen with a worker, while shards are computed."""

    def compute(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], alive: Callable[[int], None]
    ) -> Iterator[tuple[int, Result]]:
        """Compute all shards; see `ShardPool`."""
        distributed = _distributed()
        fit = self._wait_for_workers(alive, 0)
        self._manned_at = time.monotonic()
        # A task of its own: the scheduler keeps it once, and can have it made again when the worker that held it dies.
        held = self._client.submit(_held, packed(function), pure=False, retries=RETRIES)
        expected, numbers = proof(), {}
        n_threads = getattr(function, "n_threads", None) or threads_here()

        def submit(number: int, **where: Any) -> None:
            arguments = (_proved, expected, held, packed(tasks[number]), n_threads)
            numbers[self._client.submit(*arguments, pure=False, retries=RETRIES, **where)] = number

        for number in range(len(tasks)):
            submit(number, workers=fit, allow_other_workers=True)
        done = 0
        try:
            while numbers:
                alive(done)
                ended = self._ended(list(numbers))
                if not ended:
                    self._refuse_without_workers()
                for future in ended:
                    number = numbers.pop(future)
                    try:
                        result = self._result(distributed, future)
                    except UnfitWorker as error:
                        self._unfit[error.worker] = error.differs
                        submit(number, workers=self._wait_for_workers(alive, done))
                        continue
                    except _Again:
                        numbers[future] = number
                        continue
                    yield number, result
                    done += 1
        finally:
            self._client.cancel([*numbers, held], force=True)

    def _refuse_without_workers(self) -> None:
        """End the attempt where nobody is left who could compute.

        Raises:
            WorkerLost: there has been no worker for `WORKERS_S`.
        """
        now = time.monotonic()
        if self._client.scheduler_info()["workers"]:
            self._manned_at = now
        elif now - self._manned_at > WORKERS_S:
            raise WorkerLost(
                f"The Dask cluster at {self._address} has had no workers for {WORKERS_S:.0f} s; unfinished shards are "
                "lost. Start workers there; the attempt is made again."
            )

    def _ended(self, futures: list[Any]) -> list[Any]:
        """Futures that have ended within a moment.

        Raises:
            WorkerLost: the scheduler is gone.
        """
        ends_at = time.monotonic() + TICK_S
        while time.monotonic() < ends_at:
            if self._client.status not in ("running", "newly-created"):
                raise WorkerLost(
                    f"The Dask scheduler at {self._address} is gone; unfinished shards are lost."
                )
            if ended := [future for future in futures if future.done()]:
                return ended
            time.sleep(0.02)
        return []

    def _result(self, distributed: "ModuleType", future: Any) -> Any:
        if future.status == "lost" or future.cancelled():
            raise WorkerLost(f"The Dask scheduler at {self._address} lost a shard.")
        try:
            return future.result(timeout=RESULT_S)
        except distributed.KilledWorker as error:
            raise WorkerLost(
                f"A shard ended several workers; their memory may not suffice: {error}"
            ) from error
        except TimeoutError as error:  # its worker ended before the result was here; it is computed again
            raise _Again from error
        except (distributed.CancelledError, OSError) as error:
            raise WorkerLost(f"The Dask scheduler at {self._address} lost a shard: {error}") from error

    def _wait_for_workers(self, alive: Callable[[int], None], done: int) -> list[str]:
        """Addresses of the workers that have our versions and have refused no shard.

        Raises:
            BackendError: there is none within a minute; the message names what differs.
        """
        ends_at, wrong = time.monotonic() + WORKERS_S, {}
        while time.monotonic() < ends_at:
            alive(done)
            try:
                proofs: Mapping[str, Any] = self._client.run(proof, on_error="return")
            except (OSError, TimeoutError, ValueError) as error:
                raise unavailable(self._address, error) from error
            here = proof()
            wrong = {
                worker: self._unfit.get(worker) or differences(found, here)
                for worker, found in proofs.items()
            }
            for worker, differs in wrong.items():
                if differs and worker not in self._named:
                    log.warning("The worker %s gets no shards: %s.", worker, differs)
                    self._named.add(worker)
            if usable := [worker for worker, differs in wrong.items() if not differs]:
                return usable
            time.sleep(TICK_S)
        named = "; ".join(f"{worker}: {differs}" for worker, differs in wrong.items()) or "it has no workers"
        raise BackendError(f"The Dask cluster at {self._address} cannot compute shards: {named}.")


def _held(function: bytes) -> bytes:
    """What is done with every task, as it was sent."""
    return function


@lru_cache(maxsize=1)
def _opened(function: bytes) -> Callable[[Any], Any]:
    """The function; kept for the next shard of the same worker."""
    return cast(Callable[[Any], Any], unpacked(function))


def _proved(expected: Mapping[str, Any], function: bytes, task: bytes, n_threads: int) -> Any:
    """Compute a shard, in a worker that proves its versions first; nothing is read before.

    Numerical libraries give other last digits with other numbers of threads: it computes with those of the node.

    Raises:
        UnfitWorker: it has other versions, plugins or weights than the node.
    """
    worker = _distributed().get_worker()
    if differs := differences(proof(), expected):
        raise UnfitWorker(worker.address, differs)
    key = worker.get_current_task()

    def is_wanted() -> bool:
        state = worker.state.tasks.get(key)
        return state is not None and state.state == "executing"

    work = _opened(function)  # it has imported the libraries whose threads are set
    with wanted_while(is_wanted), with_threads(n_threads):
        try:
            return work(unpacked(task))
        except MissingWeights as error:
            raise UnfitWorker(worker.address, str(error)) from error


def _distributed() -> "ModuleType":
    try:
        import distributed
    except ImportError as error:
        raise BackendError(
            "PROTEINX_DASK needs the package distributed: `pip install 'proteinx-infra[dask]'`."
        ) from error
    return distributed
