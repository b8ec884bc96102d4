"""Records messages that arrive and answers to them: inbox and outbox."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, delete, insert, literal, update

from proteinx_pipelines.clock import timestamp, timestamp_before
from proteinx_pipelines.ledger.engine import dialect_of, new_id, transaction
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.ledger.queries import Queries
from proteinx_pipelines.ledger.tables import executions, inbox, lives, outbox, transitions, unacknowledged


class AlreadyKnown(Exception):  # an answer, not an error
    """An experiment of this id is known, and the message does not ask for another generation."""

    def __init__(self, latest: Generation) -> None:
        self.latest = latest
        super().__init__(latest.run_key)


class Arrivals(Queries):
    """Facts about messages and their answers; each method is one transaction."""

    def accept(
        self, *, experiment_id: str, message_key: str, message_id: str | None, priority: int,
        payload_ref: str | None, flags: Mapping[str, Any], raw: bytes, reply_to: str | None = None,
        may_repeat: bool = True, elsewhere: int = 0,
    ) -> Generation:  # fmt: skip
        """Record an accepted message and its PENDING generation, the next one of its experiment.

        Args:
            experiment_id: the experiment; a known one keeps its spelling.
            message_key: key that a re-sent copy of the message shares.
            message_id: the sender's name for it.
            priority: higher goes first.
            payload_ref: the experiment's own data file.
            flags: nested, with defaults.
            raw: the message as it came; this copy counts as decided.
            reply_to: name of the list that takes the result.
            may_repeat: true if a known experiment gets another generation.
            elsewhere: newest generation that another WORKDIR has finished of an experiment that this one does not know.

        Raises:
            AlreadyKnown: the experiment is known and may not be repeated; nothing was changed.
        """
        with transaction(self.engine) as connection:
            latest = self.latest(experiment_id)
            if latest is not None and not may_repeat:
                raise AlreadyKnown(latest)
            number = (elsewhere if latest is None else latest.generation) + 1
            experiment_id = experiment_id if latest is None else latest.experiment_id
            now = timestamp()
            life = new_id(connection.execute(
                insert(lives).values(
                    experiment_id=experiment_id, generation=number, state="PENDING", message_key=message_key,
                    message_id=message_id, priority=priority, payload_ref=payload_ref, flags=json.dumps(flags),
                    reply_to=reply_to, received_at=now, updated_at=now,
                )
            ))  # fmt: skip
            connection.execute(insert(executions).values(life=life))
            connection.execute(
                insert(inbox).values(
                    message_key=message_key, received_at=now, verdict="ACCEPTED", experiment_id=experiment_id,
                    generation=number, raw=raw,
                )
            )  # fmt: skip
            record_transition(connection, experiment_id, number, 1, "PENDING", "received")
            note_decided(connection, raw)
        accepted = self.generation(experiment_id, number)
        assert accepted is not None
        return accepted

    def refuse(
        self, *, message_key: str, experiment_id: str | None, result_id: str, payload: str, raw: bytes,
        kept: bytes, reply_to: str | None = None,
    ) -> None:  # fmt: skip
        """Record a refused message and the answer to it; a known message is answered with the stored result.

        Args:
            message_key: key that a re-sent copy of the message shares.
            experiment_id: the experiment, where the message has a usable id.
            result_id: identity of the refusal.
            payload: the refusal.
            raw: the message as it came; this copy counts as decided.
            kept: the beginning of the message that is stored.
            reply_to: name of the list that takes the refusal.
        """
        with transaction(self.engine) as connection:
            if self.answered(message_key) is not None:
                self._answer_again(connection, message_key)
            else:
                connection.execute(
                    insert(inbox).values(
                        message_key=message_key, received_at=timestamp(), verdict="REJECTED",
                        experiment_id=experiment_id, result_id=result_id, raw=kept,
                    )
                )  # fmt: skip
                owe(connection, result_id, experiment_id, payload, reply_to)
            note_decided(connection, raw)

    def answer_again(self, message_key: str, raw: bytes) -> None:
        """Answer a re-sent message with its stored result once more, or with nothing while it has not ended."""
        with transaction(self.engine) as connection:
            self._answer_again(connection, message_key)
            note_decided(connection, raw)

    def forget_decided(self, copies: Mapping[str, int]) -> None:
        """Forget decided copies (SHA-256 of a message's bytes -> how many, at least one): off the claimed list."""
        fewer = update(unacknowledged).where(unacknowledged.c.message == bindparam("key"))
        fewer = fewer.values(copies=unacknowledged.c.copies - bindparam("count"))
        with transaction(self.engine) as connection:
            connection.execute(fewer, [{"key": key, "count": count} for key, count in copies.items()])
            connection.execute(delete(unacknowledged).where(unacknowledged.c.copies <= 0))

    def want_again(self, result_id: str) -> None:
        """Deliver the stored result of a re-sent message once more."""
        with transaction(self.engine) as connection:
            _want_again(connection, result_id)

    def delivered(self, result_id: str, copy: int) -> None:
        """Record that copy number `copy` (from 1) of a result is on the Master's list; two processes may record it."""
        with transaction(self.engine) as connection:
            connection.execute(
                update(outbox)
                .where(outbox.c.result_id == result_id, outbox.c.delivered < copy)
                .values(delivered=copy, delivered_at=timestamp())
            )

    def delivering_again(self, copies: Sequence[tuple[str, int]]) -> None:
        """Record that copies (result_id, number) got lost on the Master's list and are about to be put back.

        `wanted` goes below `delivered` by this one (see `want_again`), or this is the copy asked for meanwhile; where
        it is below already, an earlier call did not come to the push. One transaction for all: each is synced to disk,
        and thousands may be lost at once.
        """
        noted = outbox.c.wanted < outbox.c.delivered
        with transaction(self.engine) as connection:
            for result_id, copy in copies:
                wanted = case((noted, outbox.c.wanted), else_=_larger(outbox.c.wanted - 1, literal(copy - 1)))
                connection.execute(
                    update(outbox)
                    .where(outbox.c.result_id == result_id, outbox.c.delivered == copy)
                    .values(wanted=wanted, delivered_at=timestamp())
                )

    def _answer_again(self, connection: Connection, message_key: str) -> None:
        known = self.answered(message_key)
        result_id = known.result_id if known is not None else None
        if known is not None and known.verdict == "ACCEPTED":
            current = self.generation(known.experiment_id, known.generation)
            result_id = current.result_id if current is not None else None
        if result_id is not None:
            _want_again(connection, result_id)


def owe(
    connection: Connection, result_id: str, experiment_id: str | None, payload: str, reply_to: str | None
) -> None:
    """Put a result into the outbox; an id is stored once. Part of the caller's transaction."""
    statement = dialect_of(connection.engine).insert_new(outbox)
    connection.execute(
        statement.values(
            result_id=result_id, experiment_id=experiment_id, payload=payload, created_at=timestamp(),
            reply_to=reply_to,
        )
    )  # fmt: skip


def note_decided(connection: Connection, raw: bytes) -> None:
    """Record one more copy of a message as decided and still on the claimed list. Part of the caller's transaction."""
    key = hashlib.sha256(raw).hexdigest()
    known = unacknowledged.c.message == key
    changed = connection.execute(
        update(unacknowledged).where(known).values(copies=unacknowledged.c.copies + 1)
    ).rowcount
    if not changed:
        connection.execute(insert(unacknowledged).values(message=key))


def _want_again(connection: Connection, result_id: str) -> None:
    """Ask for one more copy, unless a delivery after a loss in Redis already answered the message (see `AGAIN_S`)."""
    from proteinx_pipelines.contract.result import AGAIN_S  # deferred: typed documents, which only this needs

    answered = and_(outbox.c.wanted < outbox.c.delivered, outbox.c.delivered_at >= timestamp_before(AGAIN_S))
    wanted = case((answered, outbox.c.wanted + 1), else_=_larger(outbox.c.wanted, outbox.c.delivered) + 1)
    connection.execute(update(outbox).where(outbox.c.result_id == result_id).values(wanted=wanted))


def _larger(one: Any, other: Any) -> Any:
    """The larger of two columns: SQLite calls this MAX, PostgreSQL GREATEST."""
    return case((one > other, one), else_=other)


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
