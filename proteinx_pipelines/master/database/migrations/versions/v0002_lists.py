"""Lists of 100,000 jobs: flags and metrics of jobs as rows of their own, and indexes for what lists are sorted by.

`jobs.flat`, 4 kB a job, goes: `job_flags` has what differs from the defaults.
"""

import hashlib
import json
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from alembic import op

from proteinx_pipelines.master.jobs.flat_flags import flat_defaults

revision = "0002"
down_revision = "0001"
_AT_ONCE = 1_000
_INDEXES = (
    ("idx_jobs_past", ("state", "kind", "model", "source", "number")),
    ("idx_jobs_past_model", ("state", "kind", "model", "number")),
    ("idx_jobs_past_kind", ("state", "kind", "number")),
    ("idx_jobs_state", ("state", "number")),
    ("idx_jobs_source", ("source", "number")),
    ("idx_jobs_model", ("model", "number")),
    ("idx_jobs_unit", ("unit_id", "number")),
    ("idx_jobs_group", ("group_id", "number")),
    ("idx_jobs_kind", ("kind", "number")),
    ("idx_jobs_on_node", ("node", "number")),
    ("idx_jobs_priority", ("priority", "number")),
    ("idx_jobs_progress", ("progress", "number")),
    ("idx_jobs_created", ("created_at", "number")),
    ("idx_jobs_started", ("started_at", "number")),
    ("idx_jobs_finished", ("finished_at", "number")),
    ("idx_jobs_updated", ("updated_at", "number")),
)
_REPLACED = ("idx_jobs_past", "idx_jobs_source", "idx_jobs_model", "idx_jobs_unit", "idx_jobs_group")


def upgrade() -> None:
    """Create the tables, fill them from the jobs, replace the indexes."""
    connection = op.get_bind()
    flags = op.create_table(
        "job_flags",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
    )
    metrics = op.create_table(
        "job_metrics",
        sa.Column("name", sa.Text, primary_key=True),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("value", sa.Float, nullable=False),
    )
    for number, kind, flat, summary in _jobs(connection):
        flag_rows = list(_flag_rows(number, kind, flat))
        metric_rows = list(_metric_rows(number, summary))
        if flag_rows:
            connection.execute(flags.insert(), flag_rows)
        if metric_rows:
            connection.execute(metrics.insert(), metric_rows)
    op.create_index("idx_job_flags_number", "job_flags", ["number"])
    op.create_index("idx_job_metrics_value", "job_metrics", ["name", "value", "number"])
    op.create_index("idx_job_metrics_number", "job_metrics", ["number"])
    facts = sa.table("facts", sa.column("name", sa.Text), sa.column("value", sa.JSON))
    connection.execute(facts.delete().where(facts.c.name.in_(("schema_version", "flag_defaults"))))
    # A program from before there were migrations refuses a `schema_version` above 1, by name.
    connection.execute(facts.insert(), [{"name": "schema_version", "value": 2}])
    connection.execute(facts.insert(), [{"name": "flag_defaults", "value": flat_defaults()}])
    for name in _REPLACED:
        op.drop_index(name, "jobs")
    op.drop_column("jobs", "flat")
    for name, columns in _INDEXES:
        op.create_index(name, "jobs", list(columns))
    line: list[str | sa.TextClause] = [sa.text("priority DESC"), "latest_start", "place", "number"]
    op.create_index("idx_jobs_order", "jobs", line)
    if connection.dialect.name == "sqlite":
        listed = [
            "number", "state", "source", "model", "kind", "node", "group_id", "unit_id", "experiment_id", "job_id",
            "created_by", "created_at", "priority", "latest_start", "place", "progress", "started_at", "finished_at",
            "updated_at",
        ]  # fmt: skip
        op.create_index("idx_jobs_list", "jobs", listed)


def _jobs(connection: sa.Connection) -> Iterator[tuple[int, str, dict[str, Any], dict[str, Any] | None]]:
    jobs = sa.table(
        "jobs", sa.column("number", sa.Integer), sa.column("kind", sa.Text), sa.column("flat", sa.JSON),
        sa.column("summary", sa.JSON),
    )  # fmt: skip
    behind = 0
    while True:
        query = sa.select(jobs).where(jobs.c.number > behind).order_by(jobs.c.number).limit(_AT_ONCE)
        found = connection.execute(query).all()
        for row in found:
            yield row.number, row.kind, row.flat or {}, row.summary
        if not found:
            return
        behind = found[-1].number


def _flag_rows(number: int, kind: str, flat: dict[str, str]) -> Iterator[dict[str, Any]]:
    has_defaults = kind != "run" and bool(flat)
    defaults = flat_defaults() if has_defaults else {}
    if not has_defaults:
        yield {"name": "", "value": "", "number": number}
    for name, value in flat.items():
        if name and defaults.get(name) != value:
            yield {"name": _key(name), "value": _key(value), "number": number}


def _metric_rows(number: int, summary: dict[str, Any] | None) -> Iterator[dict[str, Any]]:
    for name, value in (summary or {}).items():
        if isinstance(value, int | float) and not isinstance(value, bool) and value == value:
            yield {"name": _key(name), "number": number, "value": float(value)}


def _key(text: str) -> str:
    """A text that an index of PostgreSQL takes."""
    text = text.replace("\0", "")
    if len(text) <= 200:
        return text
    return f"{text[:100]}…{hashlib.sha256(json.dumps(text).encode()).hexdigest()}"
