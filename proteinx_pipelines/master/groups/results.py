"""The results of a group as a table: the flags that differ, the state, the metrics."""

from typing import Any

from sqlalchemy import Connection, select

from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.jobs.flat_flags import flat_document, spelt


def table_of(connection: Connection, group_id: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns, and one row a job in order of arrival.

    Columns are `job_id`, `experiment_id`, `state`, the dotted flags that differ within the group, and the summary
    metrics.
    """
    query = select(jobs).where(jobs.c.group_id == group_id).order_by(jobs.c.number)
    found = [dict(row) for row in connection.execute(query).mappings()]
    flat = {
        job["job_id"]: {str(name): spelt(value) for name, value in job["flags"].items()}
        if job["kind"] == "run"
        else flat_document(job["flags"])
        for job in found
    }
    names = sorted({name for each in flat.values() for name in each})
    differing = [name for name in names if len({each.get(name) for each in flat.values()}) > 1]
    metrics = sorted({name for job in found for name in job["summary"] or {}})
    rows = [
        {
            "job_id": job["job_id"],
            "experiment_id": job["experiment_id"],
            "state": job["state"],
            **{name: flat[job["job_id"]].get(name) for name in differing},
            **{name: (job["summary"] or {}).get(name) for name in metrics},
        }
        for job in found
    ]
    return ["job_id", "experiment_id", "state", *differing, *metrics], rows
