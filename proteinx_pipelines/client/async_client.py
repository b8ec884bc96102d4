"""The client of a Master with `await`: the same requests as `client.Client`, but for training code of one's own."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from proteinx_pipelines.client import calls
from proteinx_pipelines.client.calls import Call, Content, InMemory, Job, T, id_of
from proteinx_pipelines.client.http_link import (
    connection_options,
    http_package,
    part_read,
    refusal,
    request_options,
)
from proteinx_pipelines.client.steps import TRIES, Asking, Paging, Pause, R, Steps
from proteinx_pipelines.contract.job import JobDocument

if TYPE_CHECKING:
    from proteinx_pipelines.client.sweeps import AsyncSweep


class AsyncClient:
    """Client of a Master for asynchronous programs. Arguments and errors are those of `Client`."""

    def __init__(
        self,
        url: str | None = None,
        token: str | None = None,
        *,
        timeout_s: float = 30.0,
        tries: int = TRIES,
    ) -> None:
        self._http = http_package()
        self.url = calls.address(url)
        self._steps = Asking(self.url, tries)
        options = connection_options(self._http, self.url, token, timeout_s, tries)
        self._client = self._http.AsyncClient(**options)

    # ------------------------------------------------------------------ jobs
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
        pages = Paging(query)
        while not pages.is_over:
            for each in pages.take(await self.ask(pages.call())):
                yield each

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
        return await self._do(self._steps.waited(job, timeout_s, on_progress))

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

    async def change(self, job: Job, **fields: Any) -> JobDocument:
        """Change `priority`, the place (`before`, `after`) or `held`."""
        return await self.ask(calls.change(job, **fields))

    async def plan(self, flags: Mapping[str, Any] | str, experiment_id: str | None = None) -> dict[str, Any]:
        """Stages that an experiment would compute or reuse."""
        return await self.ask(calls.plan(flags, experiment_id))

    async def results(self, **query: Any) -> Any:
        """One row a job; a data frame where pandas is installed."""
        return calls.frame(calls.table([job async for job in self.jobs(**query)]))

    async def sweep(self, name: str, flags: Mapping[str, Any] | None = None, **unit: Any) -> "AsyncSweep":
        """Submit many experiments as one."""
        from proteinx_pipelines.client.sweeps import AsyncSweep

        made = await self._do(self._steps.swept(name, {"flags": dict(flags or {}), **unit}))
        return AsyncSweep(self, *made)

    async def wait_for_unit(self, unit_id: str, timeout_s: float | None = None) -> None:
        """Wait until every job of a unit has ended."""
        await self._do(self._steps.unit_ended(unit_id, timeout_s))

    # ------------------------------------------------------------------ data, models, files, logs
    async def upload(self, file: Path | str, name: str | None = None, **query: Any) -> dict[str, Any]:
        """Upload a data set."""
        return await self.ask(calls.upload(Path(file), name, **query))

    async def datasets(self) -> list[dict[str, Any]]:
        """The uploaded data sets."""
        return await self.ask(calls.items("/api/datasets"))

    async def models(self) -> list[dict[str, Any]]:
        """The trained models."""
        return await self.ask(calls.items("/api/models"))

    async def predict(self, model: str, variants: Sequence[str]) -> Any:
        """Predict variants with a model; a data frame where pandas is installed."""
        return calls.frame(await self.ask(calls.predict(model, variants)))

    async def logs(self, job: Job, *, follow: bool = False) -> AsyncIterator[dict[str, Any]]:
        """Log entries of a job; with `follow`, those that come until it has ended."""
        async for line in self._lines(f"/api/jobs/{id_of(job)}/logs", follow=follow):
            yield line

    async def metrics(self, job: Job, *, follow: bool = False) -> AsyncIterator[dict[str, Any]]:
        """Metric values of a job; with `follow`, those that come until it has ended."""
        async for line in self._lines(f"/api/jobs/{id_of(job)}/metrics", follow=follow):
            yield line

    async def artifacts(self, job: Job) -> list[dict[str, Any]]:
        """Files of a job."""
        return await self.ask(calls.items(f"/api/jobs/{id_of(job)}/artifacts"))

    async def download(self, job: Job, path: str, to: Path | str) -> Path:
        """Save a file of a job; a folder takes it under its own name."""
        target = Path(to) / Path(path).name if Path(to).is_dir() else Path(to)
        partial = target.with_name(f"{target.name}.part")
        async with self._streamed(calls.artifact_path(job, path)) as answer:
            with await asyncio.to_thread(partial.open, "wb") as stream:
                async for block in answer.aiter_bytes():
                    await asyncio.to_thread(stream.write, block)
        return partial.replace(target)

    async def part_of(self, job: Job, path: str, offset: int, most: int) -> tuple[bytes, int]:
        """At most so many bytes of a file of a job, and the size of the whole file."""
        headers = {"Range": f"bytes={offset}-{offset + most - 1}"}
        async with self._client.stream("GET", calls.artifact_path(job, path), headers=headers) as answer:
            await answer.aread()
            return part_read(answer)

    # ------------------------------------------------------------------ nodes, queue
    async def nodes(self) -> list[dict[str, Any]]:
        """The nodes."""
        return await self.ask(calls.items("/api/nodes"))

    async def queue(self) -> dict[str, Any]:
        """Counts by state, the longest wait, whether it is paused."""
        return await self.ask(calls.document("/api/queue"))

    async def usage(self, since: str | None = None) -> dict[str, Any]:
        """What became of jobs, by node and model, and `rows`, one a job; `since` is `7d`, or a date."""
        return await self.ask(calls.usage(since))

    async def pause(self) -> dict[str, Any]:
        """Let no further job go to a node."""
        return await self.ask(calls.document("/api/queue/pause", "POST", {}))

    async def resume(self) -> dict[str, Any]:
        """Let jobs go to nodes again."""
        return await self.ask(calls.document("/api/queue/resume", "POST", {}))

    async def caller(self) -> dict[str, Any]:
        """Name of the token in use, and its scopes."""
        return await self.ask(calls.document("/api/caller"))

    async def templates(self) -> list[dict[str, Any]]:
        """The templates."""
        return await self.ask(calls.items("/api/templates"))

    # ------------------------------------------------------------------ sending
    async def ask_document(self, path: str) -> dict[str, Any]:
        """The document at a path of the Master, as it comes."""
        return await self.ask(calls.document(path))

    async def ask(self, call: Call[T]) -> T:
        """Send a request, again while the Master cannot answer.

        Raises:
            MasterRefused: it answered with an error.
            MasterUnavailable: it did not answer.
        """
        return await self._do(self._steps.one(call))

    async def _do(self, steps: Steps[R]) -> R:
        """Send and wait, step by step."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    await asyncio.sleep(step.seconds)
                    step = next(steps)
                else:
                    step = steps.send(await self._send(step))
        except StopIteration as end:
            result: R = end.value
            return result

    async def _send(self, call: Call[Any]) -> Any:
        """The answer to a request, or the error that kept it from getting one."""
        content = None if call.content is None else _blocks(call.content)
        try:
            return await self._client.request(
                call.method, call.path, content=content, **request_options(call)
            )
        except self._http.TransportError as error:
            return error

    @asynccontextmanager
    async def _streamed(self, path: str, **options: Any) -> AsyncIterator[Any]:
        async with self._client.stream("GET", path, **options) as answer:
            if not answer.is_success:
                await answer.aread()
                raise refusal(answer)
            yield answer

    async def _lines(self, path: str, *, follow: bool) -> AsyncIterator[dict[str, Any]]:
        params = {"follow": "true"} if follow else {}
        async with self._streamed(path, params=params, timeout=None if follow else 30.0) as answer:
            async for line in answer.aiter_lines():
                if line.strip():
                    yield json.loads(line)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


async def _blocks(content: Content | InMemory) -> AsyncIterator[bytes]:
    """A body block by block, without holding the event loop."""
    blocks = content.blocks()
    while (block := await asyncio.to_thread(next, blocks, None)) is not None:
        yield block
