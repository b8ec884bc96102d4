"""The client of a Master: submit, wait with progress, results as a table, sweeps, uploads, predictions, logs, files."""

import inspect
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from proteinx_pipelines.client import calls
from proteinx_pipelines.client.calls import Call, Job, T, id_of
from proteinx_pipelines.client.http_link import (
    connection_options,
    http_package,
    part_read,
    refusal,
    request_options,
)
from proteinx_pipelines.client.steps import TRIES, Asking, Paging, Pause, R, Steps
from proteinx_pipelines.client.tracking import Tracking
from proteinx_pipelines.contract.job import JobDocument

if TYPE_CHECKING:
    from proteinx_pipelines.client.sweeps import Sweep


class Client:
    """Client of a Master. A `redis://` address gives a `QueueClient`, which needs no Master.

    Every method asks again while the Master cannot answer, `tries` times, and then raises `MasterUnavailable`; an
    answer that is an error raises `MasterRefused`, with the Master's `code`. A method names the errors beyond these.

    Args:
        url: address of the Master, `http://...`; PROTEINX_MASTER when None, else REDIS_URL.
        token: what the administrator gave; PROTEINX_TOKEN when None. A Master on this machine may need none.
        timeout_s: longest wait for one answer, in seconds.
        tries: times that a request is sent while the Master cannot answer: 6 take about half a minute.

    Raises:
        InputError: there is no address.
        MissingPackage: the package that the address needs is not installed.
    """

    def __new__(cls, url: str | None = None, _token: str | None = None, **options: Any) -> Any:
        """Choose by the address: a Master's, or a queue's."""
        found = url or os.environ.get("PROTEINX_MASTER") or os.environ.get("REDIS_URL") or ""
        if found.startswith(("redis://", "rediss://", "unix://")):
            from proteinx_pipelines.client.queue_client import QueueClient

            options.pop("token", None)  # a queue has its password in its address
            return QueueClient(found, **options)
        return super().__new__(cls)

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
        self._client = self._http.Client(**connection_options(self._http, self.url, token, timeout_s, tries))

    # ------------------------------------------------------------------ jobs
    def submit(
        self,
        flags: Mapping[str, Any] | str | None = None,
        *,
        template: str | None = None,
        experiment_id: str | None = None,
        payload_ref: str | None = None,
        dataset: str | None = None,
        priority: int = 0,
        group: str | None = None,
        needs: Mapping[str, Any] | None = None,
        deadline: str | None = None,
        held: bool = False,
        idempotency_key: str | None = None,
    ) -> JobDocument:
        """Create a job; returns at once.

        Args:
            flags: nested, dotted, or text.
            template: a template that the flags are added to.
            experiment_id: made from source, model and time when None.
            payload_ref: data to take instead of the node's catalog.
            dataset: an uploaded data set, by id or name.
            priority: -100 to 100; higher goes first.
            group: id or name of a group.
            needs: what a node must have, `{"gpu": 1, "memory_gb": 32, "labels": ["a100"]}`.
            deadline: time by which it should have ended (ISO 8601).
            held: True to wait until it is released.
            idempotency_key: the same key creates one job, however often it is sent; made up when None.

        Raises:
            MasterRefused: the flags have problems, all of them named; or the token may not submit.
            MasterUnavailable: the Master does not answer.
        """
        return self.ask(
            calls.submit(
                flags, template=template, experiment_id=experiment_id, payload_ref=payload_ref, dataset=dataset,
                priority=priority, group=group, needs=needs, deadline=deadline, held=held,
                idempotency_key=idempotency_key,
            )
        )  # fmt: skip

    def submit_many(self, requests: Sequence[Mapping[str, Any]]) -> list[JobDocument]:
        """Create all of several jobs, or none; each is `{"flags": ..., ...}`, with the arguments of `submit`.

        Raises:
            MasterRefused: one of them has problems; no job was created.
        """
        return self.ask(calls.submit_many(requests))

    def job(self, job: Job) -> JobDocument:
        """A job as it is now."""
        return self.ask(calls.job(job))

    def jobs(self, **query: Any) -> Iterator[JobDocument]:
        """Every job that the filters of `GET /api/jobs` find, newest first; `**{"flag.split.folds": 5}` for flags."""
        pages = Paging(query)
        while not pages.is_over:
            yield from pages.take(self.ask(pages.call()))

    def wait(
        self,
        job: Job,
        timeout_s: float | None = None,
        on_progress: Callable[[JobDocument], object] | None = None,
    ) -> JobDocument:
        """Wait until a job has ended; its `state` says how.

        Args:
            job: the job, or its id.
            timeout_s: longest wait, in seconds; None waits for ever. The job goes on either way.
            on_progress: called with the job whenever it has changed.

        Raises:
            NotInTime: `timeout_s` passed.
        """
        return self._do(self._steps.waited(job, timeout_s, on_progress))

    def run(
        self,
        flags: Mapping[str, Any] | str | None = None,
        *,
        timeout_s: float | None = None,
        on_progress: Callable[[JobDocument], object] | None = None,
        **request: Any,
    ) -> JobDocument:
        """Create a job and wait until it has ended: `submit` and `wait`, with their arguments and errors."""
        return self.wait(self.submit(flags, **request), timeout_s, on_progress)

    def cancel(self, job: Job) -> JobDocument:
        """Cancel a job: at once while it waits, else its node is asked to stop it."""
        return self.ask(calls.verb(job, "cancel"))

    def retry(self, job: Job) -> JobDocument:
        """Ask for the same work again; the new job."""
        return self.ask(calls.verb(job, "retry"))

    def clone(self, job: Job, flags: Mapping[str, Any], **request: Any) -> JobDocument:
        """Ask for work like this, with changed flags; the new job."""
        return self.ask(calls.verb(job, "clone", {"flags": dict(flags), **request}))

    def change(
        self,
        job: Job,
        *,
        priority: int | None = None,
        before: Job | None = None,
        after: Job | None = None,
        held: bool | None = None,
    ) -> JobDocument:
        """Change the priority, the place or the hold of a job that no node has yet.

        Args:
            job: the job, or its id.
            priority: -100 to 100; higher goes first.
            before: the job that it goes in front of.
            after: the job that it goes behind.
            held: True to wait until it is released.
        """
        beside = {
            name: id_of(each) for name, each in (("before", before), ("after", after)) if each is not None
        }
        return self.ask(calls.change(job, priority=priority, held=held, **beside))

    def plan(self, flags: Mapping[str, Any] | str, experiment_id: str | None = None) -> dict[str, Any]:
        """Stages that an experiment would compute or reuse, before it is sent."""
        return self.ask(calls.plan(flags, experiment_id))

    def results(self, **query: Any) -> Any:
        """One row a job that the filters find: ids, state, flags that differ from defaults, metrics.

        Returns:
            A pandas data frame where pandas is installed, else a list of dicts.
        """
        return calls.frame(calls.table(list(self.jobs(**query))))

    def sweep(self, name: str, flags: Mapping[str, Any] | None = None, **unit: Any) -> "Sweep":
        """Submit many experiments as one: `grid={...}`, `list=[...]`, `draw={...}` with `n`, or `search={...}`.

        Args:
            name: of the group; one that exists is added to.
            flags: that all have.
            unit: the other fields of `POST /api/groups/{id}/units`, such as `template`.
        """
        from proteinx_pipelines.client.sweeps import Sweep

        return Sweep(self, *self._do(self._steps.swept(name, {"flags": dict(flags or {}), **unit})))

    def wait_for_unit(self, unit_id: str, timeout_s: float | None = None) -> None:
        """Wait until every job of a unit has ended.

        Raises:
            NotInTime: `timeout_s` passed.
        """
        self._do(self._steps.unit_ended(unit_id, timeout_s))

    # ------------------------------------------------------------------ data, models, files, logs
    def upload(self, file: Path | str, name: str | None = None, **query: Any) -> dict[str, Any]:
        """Upload a data set; the answer says what was understood of it. A job takes it as `dataset=NAME`.

        Args:
            file: in any form that `proteinx db import` reads.
            name: of the data set; the file's own without its ending when None.
            query: options of `POST /api/datasets`, such as `offset`.
        """
        return self.ask(calls.upload(Path(file), name, **query))

    def datasets(self) -> list[dict[str, Any]]:
        """The uploaded data sets."""
        return self.ask(calls.items("/api/datasets"))

    def models(self) -> list[dict[str, Any]]:
        """The trained models, with score, data, flags and aliases."""
        return self.ask(calls.items("/api/models"))

    def predict(self, model: str, variants: Sequence[str]) -> Any:
        """Predict variants (`A24C:D40G`) with a model, by id or alias; a data frame where pandas is installed.

        Raises:
            NotInTime: there are too many to answer at once; the message names the job that predicts them.
        """
        return calls.frame(self.ask(calls.predict(model, variants)))

    def logs(self, job: Job, *, follow: bool = False) -> Iterator[dict[str, Any]]:
        """Log entries of a job; with `follow`, those that come until it has ended."""
        yield from self._lines(f"/api/jobs/{id_of(job)}/logs", follow=follow)

    def metrics(self, job: Job, *, follow: bool = False) -> Iterator[dict[str, Any]]:
        """Metric values of a job; with `follow`, those that come until it has ended."""
        yield from self._lines(f"/api/jobs/{id_of(job)}/metrics", follow=follow)

    def artifacts(self, job: Job) -> list[dict[str, Any]]:
        """Files of a job: path, size, SHA-256."""
        return self.ask(calls.items(f"/api/jobs/{id_of(job)}/artifacts"))

    def download(self, job: Job, path: str, to: Path | str) -> Path:
        """Save a file of a job, and return where it is.

        Args:
            job: the job, or its id.
            path: of the file, as `artifacts` lists it.
            to: a file, or a folder that takes it under its own name.
        """
        target = Path(to) / Path(path).name if Path(to).is_dir() else Path(to)
        partial = target.with_name(f"{target.name}.part")
        with self._client.stream("GET", calls.artifact_path(job, path)) as answer:
            if not answer.is_success:
                answer.read()
                raise refusal(answer)
            with partial.open("wb") as stream:
                for block in answer.iter_bytes():
                    stream.write(block)
        return partial.replace(target)

    def part_of(self, job: Job, path: str, offset: int, most: int) -> tuple[bytes, int]:
        """Part of a file of a job: its bytes, and the size of the whole file.

        Args:
            job: the job, or its id.
            path: of the file, as `artifacts` lists it.
            offset: first byte of the part.
            most: largest number of bytes; fewer at the end of the file.
        """
        headers = {"Range": f"bytes={offset}-{offset + most - 1}"}
        with self._client.stream("GET", calls.artifact_path(job, path), headers=headers) as answer:
            answer.read()
            return part_read(answer)

    # ------------------------------------------------------------------ nodes, queue
    def nodes(self) -> list[dict[str, Any]]:
        """The nodes: heartbeat, load, labels, what they run."""
        return self.ask(calls.items("/api/nodes"))

    def queue(self) -> dict[str, Any]:
        """Counts by state, the longest wait, whether it is paused."""
        return self.ask(calls.document("/api/queue"))

    def usage(self, since: str | None = None) -> dict[str, Any]:
        """What became of jobs, by node and model, and `rows`, one a job; `since` is `7d`, or a date."""
        return self.ask(calls.usage(since))

    def pause(self) -> dict[str, Any]:
        """Let no further job go to a node."""
        return self.ask(calls.document("/api/queue/pause", "POST", {}))

    def resume(self) -> dict[str, Any]:
        """Let jobs go to nodes again."""
        return self.ask(calls.document("/api/queue/resume", "POST", {}))

    def caller(self) -> dict[str, Any]:
        """Name of the token in use, and its scopes."""
        return self.ask(calls.document("/api/caller"))

    def templates(self) -> list[dict[str, Any]]:
        """The templates."""
        return self.ask(calls.items("/api/templates"))

    # ------------------------------------------------------------------ training code of one's own
    @contextmanager
    def track(
        self, name: str, config: Mapping[str, Any] | None = None, *, group: str | None = None
    ) -> Iterator[Tracking]:
        """Report your own training code as a job: `with client.track("my-cnn", {"lr": 0.1}) as run: run.log(loss=1.0)`.

        It lives as long as the block does. When the page cancels it, `run.log` raises `Cancelled`. A lost connection
        loses nothing: what is logged meanwhile is sent later.

        Raises:
            Cancelled: in `run.log` and `run.check`, when somebody has cancelled it.
        """
        tracking = Tracking.begin(self, name, dict(config or {}), group)
        with tracking:
            yield tracking

    def tracked(
        self, name: str | None = None, **config: Any
    ) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
        """Decorator: each call of the function is a job; its first parameter is the run, its arguments the config."""
        from proteinx_pipelines.client.tracking import decorator

        return decorator(self, name, config)

    # ------------------------------------------------------------------ sending
    def ask_document(self, path: str) -> dict[str, Any]:
        """The document at a path of the Master, as it comes."""
        return self.ask(calls.document(path))

    def ask(self, call: Call[T]) -> T:
        """Send a request, again while the Master cannot answer.

        Raises:
            MasterRefused: it answered with an error.
            MasterUnavailable: it did not answer.
        """
        return self._do(self._steps.one(call))

    def _do(self, steps: Steps[R]) -> R:
        """Send and wait, step by step."""
        try:
            step = next(steps)
            while True:
                if isinstance(step, Pause):
                    time.sleep(step.seconds)
                    step = next(steps)
                else:
                    step = steps.send(self._send(step))
        except StopIteration as end:
            result: R = end.value
            return result

    def _send(self, call: Call[Any]) -> Any:
        """The answer to a request, or the error that kept it from getting one."""
        content = None if call.content is None else call.content.blocks()
        try:
            return self._client.request(call.method, call.path, content=content, **request_options(call))
        except self._http.TransportError as error:
            return error

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _lines(self, path: str, *, follow: bool) -> Iterator[dict[str, Any]]:
        params = {"follow": "true"} if follow else {}
        with self._client.stream("GET", path, params=params, timeout=None if follow else 30.0) as answer:
            if not answer.is_success:
                answer.read()
                raise refusal(answer)
            for line in answer.iter_lines():
                if line.strip():
                    yield json.loads(line)


# `inspect` and editors show how a client of a Master is made, not how the choice is.
Client.__signature__ = inspect.signature(Client.__init__)  # type: ignore[attr-defined]
