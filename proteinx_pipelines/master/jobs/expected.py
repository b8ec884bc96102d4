"""Expected durations of jobs, from those that have succeeded."""

import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, bindparam, select

from proteinx_pipelines.master.database.job_tables import jobs

LOOKED_AT = 50
"""Newest comparable jobs whose durations are looked at."""


@dataclass(frozen=True)
class Duration:
    """An expected duration, with the spread of those it was taken from."""

    seconds: float
    """Median."""
    error_s: float
    """Half the distance between the quartiles; 0 for a single past job."""
    of: int
    """Number of past jobs."""


_PAST = (
    select(jobs.c.started_at, jobs.c.finished_at)
    .where(jobs.c.state == "SUCCEEDED", jobs.c.started_at.is_not(None), jobs.c.kind == bindparam("kind"))
    .order_by(jobs.c.number.desc())
    .limit(LOOKED_AT)
)
_SAME_MODEL = _PAST.where(jobs.c.model == bindparam("model"))
_ALIKE = (_SAME_MODEL.where(jobs.c.source == bindparam("source")), _SAME_MODEL, _PAST)
"""Queries of comparable jobs, the most alike first."""


def expected(connection: Connection, row: Mapping[str, Any]) -> Duration | None:
    """Expected duration of a job: of jobs with its model and source, else its model, else all; None without any."""
    given = {name: row[name] for name in ("kind", "model", "source")}
    for query in _ALIKE:
        found = [
            (
                datetime.fromisoformat(past.finished_at) - datetime.fromisoformat(past.started_at)
            ).total_seconds()
            for past in connection.execute(query, given)
        ]
        if found:
            return _summary(found)
    return None


def _summary(found: list[float]) -> Duration:
    if len(found) == 1:
        return Duration(found[0], 0.0, 1)
    low, middle, high = statistics.quantiles(found, n=4, method="inclusive")
    return Duration(middle, (high - low) / 2, len(found))
