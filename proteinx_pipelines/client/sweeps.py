"""A sweep: many experiments that were submitted as one, counted, waited for and compared as one."""

from typing import TYPE_CHECKING, Any

from proteinx_pipelines.client import calls
from proteinx_pipelines.contract.job import JobDocument

if TYPE_CHECKING:
    from proteinx_pipelines.client.async_client import AsyncClient
    from proteinx_pipelines.client.client import Client


class Sweep:
    """Many experiments that were submitted as one."""

    def __init__(self, client: "Client", group_id: str, unit_id: str) -> None:
        self._client = client
        self.group_id = group_id
        self.unit_id = unit_id

    def jobs(self) -> list[JobDocument]:
        """Its jobs, in order."""
        return list(self._client.jobs(**_of(self.unit_id)))

    def counts(self) -> dict[str, int]:
        """Number of its jobs in each state, `total` and `ended`."""
        return self._client.ask(calls.counts(self.unit_id))

    def wait(self, timeout_s: float | None = None) -> list[JobDocument]:
        """Wait until every job has ended.

        Raises:
            NotInTime: `timeout_s` passed.
        """
        self._client.wait_for_unit(self.unit_id, timeout_s)
        return self.jobs()

    def results(self) -> Any:
        """One row a job, as `Client.results`."""
        return self._client.results(**_of(self.unit_id))


class AsyncSweep:
    """`Sweep` of an `AsyncClient`."""

    def __init__(self, client: "AsyncClient", group_id: str, unit_id: str) -> None:
        self._client = client
        self.group_id = group_id
        self.unit_id = unit_id

    async def jobs(self) -> list[JobDocument]:
        """Its jobs, in order."""
        return [job async for job in self._client.jobs(**_of(self.unit_id))]

    async def counts(self) -> dict[str, int]:
        """Number of its jobs in each state, `total` and `ended`."""
        return await self._client.ask(calls.counts(self.unit_id))

    async def wait(self, timeout_s: float | None = None) -> list[JobDocument]:
        """Wait until every job has ended.

        Raises:
            NotInTime: `timeout_s` passed.
        """
        await self._client.wait_for_unit(self.unit_id, timeout_s)
        return await self.jobs()

    async def results(self) -> Any:
        """One row a job, as `AsyncClient.results`."""
        return await self._client.results(**_of(self.unit_id))


def _of(unit_id: str) -> dict[str, Any]:
    return {"unit": unit_id, "sort": "created_at"}
