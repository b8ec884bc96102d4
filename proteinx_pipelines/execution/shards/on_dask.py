"""Shards on a Dask cluster: `PROTEINX_DASK`, a scheduler's address or the file that it wrote.

Dask schedules, nothing more: what is finished is kept by us as it comes. A worker proves that it has our versions
before it computes; one that has not is left out. The scheduler's end is the loss of a worker for the experiment: the
attempt is made again, and continues behind what is finished.

Source: https://distributed.dask.org, "Client", "Resilience".
"""

import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from proteinx_pipelines.errors import BackendError, WorkerLost
from proteinx_pipelines.execution.document import versions as package_versions
from proteinx_pipelines.execution.shards.interface import TICK_S, Result, Task, unavailable
from proteinx_pipelines.execution.stages import versions as stage_versions

if TYPE_CHECKING:
    from types import ModuleType

log = logging.getLogger(__name__)
CONNECT_S = 20.0
"""Seconds for the connection to the scheduler."""
RESULT_S = 10.0
"""Seconds to wait for the bytes of a finished shard before the signs of life are given again."""
WORKERS_S = 60.0
"""Seconds without a usable worker after which the attempt is given up."""
_MUST_EQUAL = ("proteinx-infra", "numpy", "torch", "pyarrow")


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


class _UnfitWorker(Exception):  # it travels from a worker to us
    """A worker that joined since the others were tried has other versions."""


class _Again(Exception):
    """The result of a finished shard is not there yet."""


class DaskPool:
    """Workers of a Dask cluster, through one client."""

    def __init__(self, client: Any, address: str) -> None:
        self._client, self._address = client, address
        self._named: set[str] = set()
        """Workers that were named in the log as unfit."""

    def compute(
        self, function: Callable[[Task], Result], tasks: Sequence[Task], alive: Callable[[int], None]
    ) -> Iterator[tuple[int, Result]]:
        """Compute all shards; see `ShardPool`."""
        distributed = _distributed()
        self._wait_for_workers(alive)
        expected, numbers = proof(), {}
        for number, task in enumerate(tasks):
            numbers[self._client.submit(_proved, expected, function, task, pure=False, retries=1)] = number
        done = 0
        try:
            while numbers:
                alive(done)
                for future in self._ended(list(numbers)):
                    number = numbers.pop(future)
                    try:
                        result = self._result(distributed, future)
                    except _UnfitWorker as error:
                        log.warning("A worker gets no shards: %s.", error)
                        fit = self._wait_for_workers(alive)
                        again = (_proved, expected, function, tasks[number])
                        numbers[self._client.submit(*again, workers=fit, pure=False, retries=1)] = number
                        continue
                    except _Again:
                        numbers[future] = number
                        continue
                    yield number, result
                    done += 1
        finally:
            self._client.cancel(list(numbers), force=True)

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

    def _wait_for_workers(self, alive: Callable[[int], None]) -> list[str]:
        """Addresses of the workers that have our versions.

        Raises:
            BackendError: there is none within a minute; the message names what differs.
        """
        ends_at, wrong = time.monotonic() + WORKERS_S, {}
        while time.monotonic() < ends_at:
            alive(0)
            try:
                proofs: Mapping[str, Any] = self._client.run(proof, on_error="return")
            except (OSError, TimeoutError, ValueError) as error:
                raise unavailable(self._address, error) from error
            wrong = {worker: _differences(found, proof()) for worker, found in proofs.items()}
            usable = [worker for worker, differs in wrong.items() if not differs]
            for worker, differs in wrong.items():
                if differs and worker not in self._named:
                    log.warning("The worker %s gets no shards: %s.", worker, differs)
                    self._named.add(worker)
            if usable:
                return usable
            time.sleep(TICK_S)
        named = "; ".join(f"{worker}: {differs}" for worker, differs in wrong.items()) or "it has no workers"
        raise BackendError(f"The Dask cluster at {self._address} cannot compute shards: {named}.")


def proof() -> dict[str, Any]:
    """What a worker computes with, to be compared with what the node has."""
    return {"packages": package_versions(), "stages": stage_versions()}


def _proved(expected: Mapping[str, Any], function: Callable[[Any], Any], task: Any) -> Any:
    """Compute a shard, in a worker that proves its versions first."""
    if differs := _differences(proof(), expected):
        raise _UnfitWorker(differs)
    return function(task)


def _differences(found: Any, here: Mapping[str, Any]) -> str:
    """What a worker has otherwise than the node; empty when it may compute."""
    if not isinstance(found, Mapping):
        return f"it cannot run this package ({found})"
    differing = [
        f"{name} {found['packages'].get(name)}, here {here['packages'].get(name)}"
        for name in _MUST_EQUAL
        if found["packages"].get(name) != here["packages"].get(name)
    ]
    if found["stages"] != here["stages"]:
        differing.append("other versions of the stages")
    return ", ".join(differing)


def _distributed() -> "ModuleType":
    try:
        import distributed
    except ImportError as error:
        raise BackendError(
            "PROTEINX_DASK needs the package distributed: `pip install 'proteinx-infra[dask]'`."
        ) from error
    return distributed
