"""The direct path: messages that a program has put on the queue's own list become jobs.

A message is claimed, decided in one transaction, and only then acknowledged; the same message again is answered with
the result that is there. A sender sees of a Master what it saw of a node alone.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.contract.cancel import read_cancel
from proteinx_pipelines.contract.references import refuse_references
from proteinx_pipelines.contract.request import ExperimentRequest, message_key_of, parse_message
from proteinx_pipelines.contract.result import rejection
from proteinx_pipelines.errors import MessageError
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.reading import first
from proteinx_pipelines.master.dispatch.answering import asked_again
from proteinx_pipelines.master.dispatch.changes import end_waiting
from proteinx_pipelines.master.dispatch.wire import MASTER
from proteinx_pipelines.master.jobs import verbs
from proteinx_pipelines.master.jobs.creating import Checked, JobRequest, create, new_job_id, next_place
from proteinx_pipelines.master.jobs.flag_rows import write_flags
from proteinx_pipelines.master.jobs.flat_flags import flat_flags
from proteinx_pipelines.master.jobs.known_names import names_known_to_nodes, refuse_stores_of_nobody
from proteinx_pipelines.master.jobs.states import OPEN

SENDER = "queue"
"""`created_by` of jobs that came over the queue."""


def decide(connection: Connection, raw: bytes, *, counts_again: bool = True) -> str:
    """Make a job of a message, refuse it, or answer it once more; returns the job's id.

    Args:
        connection: of the change.
        raw: the message.
        counts_again: false for a copy that an earlier process may have decided already.
    """
    try:
        request = refuse_references(parse_message(raw, names_known_to_nodes(connection)))
        refuse_stores_of_nobody(connection, request)
    except MessageError as error:
        key = error.message_key or message_key_of(raw)
        return _again(connection, key, counts=counts_again) or _refuse(connection, raw, error)
    found = _again(connection, request.message_key, counts=counts_again)
    if found is not None:
        return found
    latest = _latest(connection, request.experiment_id)
    if latest is not None and not request.flags.run.allow_duplicate:
        return _refuse(connection, raw, _duplicate(request, latest))
    return _accept(connection, request)


def cancel(connection: Connection, texts: Sequence[str]) -> list[str]:
    """Cancel what cancel requests name; returns the requests that matched an open job."""
    matched = []
    for text in texts:
        experiment_id = read_cancel(text)
        if experiment_id is not None and _cancel_one(connection, experiment_id):
            matched.append(text)
    return matched


def _cancel_one(connection: Connection, experiment_id: str) -> bool:
    query = select(jobs.c.job_id).where(jobs.c.experiment_id == experiment_id, jobs.c.state.in_(OPEN))
    found = connection.execute(query).scalars().all()
    for job_id in found:
        verbs.cancel(connection, job_id, caller="a sender")
    return bool(found)


def _again(connection: Connection, message_key: str, *, counts: bool) -> str | None:
    """Owe the sender one more copy of the result of a message that is known; the id of its job, None if it is new."""
    query = select(jobs.c.job_id, jobs.c.state).where(jobs.c.message_key == message_key)
    row = connection.execute(query).first()
    if row is None:
        return None
    if counts and row.state not in OPEN:
        asked_again(connection, row.job_id)
    return str(row.job_id)


def _accept(connection: Connection, request: ExperimentRequest) -> str:
    nested = request.flags.nested()
    asked = JobRequest(
        flags=nested,
        experiment_id=request.experiment_id,
        payload_ref=request.payload_ref,
        priority=request.priority,
    )
    return create(
        connection,
        Checked(asked, request, nested, flat_flags(request.flags)),
        caller=SENDER,
        message_key=request.message_key,
        message_id=request.message_id,
        reply_to=request.reply_to,
        is_answered=False,
        answers_wanted=1,
    )


def _refuse(connection: Connection, raw: bytes, error: MessageError) -> str:
    """Write the row of a refused message, which has ended before it began."""
    now = timestamp()
    answer = rejection(raw, error, node=MASTER, received_at=now)
    document = answer.result.document()
    job_id = new_job_id()
    connection.execute(
        insert(jobs).values(
            job_id=job_id, kind="experiment", experiment_id=error.experiment_id or "", state="REJECTED",
            priority=0, place=next_place(connection), flags={}, result=document, summary={},
            error_code=error.code, error_message=document["error"]["message"], message_key=answer.message_key,
            message_id=error.message_id, reply_to=error.reply_to, is_answered=False, answers_wanted=1,
            created_by=SENDER, created_at=now, finished_at=now, updated_at=now,
        )
    )  # fmt: skip
    write_flags(connection, {job_id: {}}, have_defaults=False)
    events.record(connection, "job.created", {"state": "REJECTED", "error": error.code}, job_id=job_id)
    return job_id


def refuse_duplicate(connection: Connection, job_id: str, earlier: str) -> None:
    """End a waiting job whose experiment an earlier one has made, and which does not ask for another generation."""
    query = select(jobs.c.experiment_id, jobs.c.generation, jobs.c.state).where(jobs.c.job_id == earlier)
    problem = _known_already(first(connection, query) or {})
    end_waiting(connection, job_id, "REJECTED", error_code="duplicate", error_message=problem)


def _latest(connection: Connection, experiment_id: str) -> Mapping[str, Any] | None:
    """The last job of an experiment that is open or that a node has accepted."""
    query = (
        select(jobs.c.state, jobs.c.generation, jobs.c.experiment_id)
        .where(
            jobs.c.experiment_id == experiment_id,
            jobs.c.state.in_(OPEN) | jobs.c.generation.is_not(None),
        )
        .order_by(jobs.c.number.desc())
    )
    return first(connection, query)


def _duplicate(request: ExperimentRequest, latest: Mapping[str, Any]) -> MessageError:
    return MessageError(
        "duplicate",
        [_known_already(latest)],
        experiment_id=request.experiment_id,
        message_id=request.message_id,
        message_key=request.message_key,
        reply_to=request.reply_to,
    )


def _known_already(latest: Mapping[str, Any]) -> str:
    number = f"generation {latest['generation']}" if latest["generation"] else "a message for it"
    return (
        f"`experiment_id` {latest['experiment_id']!r} is known: {number} is {latest['state']}. "
        "Choose another id, or set `run.allow_duplicate` to start a new generation."
    )
