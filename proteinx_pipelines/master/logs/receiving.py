"""Batches of log lines and metric values that a node sends.

A node numbers its lines and sends a batch again until it is answered: lines that are there already are left out.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection, func, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.master.database.job_tables import job_logs
from proteinx_pipelines.master.logs.feeds import Kind
from proteinx_pipelines.redaction import redact

MOST_IN_BATCH = 5_000
MOST_OF_JOB = 500_000
"""Lines of one kind that are kept of one job; what comes after them is counted, not kept."""
LONGEST = 20_000
"""Characters of a log line that are kept."""
_LONGEST_NAME = 200


class Batch(BaseModel):
    """Lines of one job, in order."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {"lines": ["epoch 1: loss 0.52"]},
                {
                    "sender": "node-a/3f21",
                    "first": 0,
                    "lines": [{"name": "train/loss", "value": 0.52, "step": 1}],
                },
            ]
        },
    )

    lines: list[str | dict[str, Any]] = Field(max_length=MOST_IN_BATCH)
    """Texts, `{"time", "text"}`, or metric values `{"name", "value", "step", "epoch", "fold", "time"}`."""
    sender: str | None = Field(default=None, min_length=1, max_length=200)
    """Whose numbering `first` belongs to; a batch without one is kept as often as it is sent."""
    first: int = Field(default=0, ge=0)
    """Number of the first line, counted by the sender."""


def receive(connection: Connection, job_id: str, kind: Kind, batch: Batch) -> dict[str, int]:
    """Keep the lines that are not there yet.

    Args:
        connection: of the change.
        job_id: whose lines they are; exists.
        kind: log lines or metric values.
        batch: what was sent.

    Returns:
        `accepted`: lines kept; `next`: number of the line expected next from this sender.
    """
    known = _last_number(connection, job_id, kind, batch.sender) if batch.sender is not None else -1
    fresh = [(number, line) for number, line in enumerate(batch.lines, start=batch.first) if number > known]
    room = max(0, MOST_OF_JOB - _count(connection, job_id, kind))
    now = timestamp()
    rows = [
        {
            "job_id": job_id,
            "kind": kind,
            "at": now,
            "line": {"sender": batch.sender, "number": number, "document": document},
        }
        for number, document in ((number, as_document(kind, line, now)) for number, line in fresh[:room])
    ]
    if rows:
        connection.execute(insert(job_logs), rows)
    return {"accepted": len(rows), "next": max(known + 1, batch.first + len(batch.lines))}


def as_document(kind: Kind, line: str | Mapping[str, Any], now: str) -> dict[str, Any]:
    """A line in the form of one that was read from a file; secrets are left out, long texts are cut."""
    given = {"text": line} if isinstance(line, str) else dict(line)
    if kind == "log":
        text = redact(str(given.get("text", "")))
        return {"time": str(given.get("time") or now)[:40], "text": text[:LONGEST]}
    name = str(given.pop("name", ""))[:_LONGEST_NAME]
    kept = {key: value for key, value in given.items() if key in _METRIC_FIELDS and _is_plain(value)}
    return {"name": name, **kept, "time": str(given.get("time") or now)[:40]}


_METRIC_FIELDS = ("value", "histogram", "step", "epoch", "fold", "generation", "attempt")


def _is_plain(value: Any) -> bool:
    if isinstance(value, dict):
        return set(value) <= {"counts", "edges"} and all(_are_numbers(part) for part in value.values())
    return value is None or isinstance(value, int | float)


def _are_numbers(values: Any) -> bool:
    is_list = isinstance(values, Sequence) and not isinstance(values, str)
    return is_list and len(values) <= 10_000 and all(isinstance(value, int | float) for value in values)


def _last_number(connection: Connection, job_id: str, kind: Kind, sender: str) -> int:
    query = (
        select(job_logs.c.line["number"].as_integer())
        .where(
            job_logs.c.job_id == job_id,
            job_logs.c.kind == kind,
            job_logs.c.line["sender"].as_string() == sender,
        )
        .order_by(job_logs.c.seq.desc())
        .limit(1)
    )
    found = connection.execute(query).scalar()
    return -1 if found is None else int(found)


def _count(connection: Connection, job_id: str, kind: Kind) -> int:
    query = select(func.count()).where(job_logs.c.job_id == job_id, job_logs.c.kind == kind)
    return int(connection.execute(query).scalar_one())
