"""Rows of the usage report: the jobs of a Master that have ended."""

from typing import Any

from sqlalchemy import Connection, select

from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.reading import rows
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines.services.usage import Use, seconds_between

_COLUMNS = (
    jobs.c.experiment_id, jobs.c.generation, jobs.c.node, jobs.c.model, jobs.c.flags, jobs.c.state, jobs.c.error_code,
    jobs.c.attempts, jobs.c.created_at, jobs.c.started_at, jobs.c.finished_at, jobs.c.updated_at,
)  # fmt: skip


def uses_of_jobs(connection: Connection, since: str | None) -> list[Use]:
    """Every job that has ended since a time (None: ever), first ended first. Nodes keep what their stages cost."""
    query = select(*_COLUMNS).where(jobs.c.state.in_(ENDED))
    if since is not None:
        query = query.where(jobs.c.finished_at >= since)
    return [_use(row) for row in rows(connection, query.order_by(jobs.c.finished_at))]


def _use(row: dict[str, Any]) -> Use:
    embedding = row["flags"].get("embedding")
    name = embedding.get("name") if isinstance(embedding, dict) else None
    return Use(
        experiment_id=row["experiment_id"], generation=row["generation"], node=row["node"] or "-",
        model=row["model"] or "-", embedding=str(name or "-"), state=row["state"],
        reason=row["error_code"], attempts=row["attempts"],
        waited_s=seconds_between(row["created_at"], row["started_at"]),
        seconds=seconds_between(row["started_at"], row["finished_at"]), cpu_seconds=None, joules=None,
        finished_at=row["finished_at"] or row["updated_at"],
    )  # fmt: skip
