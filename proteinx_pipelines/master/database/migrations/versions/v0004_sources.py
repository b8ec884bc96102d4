"""Jobs are found by each of several sources; flags and metrics of deleted jobs are no rows of lists."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
_AT_ONCE = 1_000


def upgrade() -> None:
    """Create the table and fill it; delete the rows of jobs that are not there."""
    connection = op.get_bind()
    lists = op.create_table(
        "source_lists",
        sa.Column("source", sa.Text, primary_key=True),
        sa.Column("text", sa.Text, primary_key=True),
    )
    op.create_index("idx_source_lists_text", "source_lists", ["text"])
    found = _lists(connection)
    rows = [{"source": source, "text": text} for text, sources in found.items() for source in sources]
    if rows:
        connection.execute(lists.insert(), rows)
    for name in ("job_flags", "job_metrics"):
        connection.execute(
            sa.text(f"DELETE FROM {name} WHERE number NOT IN (SELECT number FROM jobs)")  # noqa: S608  # two names
        )


def _lists(connection: sa.Connection) -> dict[str, set[str]]:
    """Text in `jobs.source` -> the several sources that it stands for."""
    jobs = sa.table(
        "jobs", sa.column("number", sa.Integer), sa.column("kind", sa.Text), sa.column("source", sa.Text),
        sa.column("flags", sa.JSON),
    )  # fmt: skip
    found: dict[str, set[str]] = {}
    behind = 0
    while True:
        query = (
            sa.select(jobs)
            .where(jobs.c.number > behind, jobs.c.source.like("%, %"))
            .order_by(jobs.c.number)
            .limit(_AT_ONCE)
        )
        rows = connection.execute(query).all()
        for row in rows:
            sources = _sources(row.kind, row.flags)
            if len(sources) > 1:
                found[row.source] = set(map(_key, sources))
        if not rows:
            return found
        behind = rows[-1].number


def _sources(kind: str, flags: dict[str, Any]) -> list[str]:
    data = flags if kind == "run" else flags.get("data")
    found = data.get("source") if isinstance(data, dict) else None
    return [str(each) for each in found] if isinstance(found, list) else []


def _key(text: str) -> str:
    """A text that an index of PostgreSQL takes."""
    text = text.replace("\0", "")
    if len(text) <= 200:
        return text
    return f"{text[:100]}…{hashlib.sha256(json.dumps(text).encode()).hexdigest()}"
