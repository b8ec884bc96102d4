"""Questions and facts about experiments: every statement on `state.db` is here.

A generation goes PENDING -> RUNNING -> SUCCEEDED | FAILED | CANCELLED, and back to PENDING for a retry. Its
`token` names the one attempt that may write files. Who decides is `node`; what is answered goes to the outbox
in the same transaction as the state it reports.
"""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row, and_, func, insert, or_, select, update
from sqlalchemy.exc import IntegrityError

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import Superseded
from proteinx_pipelines.state.engine import open_engine, reading, transaction
from proteinx_pipelines.state.tables import generations, inbox, outbox, step_claims, transitions

TERMINAL = ("SUCCEEDED", "FAILED", "CANCELLED")
"""States that a generation does not leave."""


@dataclass(frozen=True)
class Generation:
    """One generation of an experiment, as stored."""

    experiment_id: str
    generation: int
    state: str
    message_key: str
    message_id: str | None
    priority: int
    payload_ref: str | None
    flags: Mapping[str, Any]
    plan: Mapping[str, Any] | None
    attempt: int
    failures: int
    losses: int
    run_id: str | None
    host_pid: int | None
    token: str | None
    stage: str | None
    progress: float | None
    note: str | None
    beat_at: float | None
    worker_pid: int | None
    cancel_requested: bool
    received_at: str
    started_at: str | None
    finished_at: str | None
    deadline: float | None
    updated_at: str
    error_code: str | None
    error_message: str | None
    trace: str | None
    summary: Mapping[str, float]
    stages: Mapping[str, str]
    result_id: str | None

    @property
    def is_terminal(self) -> bool:
        """Whether it has ended."""
        return self.state in TERMINAL

    @property
    def run_key(self) -> str:
        """`id/generation/attempt`: names one execution."""
        return f"{self.experiment_id}/{self.generation}/{self.attempt}"


@dataclass(frozen=True)
class Outcome:
    """How an attempt ended."""

    state: str
    error_code: str | None = None
    error_message: str | None = None
    trace: str | None = None
    summary: Mapping[str, float] | None = None
    stages: Mapping[str, str] | None = None


class StateStore:
    """One open `state.db`. Safe to share between threads; open one a process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine = open_engine(path)

    # ------------------------------------------------------------------ questions
    def latest(self, experiment_id: str) -> Generation | None:
        """The newest generation of an experiment, or None."""
        query = (
            select(generations)
            .where(generations.c.experiment_id == experiment_id)
            .order_by(generations.c.generation.desc())
            .limit(1)
        )
        return self._one(query)

    def generation(self, experiment_id: str, generation: int) -> Generation | None:
        """One generation, or None."""
        return self._one(select(generations).where(_is(experiment_id, generation)))

    def by_run(self, run_id: str) -> Generation | None:
        """The generation whose current attempt is this Dagster run, or None."""
        return self._one(select(generations).where(generations.c.run_id == run_id))

    def in_state(self, *states: str, limit: int = 1000) -> list[Generation]:
        """Generations in these states, those to run first first."""
        query = (
            select(generations)
            .where(generations.c.state.in_(states))
            .order_by(generations.c.priority.desc(), generations.c.sequence)
            .limit(limit)
        )
        return self._many(query)

    def due(self, limit: int) -> list[Generation]:
        """PENDING generations that need a run: none requested yet, back-off over, no earlier generation open."""
        older = generations.alias("older")
        blocked = select(older.c.sequence).where(
            and_(
                older.c.experiment_id == generations.c.experiment_id,
                older.c.generation < generations.c.generation,
                older.c.state.not_in(TERMINAL),
            )
        )
        query = (
            select(generations)
            .where(
                generations.c.state == "PENDING",
                generations.c.run_id.is_(None),
                or_(generations.c.not_before.is_(None), generations.c.not_before <= time.time()),
                ~blocked.exists(),
            )
            .order_by(generations.c.priority.desc(), generations.c.sequence)
            .limit(limit)
        )
        return self._many(query)

    def in_flight(self) -> int:
        """Number of generations that run, or for which a run has been created."""
        query = select(func.count()).where(
            or_(
                generations.c.state == "RUNNING",
                and_(generations.c.state == "PENDING", generations.c.run_id.is_not(None)),
            )
        )
        with reading(self.engine) as connection:
            return int(connection.execute(query).scalar_one())

    def listing(self, limit: int, state: str | None = None) -> list[Generation]:
        """The newest generation of each experiment, last arrived first."""
        newest = select(func.max(generations.c.sequence)).group_by(generations.c.experiment_id)
        query = select(generations).where(generations.c.sequence.in_(newest))
        if state is not None:
            query = query.where(generations.c.state == state)
        return self._many(query.order_by(generations.c.sequence.desc()).limit(limit))

    def counts(self) -> dict[str, int]:
        """Number of generations by state."""
        with reading(self.engine) as connection:
            rows = connection.execute(select(generations.c.state, func.count()).group_by(generations.c.state))
            return {str(state): int(count) for state, count in rows}

    def history(self, experiment_id: str) -> list[dict[str, Any]]:
        """Every transition of an experiment, oldest first."""
        query = select(transitions).where(transitions.c.experiment_id == experiment_id).order_by(transitions.c.id)
        with reading(self.engine) as connection:
            return [dict(row._mapping) for row in connection.execute(query)]

    def answered(self, message_key: str) -> Row[Any] | None:
        """What was decided about a message with this key: `verdict`, `experiment_id`, `generation`, `result_id`."""
        with reading(self.engine) as connection:
            return connection.execute(select(inbox).where(inbox.c.message_key == message_key)).first()

    def undelivered(self, limit: int = 100) -> list[Row[Any]]:
        """Results that the Master's list does not have yet, oldest first."""
        query = select(outbox).where(outbox.c.delivered < outbox.c.wanted).order_by(outbox.c.sequence).limit(limit)
        with reading(self.engine) as connection:
            return list(connection.execute(query))

    def result(self, result_id: str) -> dict[str, Any] | None:
        """A stored result document, or None."""
        with reading(self.engine) as connection:
            payload = connection.execute(select(outbox.c.payload).where(outbox.c.result_id == result_id)).scalar()
        return None if payload is None else dict(json.loads(payload))

    # ------------------------------------------------------------------ intake
    def accept(
        self, connection: Connection, *, experiment_id: str, generation: int, message_key: str,
        message_id: str | None, priority: int, payload_ref: str | None, flags: Mapping[str, Any], raw: bytes,
    ) -> None:  # fmt: skip
        """Record an accepted message and its PENDING generation. Part of the caller's transaction."""
        now = timestamp()
        connection.execute(
            insert(generations).values(
                experiment_id=experiment_id, generation=generation, state="PENDING", message_key=message_key,
                message_id=message_id, priority=priority, payload_ref=payload_ref, flags=json.dumps(flags),
                received_at=now, updated_at=now,
            )
        )  # fmt: skip
        connection.execute(
            insert(inbox).values(
                message_key=message_key, received_at=now, verdict="ACCEPTED", experiment_id=experiment_id,
                generation=generation, raw=raw,
            )
        )  # fmt: skip
        _transition(connection, experiment_id, generation, 1, "PENDING", "received")

    def refuse(
        self, connection: Connection, *, message_key: str, experiment_id: str | None, result_id: str,
        payload: str, raw: bytes,
    ) -> None:  # fmt: skip
        """Record a refused message and the answer to it. Part of the caller's transaction."""
        connection.execute(
            insert(inbox).values(
                message_key=message_key, received_at=timestamp(), verdict="REJECTED",
                experiment_id=experiment_id, result_id=result_id, raw=raw,
            )
        )  # fmt: skip
        self.answer(connection, result_id, experiment_id, payload)

    def answer(self, connection: Connection, result_id: str, experiment_id: str | None, payload: str) -> None:
        """Put a result into the outbox. Part of the caller's transaction; an id is stored once."""
        statement = insert(outbox).prefix_with("OR IGNORE")
        connection.execute(
            statement.values(result_id=result_id, experiment_id=experiment_id, payload=payload, created_at=timestamp())
        )

    def want_again(self, connection: Connection, result_id: str) -> None:
        """A message was sent again: deliver its stored result once more."""
        connection.execute(update(outbox).where(outbox.c.result_id == result_id).values(wanted=outbox.c.wanted + 1))

    def delivered(self, result_id: str) -> None:
        """One copy of a result has reached the Master's list."""
        with transaction(self.engine) as connection:
            connection.execute(
                update(outbox)
                .where(outbox.c.result_id == result_id)
                .values(delivered=outbox.c.delivered + 1, delivered_at=timestamp())
            )

    # ------------------------------------------------------------------ life of an attempt
    def planned(self, experiment_id: str, generation: int, plan: Mapping[str, Any]) -> None:
        """Store what the next execution will do with each stage."""
        self._update(_is(experiment_id, generation), plan=json.dumps(plan))

    def attach_run(self, current: Generation, run_id: str) -> None:
        """Remember the Dagster run that was created for this attempt, so that it is not requested again."""
        self._update(
            and_(
                _is(current.experiment_id, current.generation),
                generations.c.attempt == current.attempt,
                generations.c.state == "PENDING",
            ),
            run_id=run_id,
        )

    def begin(
        self, experiment_id: str, generation: int, attempt: int, *, run_id: str, host_pid: int, timeout_s: float | None
    ) -> str | None:
        """PENDING -> RUNNING for exactly this attempt; its new token, or None when it may not start."""
        token = secrets.token_hex(16)
        now = timestamp()
        with transaction(self.engine) as connection:
            row = connection.execute(
                select(generations.c.deadline, generations.c.started_at).where(_is(experiment_id, generation))
            ).first()
            deadline = row.deadline if row and row.deadline else time.time() + timeout_s if timeout_s else None
            changed = connection.execute(
                update(generations)
                .where(
                    _is(experiment_id, generation),
                    generations.c.attempt == attempt,
                    generations.c.state == "PENDING",
                    generations.c.cancel_requested == 0,
                )
                .values(
                    state="RUNNING", run_id=run_id, host_pid=host_pid, token=token, stage=None, progress=0.0, note=None,
                    started_at=row.started_at if row and row.started_at else now, deadline=deadline,
                    beat_at=time.time(), updated_at=now, error_code=None, error_message=None, trace=None, stages=None,
                )
            ).rowcount  # fmt: skip
            if changed != 1:
                return None
            _transition(connection, experiment_id, generation, attempt, "RUNNING", f"run {run_id}")
        return token

    def beat(self, token: str, *, stage: str, progress: float, note: str, pid: int) -> Generation:
        """Record a sign of progress of the attempt that holds `token`.

        Raises:
            Superseded: the token is not the current one; this attempt must stop writing.
        """
        changed = self._update(
            and_(generations.c.token == token, generations.c.state == "RUNNING"),
            stage=stage, progress=progress, note=note, beat_at=time.time(), worker_pid=pid,
        )  # fmt: skip
        current = self._one(select(generations).where(generations.c.token == token))
        if changed != 1 or current is None:
            raise Superseded("This attempt no longer owns the experiment; a newer one does, or it has ended.")
        return current

    def holds(self, token: str) -> bool:
        """Whether `token` still names the running attempt."""
        query = select(generations.c.sequence).where(generations.c.token == token, generations.c.state == "RUNNING")
        with reading(self.engine) as connection:
            return connection.execute(query).first() is not None

    def note_error(self, token: str, code: str, message: str, trace: str) -> None:
        """Keep what went wrong inside a stage until the run ends; the first error of an attempt stays."""
        self._update(
            and_(generations.c.token == token, generations.c.error_code.is_(None)),
            error_code=code, error_message=message, trace=trace,
        )  # fmt: skip

    def note_stage(self, token: str, stage: str, action: str) -> None:
        """Keep what happened to one stage: reused, taken or computed."""
        with transaction(self.engine) as connection:
            row = connection.execute(select(generations.c.stages).where(generations.c.token == token)).first()
            stages = json.loads(row.stages) if row and row.stages else {}
            stages[stage] = action
            connection.execute(update(generations).where(generations.c.token == token).values(stages=json.dumps(stages)))

    def retry(self, current: Generation, *, delay_s: float, reason: str, counts: bool) -> bool:
        """RUNNING or PENDING -> PENDING with the next attempt number; the old token is dead from here on."""
        with transaction(self.engine) as connection:
            changed = connection.execute(
                update(generations)
                .where(
                    _is(current.experiment_id, current.generation),
                    generations.c.attempt == current.attempt,
                    generations.c.state.not_in(TERMINAL),
                )
                .values(
                    state="PENDING", attempt=current.attempt + 1, token=None, run_id=None, host_pid=None,
                    worker_pid=None,
                    not_before=time.time() + delay_s, updated_at=timestamp(),
                    failures=current.failures + (1 if counts else 0), losses=current.losses + (0 if counts else 1),
                )
            ).rowcount  # fmt: skip
            if changed == 1:
                _transition(
                    connection, current.experiment_id, current.generation, current.attempt + 1, "PENDING", reason
                )
        return changed == 1

    def finish(self, current: Generation, outcome: Outcome, result_id: str, payload: str) -> bool:
        """Set a terminal state and put its result into the outbox, in one transaction; False when it has ended already."""
        now = timestamp()
        with transaction(self.engine) as connection:
            changed = connection.execute(
                update(generations)
                .where(
                    _is(current.experiment_id, current.generation),
                    generations.c.attempt == current.attempt,
                    generations.c.state.not_in(TERMINAL),
                )
                .values(
                    state=outcome.state, finished_at=now, updated_at=now, token=None, progress=1.0,
                    error_code=outcome.error_code, error_message=outcome.error_message, trace=outcome.trace,
                    summary=json.dumps(dict(outcome.summary or {})), stages=json.dumps(dict(outcome.stages or {})),
                    result_id=result_id,
                )
            ).rowcount  # fmt: skip
            if changed != 1:
                return False
            reason = outcome.error_code or "finished"
            _transition(
                connection, current.experiment_id, current.generation, current.attempt, outcome.state, reason
            )
            self.answer(connection, result_id, current.experiment_id, payload)
        return True

    def request_cancel(self, experiment_id: str) -> Generation | None:
        """Ask for the open generations of an experiment to stop; the newest of them, or None when none is open."""
        self._update(
            and_(generations.c.experiment_id == experiment_id, generations.c.state.not_in(TERMINAL)), cancel_requested=1
        )
        current = self.latest(experiment_id)
        return current if current is not None and not current.is_terminal else None

    def claim_steps(self, run_id: str, step_keys: Sequence[str], task_id: str, pid: int) -> bool:
        """Whether this task is the first to execute these steps of a run: Celery may deliver a task twice."""
        statement = insert(step_claims).values(
            run_id=run_id, step_keys=",".join(step_keys), task_id=task_id, pid=pid, at=timestamp()
        )
        try:
            with transaction(self.engine) as connection:
                connection.execute(statement)
        except IntegrityError:
            return False
        return True

    # ------------------------------------------------------------------ plumbing
    def _one(self, query: Any) -> Generation | None:
        found = self._many(query)
        return found[0] if found else None

    def _many(self, query: Any) -> list[Generation]:
        with reading(self.engine) as connection:
            return [_generation(row) for row in connection.execute(query)]

    def _update(self, condition: Any, **values: Any) -> int:
        with transaction(self.engine) as connection:
            statement = update(generations).where(condition).values(updated_at=timestamp(), **values)
            return int(connection.execute(statement).rowcount)


def _is(experiment_id: str, generation: int) -> Any:
    return and_(generations.c.experiment_id == experiment_id, generations.c.generation == generation)


def _transition(
    connection: Connection, experiment_id: str, generation: int, attempt: int, state: str, reason: str
) -> None:
    connection.execute(
        insert(transitions).values(
            experiment_id=experiment_id, generation=generation, attempt=attempt, state=state, at=timestamp(),
            reason=reason,
        )
    )  # fmt: skip


_JSON_COLUMNS = {"flags": {}, "plan": None, "summary": {}, "stages": {}}
_FIELDS = tuple(Generation.__dataclass_fields__)


def _generation(row: Row[Any]) -> Generation:
    values = {name: getattr(row, name) for name in _FIELDS}
    for name, empty in _JSON_COLUMNS.items():
        values[name] = json.loads(values[name]) if values[name] else empty
    values["cancel_requested"] = bool(values["cancel_requested"])
    return Generation(**values)
