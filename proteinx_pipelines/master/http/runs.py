"""Routes of runs: training code of one's own begins, reports, ends. Its log, metrics and files go to its job."""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from proteinx_pipelines.master.http.access import Submitter
from proteinx_pipelines.master.http.once import once
from proteinx_pipelines.master.jobs.finding import one
from proteinx_pipelines.master.jobs.standing import Line
from proteinx_pipelines.master.runs import reporting

router = APIRouter(tags=["runs"])


class RunRequest(BaseModel):
    """A run that begins."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"name": "my-cnn", "config": {"lr": 0.001, "model": "cnn"}}]},
    )

    name: str = Field(min_length=1, max_length=200)
    """Its name."""
    config: dict[str, Any] = Field(default_factory=dict, max_length=1000)
    """Its parameters, by name."""
    group: str | None = Field(default=None, min_length=1, max_length=200)
    """Group that it belongs to; a name that is not known yet makes a group."""


class Beat(BaseModel):
    """A sign of life."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    progress: float | None = Field(default=None, ge=0, le=1)
    """Completed fraction."""
    note: str | None = Field(default=None, max_length=1000)
    """What it does."""
    summary: dict[str, float] = Field(default_factory=dict, max_length=1000)
    """Metrics by name; later ones replace earlier ones."""


class RunEnd(BaseModel):
    """The end of a run."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)

    state: Literal["SUCCEEDED", "FAILED", "CANCELLED"]
    """How it ended."""
    summary: dict[str, float] = Field(default_factory=dict, max_length=1000)
    """Metrics by name."""
    error: str | None = Field(default=None, max_length=100_000)
    """What went wrong."""


@router.post("/runs", status_code=201, summary="Begin a run of your own code")
async def begin_run(asked: RunRequest, request: Request, caller: Submitter) -> Response:
    """The answer is its job, RUNNING; report within two minutes, again and again."""

    def change(connection: Connection) -> dict[str, Any]:
        job_id = reporting.begin(connection, asked.name, asked.config, group=asked.group, caller=caller.name)
        return Line(connection).document(one(connection, job_id))

    return await once(request, caller, change, status=201)


@router.post("/runs/{job_id}/heartbeat", summary="Report that a run lives")
async def beat_run(job_id: str, beat: Beat, request: Request, caller: Submitter) -> Response:
    """`cancel_requested` in the answer asks it to stop."""

    def change(connection: Connection) -> dict[str, Any]:
        return reporting.beat(
            connection, job_id, progress=beat.progress, note=beat.note, summary=beat.summary
        )

    return await once(request, caller, change)


@router.post("/runs/{job_id}/end", summary="End a run")
async def end_run(job_id: str, asked: RunEnd, request: Request, caller: Submitter) -> Response:
    """How it ended, with its last metrics."""

    def change(connection: Connection) -> dict[str, Any]:
        reporting.end(connection, job_id, asked.state, summary=asked.summary, error=asked.error)
        return Line(connection).document(one(connection, job_id))

    return await once(request, caller, change)
