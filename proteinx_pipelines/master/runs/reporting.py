"""A run from its first report to its end. One that is silent for too long is ended as lost."""

from collections.abc import Mapping
from typing import Any, Literal

from sqlalchemy import Connection, insert, select, update

from proteinx_pipelines.clock import timestamp, timestamp_before
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.jobs.creating import group_of, new_job_id, next_place
from proteinx_pipelines.master.jobs.errors import WrongState
from proteinx_pipelines.master.jobs.finding import one
from proteinx_pipelines.master.jobs.flag_rows import write_flags
from proteinx_pipelines.master.jobs.flat_flags import spelt
from proteinx_pipelines.master.jobs.metric_rows import write_metrics
from proteinx_pipelines.master.jobs.source_lists import note_lists

KIND = "run"
SILENT_S = 120.0
"""Seconds without a sign of life after which a run is lost."""


def begin(
    connection: Connection, name: str, config: Mapping[str, Any], *, group: str | None, caller: str
) -> str:
    """Write the row of a run that begins now; returns its job's id."""
    now, job_id = timestamp(), new_job_id()
    values = {
        "job_id": job_id,
        "kind": KIND,
        "experiment_id": name,
        "state": "RUNNING",
        "priority": 0,
        "place": next_place(connection),
        "flags": dict(config),
        "source": _text(config.get("source")),
        "model": _text(config.get("model")),
        "group_id": group_of(connection, group, caller),
        "attempts": 1,
        "created_by": caller,
        "created_at": now,
        "started_at": now,
        "updated_at": now,
    }
    connection.execute(insert(jobs), values)
    flat = {str(key): spelt(value) for key, value in config.items()}
    write_flags(connection, {job_id: flat}, have_defaults=False)
    sources = config.get("source")
    if isinstance(sources, list | tuple) and len(sources) > 1:
        note_lists(connection, {str(values["source"]): [spelt(each) for each in sources]})
    events.record(connection, "job.created", {"state": "RUNNING", "experiment_id": name}, job_id=job_id)
    return job_id


def beat(
    connection: Connection,
    job_id: str,
    *,
    progress: float | None,
    note: str | None,
    summary: Mapping[str, float],
) -> dict[str, Any]:
    """Keep a sign of life, with progress and metrics; the answer says whether it is asked to stop.

    Raises:
        UnknownJob: there is no such job.
        WrongState: it is no run, or has ended.
    """
    row = _running(connection, job_id)
    values: dict[str, Any] = {"updated_at": timestamp()}
    if progress is not None:
        values["progress"] = progress
    if note is not None:
        values["note"] = note
    if summary:
        values["summary"] = {**(row["summary"] or {}), **summary}
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(**values))
    if summary:
        write_metrics(connection, job_id, values["summary"])
    told = {name: value for name, value in values.items() if name != "updated_at"}
    if told:
        events.record(connection, "job.progress", told, job_id=job_id)
    return {"cancel_requested": bool(row["cancel_requested"])}


def end(
    connection: Connection,
    job_id: str,
    state: Literal["SUCCEEDED", "FAILED", "CANCELLED"],
    *,
    summary: Mapping[str, float],
    error: str | None,
) -> None:
    """End a run; said twice with the same state is as once.

    Raises:
        UnknownJob: there is no such job.
        WrongState: it is no run, or has ended otherwise.
    """
    row = one(connection, job_id)
    if row["kind"] == KIND and row["state"] == state:
        return
    row = _running(connection, job_id)
    now = timestamp()
    values: dict[str, Any] = {
        "state": state, "finished_at": now, "updated_at": now, "summary": {**(row["summary"] or {}), **summary},
        "error_code": {"FAILED": "run_failed", "CANCELLED": "cancelled"}.get(state), "error_message": error,
    }  # fmt: skip
    if state == "SUCCEEDED":
        values["progress"] = 1.0
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(**values))
    write_metrics(connection, job_id, values["summary"])
    events.record(connection, "job.state", {"state": state, "summary": values["summary"]}, job_id=job_id)


def end_silent(connection: Connection) -> int:
    """End the runs that gave no sign of life for `SILENT_S` seconds; returns how many."""
    query = select(jobs.c.job_id).where(
        jobs.c.kind == KIND, jobs.c.state == "RUNNING", jobs.c.updated_at < timestamp_before(SILENT_S)
    )
    silent = list(connection.execute(query).scalars())
    for job_id in silent:
        text = f"It gave no sign of life for {SILENT_S:g} s: its process has ended or lost the connection."
        end(connection, job_id, "FAILED", summary={}, error=text)
        lost = update(jobs).where(jobs.c.job_id == job_id).values(error_code="run_lost")
        connection.execute(lost)
    return len(silent)


def _running(connection: Connection, job_id: str) -> dict[str, Any]:
    row = one(connection, job_id)
    if row["kind"] != KIND:
        raise WrongState(job_id, f"a job of kind {row['kind']}", "report itself", ("of kind run",))
    if row["state"] != "RUNNING" and row["error_code"] != "run_lost":
        raise WrongState(job_id, row["state"], "report", ("RUNNING",))
    if row["error_code"] == "run_lost":  # it was only away
        values = {"state": "RUNNING", "finished_at": None, "error_code": None, "error_message": None}
        connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(**values))
        events.record(connection, "job.state", {"state": "RUNNING"}, job_id=job_id)
    return row


def _text(value: Any) -> str | None:
    return None if value is None else spelt(value)
