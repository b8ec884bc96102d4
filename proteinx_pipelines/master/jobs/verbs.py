"""Verbs on one job: cancel, hold, release, priority, move, retry, clone, delete. Each is safe to say twice.

They change rows only. Dispatch acts upon what it finds there: it tells a node to cancel, and sends what waits.
"""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, update

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.flags.run import Needs
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.jobs.changes import changed
from proteinx_pipelines.master.jobs.creating import JobRequest, check, create
from proteinx_pipelines.master.jobs.errors import WrongState
from proteinx_pipelines.master.jobs.finding import one
from proteinx_pipelines.master.jobs.states import ENDED, ON_A_NODE, OPEN

QUEUED = ("HELD", "WAITING")
"""States of a job that no node has yet."""


def cancel(connection: Connection, job_id: str, *, caller: str) -> None:
    """Cancel a job: at once while it waits; otherwise its node is asked to.

    Raises:
        UnknownJob: there is none.
        WrongState: it has ended otherwise.
    """
    row = one(connection, job_id)
    if row["state"] in QUEUED:
        now = timestamp()
        _set(
            connection, job_id, "job.state",
            state="CANCELLED", finished_at=now, reason=f"cancelled by {caller} before it began",
            error_code="cancelled", error_message=f"Cancelled by {caller} before it began.",
            is_answered=row["message_key"] is None,
        )  # fmt: skip
    elif row["state"] in ON_A_NODE:
        if not row["cancel_requested"]:
            _set(connection, job_id, "job.cancelling", cancel_requested=True)
    elif row["state"] != "CANCELLED":
        raise WrongState(job_id, row["state"], "be cancelled", OPEN)


def hold(connection: Connection, job_id: str, *, caller: str) -> None:
    """Keep a waiting job from going to a node until it is released.

    Raises:
        UnknownJob: there is none.
        WrongState: it does not wait.
    """
    row = one(connection, job_id)
    if row["state"] == "WAITING":
        _set(connection, job_id, "job.state", state="HELD", reason=f"held by {caller}; release it")
    elif row["state"] != "HELD":
        raise WrongState(job_id, row["state"], "be held", ("WAITING",), "Cancel it to stop it.")


def release(connection: Connection, job_id: str) -> None:
    """Let a held job wait for a node again, in its old place.

    Raises:
        UnknownJob: there is none.
        WrongState: it is not held.
    """
    row = one(connection, job_id)
    if row["state"] == "HELD":
        _set(connection, job_id, "job.state", state="WAITING", reason=None)
    elif row["state"] != "WAITING":
        raise WrongState(job_id, row["state"], "be released", ("HELD",))


def set_priority(connection: Connection, job_id: str, priority: int) -> None:
    """Change the priority of a job that no node has yet.

    Raises:
        UnknownJob: there is none.
        WrongState: a node has it, or it has ended.
    """
    row = one(connection, job_id)
    if row["state"] not in QUEUED:
        raise WrongState(job_id, row["state"], "change its priority", QUEUED)
    if row["priority"] != priority:
        _set(connection, job_id, "job.moved", priority=priority)


def move(connection: Connection, job_id: str, *, before: str | None = None, after: str | None = None) -> None:
    """Put a job right before or behind another one; it takes the other's priority and deadline order.

    Args:
        connection: of the change.
        job_id: the job to move.
        before: the job it is to go before; or
        after: the job it is to go behind.

    Raises:
        UnknownJob: one of them does not exist.
        WrongState: a node has one of them, or it has ended.
    """
    row, other = one(connection, job_id), one(connection, str(before or after))
    for each in (row, other):
        if each["state"] not in QUEUED:
            raise WrongState(each["job_id"], each["state"], "be moved", QUEUED)
    if row["job_id"] == other["job_id"]:
        return
    place = _place_beside(connection, other, job_id, is_before=before is not None)
    _set(
        connection, job_id, "job.moved",
        priority=other["priority"], latest_start=other["latest_start"], place=place,
    )  # fmt: skip


def retry(connection: Connection, job_id: str, *, caller: str) -> str:
    """Ask for the same work again, as a new job; returns its id. While that one is open, asking again gives it.

    Raises:
        UnknownJob: there is none.
        WrongState: it has not ended.
    """
    row = one(connection, job_id)
    if row["state"] not in ENDED:
        raise WrongState(job_id, row["state"], "be tried again", ENDED, "Cancel it first, or wait.")
    query = select(jobs.c.job_id).where(jobs.c.retry_of == job_id, jobs.c.state.in_(OPEN)).limit(1)
    open_one = connection.execute(query).scalar()
    if open_one is not None:
        return str(open_one)
    flags = changed(row["flags"], {"run.allow_duplicate": True})
    request = _request(row, flags).model_copy(update={"experiment_id": row["experiment_id"]})
    return create(connection, check(request), caller=caller, kind=row["kind"], retry_of=job_id)


def clone(
    connection: Connection,
    job_id: str,
    *,
    caller: str,
    flags: Mapping[str, Any] | None = None,
    experiment_id: str | None = None,
    **changes: Any,
) -> str:
    """Ask for work like this job's, with changed flags; returns the new job's id.

    Stages that the changes leave as they were are taken over from the store, not computed again.

    Args:
        connection: of the change.
        job_id: the job to copy.
        caller: who asks.
        flags: changed flags, nested or dotted.
        experiment_id: of the new experiment; made up when None.
        changes: further fields of the request, such as `priority`.

    Raises:
        UnknownJob: there is none.
        FlagError: the flags have problems.
    """
    row = one(connection, job_id)
    request = _request(row, changed(row["flags"], flags or {}))
    request = JobRequest.model_validate(
        {**request.model_dump(exclude_none=True), "experiment_id": experiment_id, **changes}
    )
    return create(connection, check(request), caller=caller, kind=row["kind"])


def _set(connection: Connection, job_id: str, event: str, **values: Any) -> None:
    """Change columns of a job and tell it."""
    connection.execute(update(jobs).where(jobs.c.job_id == job_id).values(**values, updated_at=timestamp()))
    told = {name: value for name, value in values.items() if name in ("state", "priority", "reason")}
    events.record(connection, event, told, job_id=job_id)


def _request(row: Mapping[str, Any], flags: Mapping[str, Any]) -> JobRequest:
    return JobRequest(
        flags=dict(flags),
        payload_ref=row["payload_ref"] if row["dataset"] is None else None,
        dataset=row["dataset"],
        priority=row["priority"],
        group=row["group_id"],
        needs=Needs.model_validate(row["needs"]) if row["needs"] is not None else None,
    )


def _place_beside(connection: Connection, other: Mapping[str, Any], moved: str, *, is_before: bool) -> float:
    """A place between a job and its neighbour; where numbers have become too close, all queued ones are spread."""
    for _attempt in (1, 2):
        near = connection.execute(select(jobs.c.place).where(jobs.c.job_id == other["job_id"])).scalar_one()
        beside = jobs.c.place < near if is_before else jobs.c.place > near
        order = jobs.c.place.desc() if is_before else jobs.c.place
        query = select(jobs.c.place).where(beside, jobs.c.job_id != moved).order_by(order).limit(1)
        far = connection.execute(query).scalar()
        if far is None:
            return float(near) + (-1.0 if is_before else 1.0)
        middle = (float(near) + float(far)) / 2
        if middle not in (near, far):
            return middle
        _spread(connection)
    raise AssertionError("places that were spread have room between them")


def _spread(connection: Connection) -> None:
    queued = connection.execute(
        select(jobs.c.job_id).where(jobs.c.state.in_(QUEUED)).order_by(jobs.c.place, jobs.c.number)
    ).scalars()
    last = connection.execute(
        select(jobs.c.place).where(jobs.c.state.not_in(QUEUED)).order_by(jobs.c.place.desc()).limit(1)
    ).scalar()
    for number, job_id in enumerate(list(queued), start=1):
        connection.execute(
            update(jobs).where(jobs.c.job_id == job_id).values(place=float(last or 0.0) + number)
        )
