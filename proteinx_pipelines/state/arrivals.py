"""What arrives and what is answered: inbox and outbox, recorded within the caller's transaction."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, case, delete, func, insert, update

from proteinx_pipelines.clock import timestamp, timestamp_before
from proteinx_pipelines.state.engine import transaction
from proteinx_pipelines.state.questions import StateQuestions
from proteinx_pipelines.state.tables import generations, inbox, outbox, transitions, unacknowledged

AGAIN_S = 60.0
"""Seconds in which a result that was delivered again answers the message that reappeared with it."""


class Arrivals(StateQuestions):
    """Facts about messages and their answers."""

    def accept(
        self, connection: Connection, *, experiment_id: str, generation: int, message_key: str,
        message_id: str | None, priority: int, payload_ref: str | None, flags: Mapping[str, Any], raw: bytes,
        reply_to: str | None = None,
    ) -> None:  # fmt: skip
        """Record an accepted message and its PENDING generation. Part of the caller's transaction."""
        now = timestamp()
        connection.execute(
            insert(generations).values(
                experiment_id=experiment_id, generation=generation, state="PENDING", message_key=message_key,
                message_id=message_id, priority=priority, payload_ref=payload_ref, flags=json.dumps(flags),
                reply_to=reply_to, received_at=now, updated_at=now,
            )
        )  # fmt: skip
        connection.execute(
            insert(inbox).values(
                message_key=message_key, received_at=now, verdict="ACCEPTED", experiment_id=experiment_id,
                generation=generation, raw=raw,
            )
        )  # fmt: skip
        record_transition(connection, experiment_id, generation, 1, "PENDING", "received")

    def refuse(
        self, connection: Connection, *, message_key: str, experiment_id: str | None, result_id: str,
        payload: str, raw: bytes, reply_to: str | None = None,
    ) -> None:  # fmt: skip
        """Record a refused message and the answer to it. Part of the caller's transaction."""
        connection.execute(
            insert(inbox).values(
                message_key=message_key, received_at=timestamp(), verdict="REJECTED",
                experiment_id=experiment_id, result_id=result_id, raw=raw,
            )
        )  # fmt: skip
        self.answer(connection, result_id, experiment_id, payload, reply_to)

    def answer(
        self, connection: Connection, result_id: str, experiment_id: str | None, payload: str,
        reply_to: str | None = None,
    ) -> None:  # fmt: skip
        """Put a result into the outbox. Part of the caller's transaction; an id is stored once."""
        statement = insert(outbox).prefix_with("OR IGNORE")
        connection.execute(
            statement.values(
                result_id=result_id,
                experiment_id=experiment_id,
                payload=payload,
                created_at=timestamp(),
                reply_to=reply_to,
            )
        )

    def decided(self, connection: Connection, raw: bytes) -> None:
        """One more copy of a message is decided and still on the claimed list. Part of the caller's transaction."""
        key = hashlib.sha256(raw).hexdigest()
        known = unacknowledged.c.message == key
        changed = connection.execute(
            update(unacknowledged).where(known).values(copies=unacknowledged.c.copies + 1)
        ).rowcount
        if not changed:
            connection.execute(insert(unacknowledged).values(message=key))

    def forget_decided(self) -> None:
        """Every copy that was decided is off the claimed list."""
        with transaction(self.engine) as connection:
            connection.execute(delete(unacknowledged))

    def answer_again(self, connection: Connection, message_key: str) -> None:
        """The message with this key was sent again: its stored result once more, or nothing while it has not ended.

        Part of the caller's transaction.
        """
        known = self.answered(message_key)
        result_id = known.result_id if known is not None else None
        if known is not None and known.verdict == "ACCEPTED":
            current = self.generation(known.experiment_id, known.generation)
            result_id = current.result_id if current is not None else None
        if result_id is not None:
            self.want_again(connection, result_id)

    def want_again(self, connection: Connection, result_id: str) -> None:
        """A message was sent again: deliver its stored result once more.

        Unless that has just been done because Redis had lost the result: the message then came back together with it.
        """
        answered = and_(
            outbox.c.wanted < outbox.c.delivered, outbox.c.delivered_at >= timestamp_before(AGAIN_S)
        )
        wanted = case(
            (answered, outbox.c.wanted + 1), else_=func.max(outbox.c.wanted, outbox.c.delivered) + 1
        )
        connection.execute(update(outbox).where(outbox.c.result_id == result_id).values(wanted=wanted))

    def delivered(self, result_id: str, copy: int) -> None:
        """Copy number `copy` (from 1) of a result has reached the Master's list; two processes may say so."""
        with transaction(self.engine) as connection:
            connection.execute(
                update(outbox)
                .where(outbox.c.result_id == result_id, outbox.c.delivered < copy)
                .values(delivered=copy, delivered_at=timestamp())
            )

    def delivered_again(self, copies: Sequence[tuple[str, int]]) -> None:
        """Copies (result_id, number) were on the Master's list, got lost there, and have been put back.

        `wanted` goes below `delivered` by this one (see `want_again`), or this is the copy asked for meanwhile. One
        transaction for all: it is synced to disk, and thousands may be lost at once.
        """
        with transaction(self.engine) as connection:
            for result_id, copy in copies:
                connection.execute(
                    update(outbox)
                    .where(outbox.c.result_id == result_id, outbox.c.delivered == copy)
                    .values(wanted=func.max(outbox.c.wanted - 1, copy - 1), delivered_at=timestamp())
                )


def record_transition(
    connection: Connection, experiment_id: str, generation: int, attempt: int, state: str, reason: str
) -> None:
    """Record a change of state with its time."""
    connection.execute(
        insert(transitions).values(
            experiment_id=experiment_id, generation=generation, attempt=attempt, state=state, at=timestamp(),
            reason=reason,
        )
    )  # fmt: skip
