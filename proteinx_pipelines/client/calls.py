"""What the clients ask of a Master, as data: method, path, body, and how to read the answer.

The client and the asynchronous one send these; nothing here sends anything.
"""

import os
import secrets
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, Self, TypeVar
from urllib.parse import quote

from proteinx_pipelines.contract.job import JobDocument
from proteinx_pipelines.errors import InputError, NotInTime
from proteinx_pipelines.http_address import http_problem

T = TypeVar("T")
Job = JobDocument | str
"""A job, or its id."""


@dataclass(frozen=True)
class Content:
    """A body: a part of a file, opened anew for each try."""

    file: Path
    offset: int
    length: int

    @classmethod
    def of(cls, file: Path) -> Self:
        """A whole file."""
        return cls(file, 0, file.stat().st_size)

    def blocks(self) -> Iterator[bytes]:
        """Its bytes; those that the file got meanwhile are left out."""
        left = self.length
        with self.file.open("rb") as stream:
            stream.seek(self.offset)
            while left > 0 and (block := stream.read(min(left, 2**20))):
                left -= len(block)
                yield block


@dataclass(frozen=True)
class InMemory:
    """A body that is held in memory."""

    content: bytes = field(repr=False)

    @property
    def length(self) -> int:
        """Its bytes."""
        return len(self.content)

    def blocks(self) -> Iterator[bytes]:
        """The whole of it."""
        yield self.content


@dataclass(frozen=True)
class Call(Generic[T]):
    """One request, safe to send again: what changes something has a key of its own."""

    method: str
    path: str
    read: Callable[[Any], T]
    """Makes the result of the answer's JSON, or of its headers, by names in lower case."""
    json: Any = None
    params: Mapping[str, Any] = field(default_factory=dict)
    content: Content | InMemory | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    timeout_s: float | None = None
    """Longest wait for the answer, in seconds; the client's own when None."""
    of_headers: bool = False
    """True if `read` takes the headers."""


@dataclass(frozen=True)
class Page(Generic[T]):
    """One page of a list."""

    items: tuple[T, ...]
    total: int
    """Number of all, over all pages."""


def address(url: str | None) -> str:
    """The Master's address: the one given, else PROTEINX_MASTER.

    Raises:
        InputError: there is none, or it is no address of a Master.
    """
    found = (url or os.environ.get("PROTEINX_MASTER") or "").rstrip("/")
    problem = http_problem(found)
    if problem is not None:
        what = (
            f"What was given, or PROTEINX_MASTER, is no address of a Master ({problem})"
            if found
            else "No address"
        )
        raise InputError(
            f"{what}: give one, such as http://127.0.0.1:8000, or set PROTEINX_MASTER. For a queue without a "
            "Master give redis://..., or set REDIS_URL."
        )
    return found


def id_of(job: Job) -> str:
    """The id of a job."""
    return job if isinstance(job, str) else job.job_id


def submit(flags: Mapping[str, Any] | str | None = None, **request: Any) -> Call[JobDocument]:
    """Create a job. `request` has the other fields of `POST /api/jobs`."""
    key = request.pop("idempotency_key", None) or secrets.token_hex(16)
    body = {"flags": flags or {}, **{name: value for name, value in request.items() if value is not None}}
    return Call("POST", "/api/jobs", _job, json=body, headers={"Idempotency-Key": key})


def submit_many(requests: Sequence[Mapping[str, Any]]) -> Call[list[JobDocument]]:
    """Create all of several jobs, or none."""
    return _change(
        "/api/jobs/batch", lambda found: [_job(each) for each in found["jobs"]], {"jobs": list(requests)}
    )


def job(which: Job) -> Call[JobDocument]:
    """A job as it is now."""
    return Call("GET", _of_job(which), _job)


def jobs(page: int = 1, size: int = 200, **query: Any) -> Call[Page[JobDocument]]:
    """A page of jobs; `query` has the filters of `GET /api/jobs`."""
    asked = {
        name: value for name, value in {**query, "page": page, "size": size}.items() if value is not None
    }
    return Call("GET", "/api/jobs", lambda d: Page(tuple(map(_job, d["items"])), d["total"]), params=asked)


def verb(which: Job, name: str, body: Mapping[str, Any] | None = None) -> Call[JobDocument]:
    """`cancel`, `retry` or `clone`."""
    return _change(f"{_of_job(which)}/{name}", _job, dict(body or {}))


def change(which: Job, **fields: Any) -> Call[JobDocument]:
    """Change `priority`, `before`, `after` or `held`."""
    return _change(_of_job(which), _job, {k: v for k, v in fields.items() if v is not None}, method="PATCH")


def plan(flags: Mapping[str, Any] | str, experiment_id: str | None = None) -> Call[dict[str, Any]]:
    """What an experiment would compute."""
    body = {"flags": flags, "experiment_id": experiment_id}
    return Call("POST", "/api/jobs/plan", dict, json=body)


def sweep(
    name: str, unit: Mapping[str, Any]
) -> tuple[Call[str], Callable[[str], Call[str]], Callable[[str], Call[Any]]]:
    """Three requests: the group, its unit (of the group's id), and its submission (of the unit's id)."""
    return (
        _change("/api/groups", lambda found: str(found["group_id"]), {"name": name}),
        lambda group: _change(
            f"/api/groups/{quote(group)}/units", lambda found: str(found["unit_id"]), dict(unit)
        ),
        lambda unit_id: _change(f"/api/units/{quote(unit_id)}/submit", dict, {}),
    )


def upload(file: Path, name: str | None = None, **query: Any) -> Call[dict[str, Any]]:
    """Upload a data set."""
    asked = {"name": name or file.name.split(".")[0], "file_name": file.name, **query}
    return Call(
        "POST",
        "/api/datasets",
        dict,
        params=asked,
        content=Content.of(file),
        headers={"Content-Type": "application/octet-stream"},
    )


def predict(model: str, variants: Sequence[str]) -> Call[list[dict[str, Any]]]:
    """Predict variants with a model (an id or an alias)."""
    body = {"mutants": list(variants)}
    return Call("POST", f"/api/models/{quote(model)}/predict", _predictions, json=body)


def _predictions(found: Any) -> list[dict[str, Any]]:
    """The rows of an answered prediction; a large one is a job, which is named."""
    if found["predictions"] is None:
        raise NotInTime(
            f"So many variants are predicted by the job {found['job_id']}: wait for it, then download "
            "artifacts/design/predictions.parquet."
        )
    return list(found["predictions"])


def items(path: str, **query: Any) -> Call[list[dict[str, Any]]]:
    """The items of a list."""
    return Call("GET", path, lambda found: list(found.get("items", found.get("files", ()))), params=query)


def document(path: str, method: str = "GET", body: Any = None) -> Call[dict[str, Any]]:
    """A document as it comes."""
    if method == "GET":
        return Call(method, path, dict)
    return _change(path, dict, body, method=method)


def counts(unit_id: str) -> Call[dict[str, int]]:
    """Number of a unit's jobs in each state."""
    return Call("GET", f"/api/units/{quote(unit_id)}", lambda found: dict(found["counts"]))


def usage(since: str | None) -> Call[dict[str, Any]]:
    """The usage report with its rows."""
    params = {"rows": "true"} | ({} if since is None else {"since": since})
    return Call("GET", "/api/usage", dict, params=params)


def artifact_path(which: Job, path: str) -> str:
    """The path of a file of a job."""
    return f"{_of_job(which)}/artifacts/{quote(path)}"


def table(found: Sequence[JobDocument]) -> list[dict[str, Any]]:
    """One flat row a job: ids, state, flags by dotted name, metrics."""
    from proteinx_pipelines.flags.changes import differing_from_defaults

    return [
        {
            "job_id": each.job_id, "experiment_id": each.experiment_id, "state": each.state,
            **({} if each.kind == "run" else differing_from_defaults(each.flags)),
            **(each.flags if each.kind == "run" else {}), **each.summary,
        }
        for each in found
    ]  # fmt: skip


def frame(rows: list[dict[str, Any]]) -> Any:
    """Rows as a pandas data frame where pandas is installed, else as they are."""
    try:
        import pandas as pd
    except ImportError:
        return rows
    return pd.DataFrame(rows)


def _job(found: Any) -> JobDocument:
    return JobDocument.model_validate(found)


def _of_job(which: Job) -> str:
    return f"/api/jobs/{quote(id_of(which))}"


def _change(path: str, read: Callable[[Any], T], body: Any, method: str = "POST") -> Call[T]:
    return Call(method, path, read, json=body, headers={"Idempotency-Key": secrets.token_hex(16)})
