"""Changes of a job's row by dispatch; each is guarded by the token and the state that it was decided on.

A change that finds the row otherwise changes nothing and says so: a person may have cancelled the job meanwhile, or
another dispatch may be the current one.
"""

from collections.abc import Mapping
from typing import Any, cast

from sqlalchemy import Connection, CursorResult, insert, select, update

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import dispatches, jobs
from proteinx_pipelines.master.database.reading import first
from proteinx_pipelines.master.jobs.states import ON_A_NODE

CANCELLED_BEFORE = "cancelled before a node ran it"
"""Reason of a job that was cancelled while it waited."""
LOST = "lost"
RECALLED = "recalled"
LATE = "late"


def assign(connection: Connection, job_id: str, node: str, *, reason: str | None = None) -> int | None:
    """Give a waiting job to a node; returns the token of the dispatch, None when the job does not wait any more.

    A node that had the job last, and was lost with it, gets the same token again: it goes on, or answers with the
    result that it has.

    Args:
        connection: of the change.
        job_id: the job.
        node: the node.
        reason: something that the job's owner should know, such as that all is computed anew.
    """
    before: int = connection.execute(select(jobs.c.token).where(jobs.c.job_id == job_id)).scalar_one()
    last = _dispatch(connection, job_id, before)
    is_same = last is not None and last["node"] == node and last["outcome"] == LOST
    token = before if is_same else before + 1
    now = timestamp()
    changed = _update(
        connection, (jobs.c.job_id == job_id) & (jobs.c.state == "WAITING"),
        state="ASSIGNED", node=node, token=token, sent=False, sent_at=None, assigned_at=now, updated_at=now,
        reason=reason, blocked_by=None, generation=None, stage=None, progress=None, note=None, cancel_sent_at=None,
    )  # fmt: skip
    if not changed:
        return None
    if is_same:
        _end_dispatch(connection, job_id, token, outcome=None, ended_at=None)
    else:
        connection.execute(insert(dispatches).values(job_id=job_id, token=token, node=node, assigned_at=now))
    events.record(
        connection, "job.state", {"state": "ASSIGNED", "node": node, "token": token}, job_id=job_id, node=node
    )
    return token


def note_sent(connection: Connection, job_id: str, token: int) -> None:
    """Record that the message of a dispatch is on the node's list."""
    _update(connection, (jobs.c.job_id == job_id) & (jobs.c.token == token), sent=True, sent_at=timestamp())


def give_back(connection: Connection, row: Mapping[str, Any], outcome: str, reason: str | None) -> bool:
    """Let a job wait again; one whose cancel was asked for ends. False when the row has changed.

    Args:
        connection: of the change.
        row: the job, as it was when this was decided.
        outcome: of the dispatch: `recalled` (nobody had claimed it) or `lost`.
        reason: in words.
    """
    if row["cancel_requested"]:
        return end_cancelled(connection, row, "its node was lost before it had stopped")
    now = timestamp()
    changed = _update(
        connection, _current(row),
        state="WAITING", sent=False, sent_at=None, cancel_sent_at=None, reason=reason, blocked_by=None,
        stage=None, progress=None, note=None, updated_at=now,
    )  # fmt: skip
    if changed:
        _end_dispatch(connection, row["job_id"], row["token"], outcome=outcome, ended_at=now)
        document = {"state": "WAITING", "reason": reason, "node": row["node"], "outcome": outcome}
        events.record(connection, "job.state", document, job_id=row["job_id"], node=row["node"])
    return changed


def end_cancelled(connection: Connection, row: Mapping[str, Any], reason: str) -> bool:
    """End a job that no node will answer; false when the row has changed."""
    now = timestamp()
    changed = _update(
        connection, _current(row), state="CANCELLED", reason=reason, finished_at=now, updated_at=now
    )
    if changed:
        _end_dispatch(connection, row["job_id"], row["token"], outcome="CANCELLED", ended_at=now)
        document = {"state": "CANCELLED", "reason": reason}
        events.record(connection, "job.state", document, job_id=row["job_id"], node=row["node"])
    return changed


def end_waiting(connection: Connection, job_id: str, state: str, **columns: Any) -> bool:
    """End a job that waits or is held, without a node; false when it does so no more."""
    now = timestamp()
    where = (jobs.c.job_id == job_id) & jobs.c.state.in_(("WAITING", "HELD"))
    changed = _update(connection, where, state=state, finished_at=now, updated_at=now, **columns)
    if changed:
        events.record(
            connection, "job.state", {"state": state, "reason": columns.get("reason")}, job_id=job_id
        )
    return changed


def note_blocked(connection: Connection, job_id: str, reason: str | None, nodes: str | None) -> None:
    """Write down why no node can take a waiting job (None: one can); `nodes` names the set of nodes looked at."""
    where = (jobs.c.job_id == job_id) & (jobs.c.state == "WAITING")
    _update(connection, where, reason=reason, blocked_by=nodes, updated_at=timestamp())


def note_cancel_sent(connection: Connection, job_id: str, token: int) -> None:
    """Record that the node was asked to cancel a dispatch."""
    _update(connection, (jobs.c.job_id == job_id) & (jobs.c.token == token), cancel_sent_at=timestamp())


def _current(row: Mapping[str, Any]) -> Any:
    """The row, as long as the dispatch that was looked at is the current one."""
    return (jobs.c.job_id == row["job_id"]) & (jobs.c.token == row["token"]) & jobs.c.state.in_(ON_A_NODE)


def _update(connection: Connection, where: Any, **values: Any) -> bool:
    result = cast("CursorResult[Any]", connection.execute(update(jobs).where(where).values(**values)))
    return bool(result.rowcount)


def _dispatch(connection: Connection, job_id: str, token: int) -> Mapping[str, Any] | None:
    query = select(dispatches).where(dispatches.c.job_id == job_id, dispatches.c.token == token)
    return first(connection, query)


def _end_dispatch(connection: Connection, job_id: str, token: int, **values: Any) -> None:
    where = (dispatches.c.job_id == job_id) & (dispatches.c.token == token)
    connection.execute(update(dispatches).where(where).values(**values))
