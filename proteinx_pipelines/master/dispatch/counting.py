"""Counts results: each job gets exactly one, whatever was sent twice, late, or by a node that was given up.

The result, the end of the job, the end of its dispatch, its event and the answer that a sender is owed are one
transaction.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, select, update

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.result import ResultMessage
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import dispatches, jobs
from proteinx_pipelines.master.database.reading import first
from proteinx_pipelines.master.dispatch.changes import LATE, LOST, give_back
from proteinx_pipelines.master.dispatch.messages import dispatch_of
from proteinx_pipelines.master.jobs.metric_rows import write_metrics
from proteinx_pipelines.master.jobs.states import ENDED, ON_A_NODE, OPEN
from proteinx_pipelines.pipeline.stages import STAGES

log = logging.getLogger(__name__)

Verdict = Literal["counted", "copy", "late", "again", "foreign", "unreadable"]
"""`again`: the node stopped it because of an old cancel, so that the job waits again; `foreign`: no job's."""


@dataclass(frozen=True)
class Arrived:
    """One result as it lay on a node's list."""

    node: str
    raw: bytes
    document: dict[str, Any] | None
    """None when it cannot be read."""

    @classmethod
    def read(cls, node: str, raw: bytes) -> "Arrived":
        """Read a result; one of another form is kept as it is."""
        try:
            document = json.loads(raw)
            ResultMessage.model_validate(document)
        except (ValueError, RecursionError):
            log.error("A result of %s cannot be read and is dropped: %r", node, raw[:500])
            return cls(node, raw, None)
        return cls(node, raw, document)


def count(connection: Connection, arrived: Arrived) -> Verdict:
    """Count one result, or say why it counts nothing."""
    document = arrived.document
    if document is None:
        return "unreadable"
    named = dispatch_of(document["message_id"])
    row = None
    if named is not None:
        row = first(connection, select(jobs).where(jobs.c.job_id == named[0]))
    if named is None:
        return "foreign"
    if row is None:  # it was deleted
        return "late"
    token = named[1]
    if not is_current(row, token):
        return _not_counted(connection, row, token, document)
    if _is_of_an_old_cancel(connection, row, document):
        return "again" if give_back(connection, row, LOST, "an old cancel had reached its node") else "late"
    _end(connection, row, document)
    return "counted"


def is_current(row: Mapping[str, Any], token: int) -> bool:
    """True if a result under this token ends the job.

    Also one of a job that waits again after its node was lost: the node is back, and has finished it meanwhile.
    """
    return bool(row["token"] == token) and row["state"] in OPEN


def _end(connection: Connection, row: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    now, error = timestamp(), document["error"] or {}
    succeeded = document["status"] == "SUCCEEDED"
    where = (jobs.c.job_id == row["job_id"]) & (jobs.c.token == row["token"])
    values = {
        "state": document["status"],
        "result": dict(document),
        "summary": document["summary"],
        "generation": document["generation"] or row["generation"],
        "attempts": document["attempt"] or row["attempts"],
        "progress": 1.0 if succeeded else row["progress"],
        "stage": _last_stage(document, row) if succeeded else row["stage"],
        "error_code": error.get("code"),
        "error_message": error.get("message"),
        "started_at": document["started_at"] or row["started_at"],
        "finished_at": document["finished_at"],
        "note": None,
        "updated_at": now,
    }
    connection.execute(update(jobs).where(where).values(**values))
    write_metrics(connection, row["job_id"], document["summary"])
    _close(connection, row["job_id"], row["token"], document["status"], error, now)
    told = {"state": document["status"], "summary": document["summary"], "error": error.get("code")}
    events.record(connection, "job.state", told, job_id=row["job_id"], node=row["node"])


def _last_stage(document: Mapping[str, Any], row: Mapping[str, Any]) -> str | None:
    """The last stage of a success: its status may have been missed, for the result comes on another list."""
    names = [name for name in STAGES if name in document["stages"]]
    return names[-1] if names else row["stage"]


def _not_counted(
    connection: Connection, row: Mapping[str, Any], token: int, document: Mapping[str, Any]
) -> Verdict:
    """Record a late result; a copy of the one that counted changes nothing."""
    query = select(dispatches.c.outcome).where(
        dispatches.c.job_id == row["job_id"], dispatches.c.token == token
    )
    outcome = connection.execute(query).scalar()
    if token == row["token"] and row["state"] in ENDED and outcome == document["status"]:
        return "copy"
    if outcome != LATE:
        _close(connection, row["job_id"], token, LATE, document["error"] or {}, timestamp())
        told = {"token": token, "status": document["status"]}
        events.record(connection, "job.late_result", told, job_id=row["job_id"], node=document["node"])
    return "late"


def _close(
    connection: Connection, job_id: str, token: int, outcome: str, error: Mapping[str, Any], now: str
) -> None:
    values = {
        "ended_at": now,
        "outcome": outcome,
        "error_code": error.get("code"),
        "error_message": error.get("message"),
    }
    where = (dispatches.c.job_id == job_id) & (dispatches.c.token == token)
    connection.execute(update(dispatches).where(where).values(**values))


def _is_of_an_old_cancel(connection: Connection, row: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """True if a node cancelled the job, nobody has asked for it, and the node was given the job up once before."""
    if document["status"] != "CANCELLED" or row["cancel_requested"] or row["state"] not in ON_A_NODE:
        return False
    query = select(dispatches.c.token).where(
        dispatches.c.job_id == row["job_id"],
        dispatches.c.node == row["node"],
        dispatches.c.token < row["token"],
    )
    return connection.execute(query).first() is not None
