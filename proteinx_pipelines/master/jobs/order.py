"""The order of waiting jobs, written once: dispatch takes the first, pages and positions count them.

Higher priority first; within a priority the least slack first, a job with a deadline before one without; then place.
Slack shrinks for all jobs alike as time passes, so the latest start (deadline minus expected duration) orders them
the same at every moment, and no job overtakes another by waiting.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, Select, bindparam, func, select

from proteinx_pipelines.master.database.job_tables import jobs

NO_DEADLINE = 9e15
"""Latest start of a job without a deadline, in seconds since 1970: after all others."""


def ordered(query: Select[Any]) -> Select[Any]:
    """The query's jobs, first to go first."""
    return query.order_by(jobs.c.priority.desc(), jobs.c.latest_start, jobs.c.place)


_PRIORITY: BindParameter[int] = bindparam("priority")
_START: BindParameter[float] = bindparam("latest_start")
_PLACE: BindParameter[float] = bindparam("place")
_WAITING = select(func.count()).select_from(jobs).where(jobs.c.state == "WAITING")
_COUNT = select(
    _WAITING.where(jobs.c.priority > _PRIORITY).scalar_subquery()
    + _WAITING.where(jobs.c.priority == _PRIORITY, jobs.c.latest_start < _START).scalar_subquery()
    + _WAITING.where(
        jobs.c.priority == _PRIORITY, jobs.c.latest_start == _START, jobs.c.place < _PLACE
    ).scalar_subquery()
)
"""Waiting jobs before one with `priority`, `latest_start` and `place`: three ranges of one index."""
_LINE = (
    select(jobs.c.number)
    .where(jobs.c.state == "WAITING")
    .order_by(jobs.c.priority.desc(), jobs.c.latest_start, jobs.c.place)
)


def count_before(connection: Connection, row: Mapping[str, Any]) -> int:
    """Number of waiting jobs that go before a job."""
    given = {name: row[name] for name in ("priority", "latest_start", "place")}
    return int(connection.execute(_COUNT, given).scalar_one())


def places_of(connection: Connection, job_ids: Sequence[str]) -> dict[str, int]:
    """Waiting job's id -> the number of jobs before it, of these jobs: for a page of them one look instead of many."""
    chosen = select(jobs.c.number, jobs.c.job_id).where(jobs.c.job_id.in_(job_ids))
    wanted = {row.number: row.job_id for row in connection.execute(chosen)}
    line = connection.execute(_LINE).scalars().all()
    return {wanted[number]: before for before, number in enumerate(line) if number in wanted}


def latest_start(
    deadline: str | None, slo_s: float | None, created_at: str, expected_s: float | None
) -> float:
    """The latest start that meets a deadline, in seconds since 1970.

    Args:
        deadline: time by which the job should have ended (ISO 8601), or None.
        slo_s: seconds from its creation within which it should have ended, or None.
        created_at: its creation (ISO 8601).
        expected_s: expected duration in seconds; None counts as 0.
    """
    ends = []
    if deadline is not None:
        ends.append(datetime.fromisoformat(deadline).timestamp())
    if slo_s is not None:
        ends.append(datetime.fromisoformat(created_at).timestamp() + slo_s)
    return min(ends) - (expected_s or 0.0) if ends else NO_DEADLINE
