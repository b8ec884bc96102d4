"""Finds a job's row."""

from typing import Any

from sqlalchemy import select

from proteinx_pipelines.master.database.tables import jobs
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.http.problems import NotFound


def find_job(database: Database, job_id: str) -> dict[str, Any]:
    """The row of a job.

    Raises:
        NotFound: there is none of this id.
    """
    with database.reading() as connection:
        row = connection.execute(select(jobs).where(jobs.c.job_id == job_id)).mappings().one_or_none()
    if row is None:
        raise NotFound("job", job_id, "`GET /api/jobs` lists them.")
    return dict(row)
