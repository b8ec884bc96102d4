"""The results of a group as a table: the flags that differ, the state, the metrics."""

from typing import Any

from sqlalchemy import Connection, select

from proteinx_pipelines.master.database.tables import jobs


def table_of(connection: Connection, group_id: str) -> tuple[list[str], list[dict[str, Any]]]:
    """Columns, and one row a job in order of arrival.

    Columns are `job_id`, `experiment_id`, `state`, the dotted flags that differ within the group, and the summary
    metrics.
    """
    query = select(jobs).where(jobs.c.group_id == group_id).order_by(jobs.c.number)
    found = [dict(row) for row in connection.execute(query).mappings()]
    names = sorted({name for job in found for name in job["flat"]})
    differing = [name for name in names if len({job["flat"].get(name) for job in found}) > 1]
    metrics = sorted({name for job in found for name in job["summary"] or {}})
    rows = [
        {
            "job_id": job["job_id"],
            "experiment_id": job["experiment_id"],
            "state": job["state"],
            **{name: job["flat"].get(name) for name in differing},
            **{name: (job["summary"] or {}).get(name) for name in metrics},
        }
        for job in found
    ]
    return ["job_id", "experiment_id", "state", *differing, *metrics], rows
