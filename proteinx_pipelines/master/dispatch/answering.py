"""Puts results on the lists of those who sent messages over the queue, each copy once, until it is there."""

import hashlib
import json
import logging
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from sqlalchemy import Connection, Select, and_, bindparam, case, func, or_, select, update

from proteinx_pipelines.clock import timestamp, timestamp_before
from proteinx_pipelines.contract.result import AGAIN_S, ResultError, ResultMessage
from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.errors import WrongKeyType
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.reading import Row, rows
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.dispatch.wire import MASTER, Wire
from proteinx_pipelines.master.jobs.states import ENDED

log = logging.getLogger(__name__)
AT_ONCE = 100
"""Most answers given in one round."""
COMPARED = 200
"""Number of the last answers that are compared with Redis, which may come back with an older state; while some of them
are lost, as many older ones are compared too."""
_LAST_GENERATION = select(func.max(jobs.c.generation)).where(
    jobs.c.experiment_id == bindparam("experiment"),
    func.coalesce(jobs.c.assigned_at, jobs.c.started_at, jobs.c.finished_at) <= bindparam("ended"),
)
"""Of the jobs that nodes had when one ended: the same whenever it is asked, so that copies of an answer are equal."""
_OWED = (
    select(jobs)
    .where(~jobs.c.is_answered, jobs.c.state.in_(ENDED))
    .order_by(jobs.c.finished_at)
    .limit(AT_ONCE)
)


def owed(connection: Connection) -> list[Row]:
    """Jobs that have ended and whose sender waits for an answer, oldest first."""
    return _with_generations(connection, rows(connection, _OWED))


def answer(database: Database, wire: Wire) -> int:
    """Deliver what is owed; returns how many copies.

    Raises:
        QueueUnavailable: Redis does not answer; what was delivered is known by its marker.
    """
    with database.reading() as connection:
        ended = owed(connection)
    if any(
        row["answers_sent"] for row in ended
    ):  # asked again, or brought back by Redis together with a loss
        deliver_lost(database, wire)
        with database.reading() as connection:
            ended = owed(connection)
    answered = []
    for row in ended:
        try:
            _show_end(wire, row)
            for copy in range(row["answers_sent"] + 1, row["answers_wanted"] + 1):
                _deliver(wire, row, copy)
        except WrongKeyType as error:
            log.warning("%s", error)
            continue
        answered.append(row)
    if answered:
        database.write(lambda connection: _note(connection, answered))
    return len(answered)


def deliver_lost(database: Database, wire: Wire) -> int:
    """Deliver again what Redis has lost of the last answers; returns how many.

    That is noted first: a push whose reply is lost, or a message that Redis brings back with the loss, asks for nothing
    more (see `asked_again`).

    Raises:
        QueueUnavailable: Redis does not answer; what is missing is found again.
    """
    found, oldest = 0, None
    while True:
        with database.reading() as connection:
            last = _with_generations(connection, rows(connection, _answered(oldest)))
        ids = [(result_of(row)["result_id"], row["answers_sent"]) for row in last]
        missing = [row for row, is_gone in zip(last, wire.line().missing(ids), strict=True) if is_gone]
        if not missing:
            return found
        database.write(partial(_note_lost, lost=missing))
        for row in reversed(missing):
            log.warning("Redis has lost the result of %s; it is delivered again.", row["experiment_id"])
            try:
                _deliver(wire, row, row["answers_sent"])
            except WrongKeyType as error:
                log.warning("%s", error)
        found, oldest = found + len(missing), last[-1]


def asked_again(connection: Connection, job_id: str) -> None:
    """Owe one more copy of an answer, unless one that Redis had lost was just put back: then that is the answer."""
    is_back = and_(
        jobs.c.answers_wanted < jobs.c.answers_sent, jobs.c.answered_at >= timestamp_before(AGAIN_S)
    )
    most = case(
        (jobs.c.answers_wanted > jobs.c.answers_sent, jobs.c.answers_wanted), else_=jobs.c.answers_sent
    )
    wanted = case((is_back, jobs.c.answers_wanted), else_=most) + 1
    query = update(jobs).where(jobs.c.job_id == job_id)
    connection.execute(query.values(is_answered=False, answers_wanted=wanted))


def _answered(before: Mapping[str, Any] | None) -> Select[Any]:
    """The last answers, the newest first, or those before one of them."""
    query = select(jobs).where(jobs.c.answers_sent > 0, jobs.c.answered_at.is_not(None))
    if before is not None:
        at, job_id = before["answered_at"], before["job_id"]
        query = query.where(
            or_(jobs.c.answered_at < at, and_(jobs.c.answered_at == at, jobs.c.job_id < job_id))
        )
    return query.order_by(jobs.c.answered_at.desc(), jobs.c.job_id.desc()).limit(COMPARED)


def result_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """The result document of an ended job, as its sender gets it: with the sender's own `message_id`."""
    document = dict(row["result"]) if row["result"] else _own_result(row).document()
    return {**document, "message_id": row["message_id"]}


def _with_generations(connection: Connection, found: list[Row]) -> list[Row]:
    """The rows, each with its generation: a job that ended before a node had it was to be the experiment's next one."""
    for row in found:
        if row["generation"] is None and not row["result"] and row["state"] != "REJECTED":
            given = {"experiment": row["experiment_id"], "ended": row["finished_at"]}
            row["generation"] = 1 + int(connection.execute(_LAST_GENERATION, given).scalar() or 0)
    return found


def _own_result(row: Mapping[str, Any]) -> ResultMessage:
    """The result of a job that ended without a node."""
    error = ResultError(
        code=row["error_code"] or row["state"].lower(),
        message=row["error_message"] or row["reason"] or "The experiment was cancelled.",
    )
    is_rejected = row["state"] == "REJECTED"
    return ResultMessage(
        result_id=hashlib.sha256(f"{row['job_id']}|{row['created_at']}".encode()).hexdigest(),
        message_id=row["message_id"],
        experiment_id=row["experiment_id"] or None,
        generation=None if is_rejected else row["generation"],
        attempt=None if is_rejected else row["attempts"],
        status=row["state"],
        error=error,
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        node=MASTER,
    )


def _show_end(wire: Wire, row: Mapping[str, Any]) -> None:
    """Show the end in the status hash before the result is there: a reader who has the result finds it."""
    if row["state"] == "REJECTED":
        return
    if row["result"]:
        wire.mirror_status(row["result"]["node"], row["experiment_id"])
        return
    change = Status.model_validate(
        {"state": row["state"], "position": 0, "error": row["error_code"] or "cancelled"}
    )
    wire.line().status(row["experiment_id"], change, "finished")


def _deliver(wire: Wire, row: Mapping[str, Any], copy: int) -> None:
    document = result_of(row)
    wire.line().deliver(
        document["result_id"], copy, json.dumps(document, ensure_ascii=False), row["reply_to"]
    )


def _note(connection: Connection, answered: Sequence[Mapping[str, Any]]) -> None:
    for row in answered:
        here = jobs.c.job_id == row["job_id"]
        copies = max(row["answers_sent"], row["answers_wanted"])
        sent = {"answers_sent": copies, "answered_at": timestamp()}
        connection.execute(update(jobs).where(here).values(**sent))
        # The message may have come again meanwhile.
        all_sent = here & (jobs.c.answers_wanted <= jobs.c.answers_sent)
        connection.execute(update(jobs).where(all_sent).values(is_answered=True))


def _note_lost(connection: Connection, lost: Sequence[Mapping[str, Any]]) -> None:
    """Answers that are about to be put back: `answers_wanted` goes below `answers_sent`, once, until somebody asks."""
    wanted, sent = jobs.c.answers_wanted, jobs.c.answers_sent
    lowered = case((wanted > sent, wanted - 1), (wanted == sent, sent - 1), else_=wanted)
    for row in lost:
        here = and_(jobs.c.job_id == row["job_id"], sent == row["answers_sent"])
        connection.execute(update(jobs).where(here).values(answers_wanted=lowered, answered_at=timestamp()))
