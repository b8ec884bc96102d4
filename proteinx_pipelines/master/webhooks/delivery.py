"""Sends what is due in the outbox; what fails is due again later, over hours, and is shown as dead in the end."""

import random
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from sqlalchemy import Connection, bindparam, func, select, update

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.master.database.tables import outbox, webhooks
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.webhooks import sending
from proteinx_pipelines.master.webhooks.sending import Outcome

PAUSES_S = (5, 60, 300, 1800, 7200, 18_000, 36_000)
"""Seconds before attempt 2, 3, ...; after the last one a delivery is dead. In all about 19 hours."""
AT_ONCE = 16
_DUE = (
    select(outbox, webhooks.c.url, webhooks.c.secret, webhooks.c.kind)
    .join(webhooks, webhooks.c.webhook_id == outbox.c.webhook_id)
    .where(outbox.c.state == "waiting", outbox.c.due_at <= bindparam("now"), webhooks.c.is_on)
    .order_by(outbox.c.due_at)
    .limit(AT_ONCE)
)

_NEXT = (
    select(func.min(outbox.c.due_at))
    .join(webhooks, webhooks.c.webhook_id == outbox.c.webhook_id)
    .where(outbox.c.state == "waiting", webhooks.c.is_on)
)
LOOK_AGAIN_S = 60.0
"""Longest seconds between two looks at the outbox: the clock may be set."""


class Deliveries:
    """Looks at the outbox of a Master when there is a reason: a commit, or a time that has come."""

    def __init__(self, master: Master) -> None:
        self._master = master
        self._seen, self._next = -1, 0.0

    def look(self) -> int:
        """Send what is due now; returns how many were sent or tried."""
        version = self._master.database.version
        if version == self._seen and time.time() < self._next:
            return 0
        done = deliver_due(self._master)
        with self._master.database.reading() as connection:
            due = connection.execute(_NEXT).scalar()
        again = time.time() + LOOK_AGAIN_S
        self._seen, self._next = version, again if due is None else min(due, again)
        return done


def deliver_due(master: Master) -> int:
    """Send what is due now; returns how many were sent or tried."""
    with master.database.reading() as connection:
        due = [dict(row) for row in connection.execute(_DUE, {"now": time.time()}).mappings()]
    if not due:
        return 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        outcomes = list(pool.map(lambda row: _send(master, row), due))

    def note_all(connection: Connection) -> None:
        for row, outcome in zip(due, outcomes, strict=True):
            _note(connection, row, outcome)

    master.database.write(note_all)
    return len(due)


def _send(master: Master, row: dict[str, Any]) -> Outcome:
    if row["kind"] == "command":
        command = master.settings.webhook_commands.get(row["url"])
        if command is None:
            return Outcome(False, False, "its command is not set any more (PROTEINX_WEBHOOK_COMMANDS)")
        return sending.run(command, row["body"])
    hosts = master.settings.webhook_hosts
    return sending.post(row["url"], row["secret"], row["outbox_id"], row["body"], hosts)


def _note(connection: Connection, row: dict[str, Any], outcome: Outcome) -> None:
    """Write down what came of an attempt, and when the next one is due."""
    attempts = row["attempts"] + 1
    values: dict[str, Any] = {"attempts": attempts, "last_answer": outcome.text}
    if outcome.is_done:
        values |= {"state": "sent", "due_at": None, "ended_at": timestamp()}
    elif outcome.is_gone or attempts > len(PAUSES_S):
        values |= {"state": "dead", "due_at": None, "ended_at": timestamp()}
    else:
        pause = PAUSES_S[attempts - 1] * random.uniform(0.8, 1.2)  # noqa: S311  # spreads, protects nothing
        values |= {"due_at": time.time() + pause}
    connection.execute(update(outbox).where(outbox.c.outbox_id == row["outbox_id"]).values(**values))
    if outcome.is_gone:
        off = update(webhooks).where(webhooks.c.webhook_id == row["webhook_id"]).values(is_on=False)
        connection.execute(off)
