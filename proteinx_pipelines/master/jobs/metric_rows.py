"""Metrics of jobs as rows, for filters and sorting; written with `jobs.summary`, which people and programs read."""

from collections.abc import Mapping
from math import isfinite
from typing import Any

from sqlalchemy import ColumnElement, Connection, delete, insert, select

from proteinx_pipelines.master.database.job_tables import job_metrics, jobs
from proteinx_pipelines.master.jobs.flag_rows import key_of


def write_metrics(connection: Connection, job_id: str, summary: Mapping[str, Any] | None) -> None:
    """Write the metrics of a job in place of those that it had; what is no finite number has no row."""
    number = connection.execute(select(jobs.c.number).where(jobs.c.job_id == job_id)).scalar()
    connection.execute(delete(job_metrics).where(job_metrics.c.number == number))
    rows = {
        key_of(name): float(value)
        for name, value in (summary or {}).items()
        if isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    }
    if rows and number is not None:
        connection.execute(
            insert(job_metrics),
            [{"name": name, "number": number, "value": value} for name, value in rows.items()],
        )


def within(name: str, least: float | None, most: float | None) -> ColumnElement[bool]:
    """The condition on `jobs` that a metric lies within bounds; None is no bound."""
    found = select(job_metrics.c.number).where(job_metrics.c.name == key_of(name))
    if least is not None:
        found = found.where(job_metrics.c.value >= least)
    if most is not None:
        found = found.where(job_metrics.c.value <= most)
    return jobs.c.number.in_(found)
