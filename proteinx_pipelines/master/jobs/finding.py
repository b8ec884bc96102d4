"""Finds a job's row."""

from typing import Any

from sqlalchemy import Connection, bindparam, select

from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.jobs.errors import UnknownJob

_ONE = select(jobs).where(jobs.c.job_id == bindparam("wanted"))


def one(connection: Connection, job_id: str) -> dict[str, Any]:
    """The row of a job, within a change or a longer reading.

    Raises:
        UnknownJob: there is none of this id.
    """
    row = connection.execute(_ONE, {"wanted": job_id}).mappings().one_or_none()
    if row is None:
        raise UnknownJob(job_id)
    return dict(row)


def find_job(database: Database, job_id: str) -> dict[str, Any]:
    """The row of a job as it is now.

    Raises:
        UnknownJob: there is none of this id.
    """
    with database.reading() as connection:
        return one(connection, job_id)
