"""Queries about experiments: every SELECT on the ledger. `arrivals` and `ledger` record the facts."""

import json
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Row, and_, func, or_, select

from proteinx_pipelines.ledger.engine import reading
from proteinx_pipelines.ledger.generation import MAX_BACKOFF_S, TERMINAL, Generation, generation_of
from proteinx_pipelines.ledger.migrations import open_engine
from proteinx_pipelines.ledger.tables import (
    HERE,
    attempts,
    executed_lives,
    executions,
    inbox,
    lives,
    outbox,
    transitions,
    unacknowledged,
)


class Queries:
    """Reads one open `state.db`."""

    def __init__(self, path: Path | str) -> None:
        self.engine = open_engine(path)

    def latest(self, experiment_id: str) -> Generation | None:
        """The newest generation of an experiment, or None."""
        query = (
            whole().where(lives.c.experiment_id == experiment_id).order_by(lives.c.generation.desc()).limit(1)
        )
        return self._one(query)

    def generation(self, experiment_id: str, generation: int) -> Generation | None:
        """One generation, or None."""
        return self._one(whole().where(this_generation(experiment_id, generation)))

    def by_run(self, run_id: str) -> Generation | None:
        """The generation whose current attempt is this Dagster run, or None."""
        return self._one(whole().where(executions.c.run_id == run_id))

    def in_state(self, *states: str, limit: int = 1000) -> list[Generation]:
        """Generations in these states, those to run first first."""
        query = (
            whole()
            .where(lives.c.state.in_(states))
            .order_by(lives.c.priority.desc(), lives.c.sequence)
            .limit(limit)
        )
        return self._many(query)

    def due(self, limit: int) -> list[Generation]:
        """PENDING generations that need a run: none requested yet, back-off over, no earlier generation open."""
        older = lives.alias("older")
        blocked = select(older.c.sequence).where(
            and_(
                older.c.experiment_id == lives.c.experiment_id,
                older.c.generation < lives.c.generation,
                older.c.state.not_in(TERMINAL),
            )
        )
        now = time.time()
        query = (
            whole()
            .where(
                lives.c.state == "PENDING",
                executions.c.run_id.is_(None),
                or_(
                    lives.c.not_before.is_(None),
                    lives.c.not_before <= now,
                    lives.c.not_before > now + 2 * MAX_BACKOFF_S,  # the clock was put back since
                ),
                ~blocked.exists(),
            )
            .order_by(lives.c.priority.desc(), lives.c.sequence)
            .limit(limit)
        )
        return self._many(query)

    def to_cancel(self) -> list[Generation]:
        """PENDING generations with a cancel request."""
        query = whole().where(lives.c.state == "PENDING", lives.c.cancel_requested == 1)
        return self._many(query)

    def between_attempts(self) -> list[Generation]:
        """PENDING generations that have begun once and have a time limit, which keeps running."""
        query = whole().where(lives.c.state == "PENDING", executions.c.deadline.is_not(None))
        return self._many(query)

    def in_flight(self) -> int:
        """Number of generations that run, or for which a run has been created."""
        query = (
            select(func.count())
            .select_from(executed_lives)
            .where(
                lives.c.state.in_(("RUNNING", "PENDING")),
                or_(lives.c.state == "RUNNING", executions.c.run_id.is_not(None)),
            )
        )
        with reading(self.engine) as connection:
            return int(connection.execute(query).scalar_one())

    def listing(self, limit: int, state: str | None = None) -> list[Generation]:
        """The newest generation of each experiment, last arrived first."""
        newest = select(func.max(lives.c.sequence)).group_by(lives.c.experiment_id)
        query = whole().where(lives.c.sequence.in_(newest))
        if state is not None:
            query = query.where(lives.c.state == state)
        return self._many(query.order_by(lives.c.sequence.desc()).limit(limit))

    def lately_changed(self, since: str, among: int = 2_000) -> list[Generation]:
        """Generations with a `message_id` that were changed at `since` or later, first arrived first.

        Args:
            since: a time as the rows have it.
            among: so many of the last arrived are looked at.
        """
        return [each for each in self.changed_since(since, among) if each.message_id is not None]

    def changed_since(self, since: str, among: int = 2_000) -> list[Generation]:
        """Generations that were changed at `since` or later, first arrived first; of the last `among` arrived."""
        last = select(func.max(lives.c.sequence)).scalar_subquery()
        query = whole().where(lives.c.sequence > last - among, lives.c.updated_at >= since)
        return self._many(query.order_by(lives.c.sequence))

    def ended_since(self, since: str | None) -> list[Generation]:
        """Generations that have ended since a time (None: ever), first ended first."""
        query = whole().where(lives.c.state.in_(TERMINAL))
        if since is not None:
            query = query.where(lives.c.finished_at >= since)
        return self._many(query.order_by(lives.c.finished_at))

    def oldest_waiting(self) -> str | None:
        """Time of arrival of the generation that has waited longest; None where none waits."""
        query = select(func.min(lives.c.received_at)).where(lives.c.state == "PENDING")
        with reading(self.engine) as connection:
            return connection.execute(query).scalar()

    def owed(self) -> tuple[int, str | None]:
        """Number of results that are not delivered yet, and when the oldest of them came to be."""
        query = select(func.count(), func.min(outbox.c.created_at)).where(
            outbox.c.delivered < outbox.c.wanted
        )
        with reading(self.engine) as connection:
            number, oldest = connection.execute(query).one()
        return int(number), oldest

    def rejections(self, limit: int) -> list[dict[str, Any]]:
        """Refused messages, last arrived first: `experiment_id`, `received_at` and the `result` document."""
        query = (
            select(inbox.c.experiment_id, inbox.c.received_at, outbox.c.payload)
            .join_from(inbox, outbox, inbox.c.result_id == outbox.c.result_id)
            .where(inbox.c.verdict == "REJECTED")
            .order_by(inbox.c.received_at.desc())
            .limit(limit)
        )
        with reading(self.engine) as connection:
            found = [row._asdict() for row in connection.execute(query)]
        return [{**row, "result": json.loads(row.pop("payload"))} for row in found]

    def open_ids(self) -> set[str]:
        """Ids, case-folded, of the experiments that wait or run."""
        query = select(lives.c.experiment_id).where(lives.c.state.not_in(TERMINAL))
        with reading(self.engine) as connection:
            return {str(experiment_id).casefold() for (experiment_id,) in connection.execute(query)}

    def counts(self) -> dict[str, int]:
        """Number of generations by state."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(lives.c.state, func.count()).group_by(lives.c.state))
            return {str(state): int(count) for state, count in rows}

    def history(self, experiment_id: str) -> list[dict[str, Any]]:
        """Every transition of an experiment, oldest first."""
        query = (
            select(transitions).where(transitions.c.experiment_id == experiment_id).order_by(transitions.c.id)
        )
        with reading(self.engine) as connection:
            return [row._asdict() for row in connection.execute(query)]

    def attempts_at(self, experiment_id: str, generation: int) -> list[dict[str, Any]]:
        """Every attempt at a generation, oldest first: times, state, stage, error and trace.

        A node of release 0.1.0 kept only the last one.
        """
        which = attempts.c.experiment_id == experiment_id, attempts.c.generation == generation
        query = select(attempts).where(*which).order_by(attempts.c.attempt)
        with reading(self.engine) as connection:
            found = [row._asdict() for row in connection.execute(query)]
        return [{name: value for name, value in row.items() if name != "id"} for row in found]

    def answered(self, message_key: str) -> Row[Any] | None:
        """Decision about the message with this key: `verdict`, `experiment_id`, `generation`, `result_id`."""
        with reading(self.engine) as connection:
            return connection.execute(select(inbox).where(inbox.c.message_key == message_key)).first()

    def undelivered(self, limit: int = 100, after: int = 0) -> list[Row[Any]]:
        """Results that the Master's list does not have yet, oldest first, after sequence number `after`."""
        query = (
            select(outbox)
            .where(outbox.c.delivered < outbox.c.wanted)
            .order_by(outbox.c.sequence)
            .limit(limit)
        )
        if after:
            query = query.where(outbox.c.sequence > after)
        with reading(self.engine) as connection:
            return list(connection.execute(query))

    def delivered_last(self, limit: int, since: str) -> list[Row[Any]]:
        """`result_id` and `delivered` of the last deliveries since a time; newest first."""
        query = (
            select(outbox.c.result_id, outbox.c.delivered)
            .where(outbox.c.delivered_at >= since)
            .order_by(outbox.c.delivered_at.desc())
            .limit(limit)
        )
        with reading(self.engine) as connection:
            return list(connection.execute(query))

    def delivered_since(self, time: str, after: int, limit: int = 100) -> list[Row[Any]]:
        """Results delivered since a time, in order of creation, after sequence number `after`."""
        query = (
            select(outbox)
            .where(outbox.c.delivered_at >= time, outbox.c.sequence > after)
            .order_by(outbox.c.sequence)
            .limit(limit)
        )
        with reading(self.engine) as connection:
            return list(connection.execute(query))

    def decided_copies(self) -> dict[str, int]:
        """SHA-256 of a message's bytes -> number of copies decided and possibly still on the claimed list."""
        with reading(self.engine) as connection:
            return {str(row.message): int(row.copies) for row in connection.execute(select(unacknowledged))}

    def result(self, result_id: str) -> dict[str, Any] | None:
        """A stored result document, or None."""
        with reading(self.engine) as connection:
            payload = connection.execute(
                select(outbox.c.payload).where(outbox.c.result_id == result_id)
            ).scalar()
        return None if payload is None else dict(json.loads(payload))

    def _one(self, query: Any) -> Generation | None:
        found = self._many(query)
        return found[0] if found else None

    def _many(self, query: Any) -> list[Generation]:
        with reading(self.engine) as connection:
            return [generation_of(row) for row in connection.execute(query)]


def whole() -> Any:
    """A SELECT of both halves of generations, to be narrowed."""
    return select(*lives.c, *(executions.c[name] for name in HERE)).select_from(executed_lives)


def this_generation(experiment_id: str, generation: int) -> Any:
    """The condition that names one generation."""
    return and_(lives.c.experiment_id == experiment_id, lives.c.generation == generation)
