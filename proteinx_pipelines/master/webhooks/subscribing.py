"""Subscribers, and the outbox: one row for each event and subscriber, in the transaction of the event."""

import base64
import fnmatch
import json
import secrets
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, delete, func, insert, select, update

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import InputError
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import outbox, webhooks
from proteinx_pipelines.master.webhooks.guard import check_url

EVENTS = (
    "job.created",
    "job.state",
    "job.deleted",
    "job.restored",
    "node.joined",
    "node.lost",
    "node.back",
    "node.drained",
    "node.lent",
    "node.returned",
    "node.undrained",
    "queue.paused",
    "queue.resumed",
)
"""Events that can be subscribed to; a pattern such as `job.*` means several."""
KINDS = ("http", "command")
_WANTED = select(webhooks.c.webhook_id, webhooks.c.events).where(webhooks.c.is_on)


class UnknownWebhook(InputError):
    """There is no webhook of this id."""

    code = "unknown_webhook"


class BadWebhook(InputError):
    """A webhook cannot be made; the message says why."""

    code = "bad_webhook"


def subscribe(
    connection: Connection,
    url: str,
    wanted: Sequence[str],
    *,
    caller: str,
    kind: str = "http",
    allowed_hosts: Sequence[str] = (),
    commands: Sequence[str] = (),
) -> dict[str, Any]:
    """Make a subscriber; the document has its secret, for the only time.

    Args:
        connection: of the change.
        url: where events are posted to; for the kind `command` the name that the operator gave it.
        wanted: events or patterns of events.
        caller: who asks.
        kind: `http`, or `command`: each event is a process of its own, with the document on its standard input
            (a mail or chat program).
        allowed_hosts: names that the operator allows.
        commands: names of the operator's commands.

    Raises:
        BadWebhook: there is no such command; or a pattern matches no event.
        AddressRefused: the address may not be reached.
    """
    strange = [each for each in wanted if not fnmatch.filter(EVENTS, each)]
    if strange or not wanted:
        raise BadWebhook(
            f"`events` has {', '.join(strange)[:200] or 'nothing'}; one or more of {', '.join(EVENTS)} are expected, "
            "or patterns such as job.*"
        )
    if kind == "http":
        check_url(url, allowed_hosts)
    elif url not in commands:
        known = f"The commands are {', '.join(commands)}." if commands else "No command is set."
        raise BadWebhook(
            f"There is no command {url[:60]!r}. {known} The operator sets them in PROTEINX_WEBHOOK_COMMANDS."
        )
    values = {
        "webhook_id": f"w-{secrets.token_hex(6)}",
        "url": url,
        "events": list(wanted),
        "secret": "whsec_" + base64.b64encode(secrets.token_bytes(24)).decode("ascii"),
        "kind": kind,
        "is_on": True,
        "created_by": caller,
        "created_at": timestamp(),
    }
    connection.execute(insert(webhooks), values)
    return values


def subscribers(connection: Connection) -> list[dict[str, Any]]:
    """All subscribers without their secrets, with the state of their last delivery."""
    found = []
    for row in connection.execute(select(webhooks).order_by(webhooks.c.created_at)).mappings():
        last = (
            connection.execute(
                select(outbox.c.state, outbox.c.last_answer, outbox.c.created_at)
                .where(outbox.c.webhook_id == row["webhook_id"])
                .order_by(outbox.c.created_at.desc())
                .limit(1)
            )
            .mappings()
            .first()
        )
        shown = {name: value for name, value in row.items() if name != "secret"}
        found.append({**shown, "last_delivery": dict(last) if last is not None else None})
    return found


def unsubscribe(connection: Connection, webhook_id: str) -> None:
    """Delete a subscriber and what was to be sent to it.

    Raises:
        UnknownWebhook: there is none.
    """
    _refuse_unknown(connection, webhook_id)
    connection.execute(delete(outbox).where(outbox.c.webhook_id == webhook_id))
    connection.execute(delete(webhooks).where(webhooks.c.webhook_id == webhook_id))


def deliveries(
    connection: Connection, webhook_id: str, limit: int = 100, offset: int = 0
) -> list[dict[str, Any]]:
    """Deliveries of a subscriber, the newest first.

    Raises:
        UnknownWebhook: there is none.
    """
    _refuse_unknown(connection, webhook_id)
    query = select(outbox).where(outbox.c.webhook_id == webhook_id)
    newest = query.order_by(outbox.c.created_at.desc(), outbox.c.outbox_id).limit(limit).offset(offset)
    return [dict(row) for row in connection.execute(newest).mappings()]


def count_deliveries(connection: Connection, webhook_id: str) -> int:
    """Number of all deliveries of a subscriber that are kept."""
    query = select(func.count()).select_from(outbox).where(outbox.c.webhook_id == webhook_id)
    return int(connection.execute(query).scalar_one())


def send_again(connection: Connection, outbox_id: str) -> None:
    """Make a delivery due now, whatever came of it.

    Raises:
        UnknownWebhook: there is no such delivery.
    """
    values = {"state": "waiting", "due_at": time.time(), "attempts": 0, "ended_at": None}
    found = connection.execute(update(outbox).where(outbox.c.outbox_id == outbox_id).values(**values))
    if found.rowcount == 0:
        raise UnknownWebhook(f"There is no delivery {outbox_id[:60]!r}.")


def put_out(
    connection: Connection,
    event: str,
    told: Sequence[tuple[str | None, Mapping[str, Any]]],
    node: str | None,
) -> None:
    """Write an event of some jobs into the outbox of everyone who wants it; called by `events.record`."""
    if event not in EVENTS:  # progress comes many times a second, and nobody can ask for it
        return
    wanted = [
        row.webhook_id
        for row in connection.execute(_WANTED)
        if any(fnmatch.fnmatchcase(event, each) for each in row.events)
    ]
    if not wanted:
        return
    now, rows = timestamp(), []
    for job_id, data in told:
        body = {"type": event, "timestamp": now, "data": {**_job(connection, job_id), "node": node, **data}}
        text = json.dumps(body, ensure_ascii=False)
        rows += [
            {
                "outbox_id": f"msg_{secrets.token_hex(12)}",
                "webhook_id": webhook_id,
                "event": event,
                "body": text,
                "due_at": time.time(),
                "state": "waiting",
                "created_at": now,
            }
            for webhook_id in wanted
        ]
    connection.execute(insert(outbox), rows)


def _job(connection: Connection, job_id: str | None) -> dict[str, Any]:
    if job_id is None:
        return {}
    columns = (jobs.c.job_id, jobs.c.experiment_id, jobs.c.state, jobs.c.summary, jobs.c.error_code)
    row = connection.execute(select(*columns).where(jobs.c.job_id == job_id)).mappings().first()
    return dict(row) if row is not None else {"job_id": job_id}


def _refuse_unknown(connection: Connection, webhook_id: str) -> None:
    query = select(webhooks.c.webhook_id).where(webhooks.c.webhook_id == webhook_id)
    if connection.execute(query).scalar() is None:
        raise UnknownWebhook(f"There is no webhook {webhook_id[:60]!r}. `GET /api/webhooks` lists them.")
