"""The trash: jobs that were deleted, for the time in which they can be put back.

A deleted job's row moves here, so that no list, count or address knows it, and the rows by which it is found go: they
are made again from it. Its log, its dispatches and the record of its files stay where they are, without a job;
cleaning leaves them alone until the time is over, and removes them then.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from proteinx_pipelines.clock import now_utc, timestamp, timestamp_before
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import artifacts, dispatches, job_logs, jobs, trash
from proteinx_pipelines.master.database.tables import aliases
from proteinx_pipelines.master.jobs.errors import NotDeleted, WrongState
from proteinx_pipelines.master.jobs.finding import one
from proteinx_pipelines.master.jobs.flag_rows import remove_rows, write_flags_again
from proteinx_pipelines.master.jobs.metric_rows import write_metrics
from proteinx_pipelines.master.jobs.states import ENDED

KEPT_S = 7 * 24 * 3600.0
"""Seconds for which a deleted job can be put back."""


def put(connection: Connection, job_id: str, *, caller: str) -> None:
    """Delete a job that has ended; its experiment stays on its node.

    Raises:
        UnknownJob: there is none.
        WrongState: it has not ended.
    """
    row = one(connection, job_id)
    if row["state"] not in ENDED:
        raise WrongState(job_id, row["state"], "be deleted", ENDED, "Cancel it first.")
    names = list(connection.execute(select(aliases.c.name).where(aliases.c.model_id == job_id)).scalars())
    connection.execute(delete(aliases).where(aliases.c.model_id == job_id))
    connection.execute(delete(jobs).where(jobs.c.job_id == job_id))
    remove_rows(connection, row["number"])
    kept = {"job_id": job_id, "row": row, "aliases": names, "deleted_at": timestamp(), "deleted_by": caller}
    connection.execute(insert(trash).values(**kept))
    _tell(connection, "job.deleted", row)


def restore(connection: Connection, job_id: str) -> None:
    """Put a deleted job back, with the names of its model that no other has got meanwhile.

    Raises:
        NotDeleted: the trash does not have it.
    """
    found = connection.execute(select(trash).where(trash.c.job_id == job_id)).mappings().one_or_none()
    if found is None:
        if connection.execute(select(jobs.c.job_id).where(jobs.c.job_id == job_id)).scalar() is not None:
            return  # put back already
        raise NotDeleted(job_id, KEPT_S / 86_400)
    known = {column.name for column in jobs.columns}
    row = {name: value for name, value in found["row"].items() if name in known}
    connection.execute(insert(jobs).values(**row))
    write_flags_again(connection, row)
    write_metrics(connection, job_id, row["summary"])
    taken = set(connection.execute(select(aliases.c.name)).scalars())
    for name in set(found["aliases"]) - taken:
        connection.execute(insert(aliases).values(name=name, model_id=job_id, set_at=timestamp()))
    connection.execute(delete(trash).where(trash.c.job_id == job_id))
    _tell(connection, "job.restored", row)


def listed(connection: Connection) -> list[dict[str, Any]]:
    """The deleted jobs in short, the last one first."""
    query = select(trash).order_by(trash.c.deleted_at.desc(), trash.c.job_id)
    return [
        {
            "job_id": each["job_id"],
            "experiment_id": each["row"]["experiment_id"],
            "state": each["row"]["state"],
            "deleted_at": each["deleted_at"],
            "deleted_by": each["deleted_by"],
            "left_s": max(0.0, KEPT_S - _age_s(each["deleted_at"])),
        }
        for each in connection.execute(query).mappings()
    ]


def over(connection: Connection, *, all_of_it: bool = False) -> list[str]:
    """Ids of the deleted jobs whose time is over; of all deleted ones with `all_of_it`."""
    query = select(trash.c.job_id).order_by(trash.c.deleted_at)
    if not all_of_it:
        query = query.where(trash.c.deleted_at < timestamp_before(KEPT_S))
    return list(connection.execute(query).scalars())


def empty(connection: Connection, job_ids: Sequence[str]) -> set[str]:
    """Delete for good what the trash has of these jobs; the digests of their files."""
    digests: set[str] = set()
    for job_id in job_ids:
        row = connection.execute(select(trash.c.row).where(trash.c.job_id == job_id)).scalar()
        if row is None:  # put back meanwhile
            continue
        connection.execute(delete(trash).where(trash.c.job_id == job_id))
        digests.update(
            connection.execute(select(artifacts.c.sha256).where(artifacts.c.job_id == job_id)).scalars()
        )
        for table in (job_logs, artifacts, dispatches):
            connection.execute(delete(table).where(table.c.job_id == job_id))
    return digests


def _age_s(time: str) -> float:
    return (now_utc() - datetime.fromisoformat(time)).total_seconds()


def _tell(connection: Connection, event: str, row: dict[str, Any]) -> None:
    data = {"experiment_id": row["experiment_id"], "state": row["state"]}
    events.record(connection, event, data, job_id=row["job_id"])
