"""The client of a Master with `await`: the same requests as `client.Client`."""

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

from proteinx_pipelines.client import calls
from proteinx_pipelines.client.calls import Call, Job, T, id_of
from proteinx_pipelines.client.client import LOOK_S, MOST_LOOK_S, not_in_time
from proteinx_pipelines.client.http_link import (
    TEMPORARY,
    TRIES,
    http_package,
    pause_s,
    refusal,
    result_of,
    unavailable,
)
from proteinx_pipelines.contract.job import JobDocument
from proteinx_pipelines.errors import NotInTime


class AsyncClient:
    """Client of a Master for asynchronous programs. Arguments and errors are those of `Client`."""

    def __init__(self, url: str | None = None, token: str | None = None, *, timeout_s: float = 30.0) -> None:
        self._http = http_package()
        self.url = calls.address(url)
        secret = token or os.environ.get("PROTEINX_TOKEN")
        headers = {"Authorization": f"Bearer {secret}"} if secret else {}
        self._client = self._http.AsyncClient(base_url=self.url, headers=headers, timeout=timeout_s)

    async def submit(self, flags: Mapping[str, Any] | str | None = None, **request: Any) -> JobDocument:
        """Create a job; arguments as in `Client.submit`."""
        return await self.ask(calls.submit(flags, **request))

    async def submit_many(self, requests: Sequence[Mapping[str, Any]]) -> list[JobDocument]:
        """Create all of several jobs, or none."""
        return await self.ask(calls.submit_many(requests))

    async def job(self, job: Job) -> JobDocument:
        """A job as it is now."""
        return await self.ask(calls.job(job))

    async def jobs(self, **query: Any) -> AsyncIterator[JobDocument]:
        """Every job that the filters find."""
        page, seen = 1, 0
        while True:
            found = await self.ask(calls.jobs(page, **query))
            for each in found.items:
                yield each
            seen += len(found.items)
            if seen >= found.total or not found.items:
                return
            page += 1

    async def wait(
        self,
        job: Job,
        timeout_s: float | None = None,
        on_progress: Callable[[JobDocument], object] | None = None,
    ) -> JobDocument:
        """Wait until a job has ended.

        Raises:
            NotInTime: `timeout_s` passed.
        """
        end = float("inf") if timeout_s is None else time.monotonic() + timeout_s
        pause, seen = LOOK_S, ""
        while True:
            found = await self.job(job)
            if on_progress is not None and (found.updated_at or "") != seen:
                seen = found.updated_at or ""
                on_progress(found)
            if found.is_ended:
                return found
            left = end - time.monotonic()
            if left <= 0:
                raise NotInTime(not_in_time(found, timeout_s or 0.0))
            await asyncio.sleep(min(pause, left))
            pause = min(MOST_LOOK_S, pause * 1.3)

    async def run(
        self,
        flags: Mapping[str, Any] | str | None = None,
        *,
        timeout_s: float | None = None,
        on_progress: Callable[[JobDocument], object] | None = None,
        **request: Any,
    ) -> JobDocument:
        """Create a job and wait until it has ended."""
        return await self.wait(await self.submit(flags, **request), timeout_s, on_progress)

    async def cancel(self, job: Job) -> JobDocument:
        """Cancel a job."""
        return await self.ask(calls.verb(job, "cancel"))

    async def retry(self, job: Job) -> JobDocument:
        """Ask for the same work again."""
        return await self.ask(calls.verb(job, "retry"))

    async def clone(self, job: Job, flags: Mapping[str, Any], **request: Any) -> JobDocument:
        """Ask for work like this, with changed flags."""
        return await self.ask(calls.verb(job, "clone", {"flags": dict(flags), **request}))

    async def upload(self, file: Path | str, name: str | None = None, **query: Any) -> dict[str, Any]:
        """Upload a data set."""
        return await self.ask(calls.upload(Path(file), name, **query))

    async def predict(self, model: str, variants: Sequence[str]) -> list[dict[str, Any]]:
        """Predict variants with a model."""
        return await self.ask(calls.predict(model, variants))

    async def artifacts(self, job: Job) -> list[dict[str, Any]]:
        """Files of a job."""
        return await self.ask(calls.items(f"/api/jobs/{id_of(job)}/artifacts"))

    async def nodes(self) -> list[dict[str, Any]]:
        """The nodes."""
        return await self.ask(calls.items("/api/nodes"))

    async def queue(self) -> dict[str, Any]:
        """Counts by state, the longest wait, whether it is paused."""
        return await self.ask(calls.document("/api/queue"))

    async def usage(self, since: str | None = None) -> dict[str, Any]:
        """What became of jobs, by node and model, and `rows`, one a job; `since` is `7d`, or a date."""
        return await self.ask(calls.usage(since))

    async def logs(self, job: Job, *, follow: bool = False) -> AsyncIterator[dict[str, Any]]:
        """Log entries of a job; with `follow`, those that come until it has ended."""
        params = {"follow": "true"} if follow else {}
        path = f"/api/jobs/{id_of(job)}/logs"
        async with self._client.stream(
            "GET", path, params=params, timeout=None if follow else 30.0
        ) as answer:
            if not answer.is_success:
                await answer.aread()
                raise refusal(answer)
            async for line in answer.aiter_lines():
                if line.strip():
                    yield json.loads(line)

    async def ask(self, call: Call[T]) -> T:
        """Send a request, again while the Master cannot answer.

        Raises:
            MasterRefused: it answered with an error.
            MasterUnavailable: it did not answer.
        """
        for attempt in range(1, TRIES + 1):
            answer = None
            try:
                body = _blocks(call.content) if call.content is not None else None
                answer = await self._client.request(
                    call.method, call.path, json=call.json, params=dict(call.params), content=body,
                    headers=dict(call.headers),
                )  # fmt: skip
            except self._http.TransportError as error:
                if attempt == TRIES:
                    raise unavailable(self.url, error) from error
            else:
                if answer.status_code not in TEMPORARY or attempt == TRIES:
                    return result_of(call, answer)
            await asyncio.sleep(pause_s(attempt, answer))
        raise AssertionError("the last try returns or raises")

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def _blocks(file: Path) -> AsyncIterator[bytes]:
    """The content of a file, block by block, without holding the event loop."""
    with await asyncio.to_thread(file.open, "rb") as stream:
        while block := await asyncio.to_thread(stream.read, 2**20):
            yield block
