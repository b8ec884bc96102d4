"""The life of an attempt: every change of a generation's state.

A generation goes PENDING -> RUNNING -> SUCCEEDED | FAILED | CANCELLED, and back to PENDING for a retry. Its
`token` names the one attempt that may write files. `node` decides; the answer goes to the outbox in
the same transaction as the state it reports.
"""

import json
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Row, and_, insert, select, update
from sqlalchemy.exc import IntegrityError

from proteinx_pipelines.clock import boot_id, steady_seconds, timestamp
from proteinx_pipelines.errors import Superseded
from proteinx_pipelines.ledger.arrivals import Arrivals, owe, record_transition
from proteinx_pipelines.ledger.attempts import record_begin, record_end
from proteinx_pipelines.ledger.engine import reading, transaction
from proteinx_pipelines.ledger.experiment_rows import Rows, forget, put_back, rows_of
from proteinx_pipelines.ledger.generation import TERMINAL, Generation, Outcome
from proteinx_pipelines.ledger.identity import Identity
from proteinx_pipelines.ledger.queries import this_generation, whole
from proteinx_pipelines.ledger.tables import HERE, executed_lives, executions, lives, step_claims


class Ledger(Arrivals, Identity):
    """One open ledger: questions, arrivals, and the life of attempts. Safe between threads.

    Every method is a transaction of its own, or reads; no caller opens one.
    """

    def planned(self, experiment_id: str, generation: int, plan: Mapping[str, Any]) -> None:
        """Store the planned action of each stage for the next execution."""
        self._update(this_generation(experiment_id, generation), plan=json.dumps(plan))

    def attach_run(self, current: Generation, run_id: str) -> None:
        """Record the Dagster run created for this attempt, so that it is not requested again."""
        self._update(
            and_(
                this_generation(current.experiment_id, current.generation),
                lives.c.attempt == current.attempt,
                lives.c.state == "PENDING",
            ),
            run_id=run_id,
        )

    def begin(
        self,
        experiment_id: str,
        generation: int,
        attempt: int,
        *,
        run_id: str,
        host_pid: int,
        timeout_s: float | None,
        oom_kills: int | None = None,
    ) -> str | None:
        """PENDING -> RUNNING for exactly this attempt; its new token, or None when it may not start.

        Args:
            experiment_id: of the generation.
            generation: its number.
            attempt: its number.
            run_id: Dagster's name for the execution.
            host_pid: the process that holds the run's loop.
            timeout_s: the time limit, in seconds from the first attempt's beginning; None has no limit.
            oom_kills: number of processes the kernel has killed for memory so far, None where there is no count.
        """
        token = secrets.token_hex(16)
        now = timestamp()
        with transaction(self.engine) as connection:
            row = connection.execute(whole().where(this_generation(experiment_id, generation))).first()
            deadline = _deadline(row, timeout_s)
            changed = _change(
                connection,
                and_(
                    this_generation(experiment_id, generation),
                    lives.c.attempt == attempt,
                    lives.c.state == "PENDING",
                    lives.c.cancel_requested == 0,
                ),
                state="RUNNING", run_id=run_id, host_pid=host_pid, token=token, stage=None, progress=0.0, note=None,
                started_at=row.started_at if row and row.started_at else now, deadline=deadline,
                boot=boot_id(), limit_left=None if deadline is None else deadline - steady_seconds(),
                oom_kills=oom_kills, beat_at=time.time(), error_code=None, error_message=None,
                trace=None,
            )  # fmt: skip
            if changed != 1:
                return None
            record_transition(connection, experiment_id, generation, attempt, "RUNNING", f"run {run_id}")
            record_begin(connection, experiment_id, generation, attempt, run_id)
        return token

    def beat(self, token: str, *, stage: str, progress: float, note: str, pid: int) -> Generation:
        """Record a sign of progress of the attempt that holds `token`.

        Raises:
            Superseded: the token is not the current one; this attempt must stop writing.
        """
        changed = self._update(
            and_(executions.c.token == token, lives.c.state == "RUNNING"),
            stage=stage, progress=progress, note=note, beat_at=time.time(), worker_pid=pid,
            limit_left=executions.c.deadline - steady_seconds(),
        )  # fmt: skip
        current = self._one(whole().where(executions.c.token == token))
        if changed != 1 or current is None:
            raise Superseded("This attempt no longer owns the experiment; a newer one does, or it has ended.")
        return current

    def holds(self, token: str) -> bool:
        """True if `token` still names the running attempt."""
        query = (
            select(lives.c.sequence)
            .select_from(executed_lives)
            .where(executions.c.token == token, lives.c.state == "RUNNING")
        )
        with reading(self.engine) as connection:
            return connection.execute(query).first() is not None

    def note_error(self, token: str, code: str, message: str, trace: str) -> None:
        """Keep the error of a stage until the run ends; the first error of an attempt stays."""
        self._update(
            and_(executions.c.token == token, lives.c.error_code.is_(None)),
            error_code=code, error_message=message, trace=trace,
        )  # fmt: skip

    def note_stage(self, token: str, stage: str, action: str) -> None:
        """Record the action of one stage in this generation: computed, taken or reused.

        A stage that an earlier attempt computed or took, and that this one finds there, stays computed or taken.
        """
        with transaction(self.engine) as connection:
            holds = executions.c.token == token
            row = connection.execute(select(lives.c.stages).select_from(executed_lives).where(holds)).first()
            stages = json.loads(row.stages) if row and row.stages else {}
            stages[stage] = stages.get(stage, action) if action == "reused" else action
            _change(connection, holds, stages=json.dumps(stages))

    def retry(
        self,
        current: Generation,
        *,
        delay_s: float,
        reason: str,
        counts: bool | None,
        outcome: Outcome | None = None,
    ) -> bool:
        """RUNNING or PENDING -> PENDING with the next attempt number; the old token is dead from here on.

        Clears the attempt's error from the generation: if the next attempt never starts, the old error must not become
        the result. `attempts` keeps it.

        Args:
            current: as it was read; nothing happens when it has changed its state or attempt since.
            delay_s: the new attempt does not start for this many seconds.
            reason: for the history.
            counts: true uses up one of the experiment's retries, false one of the node's losses, None neither.
            outcome: how this attempt ended; None when it vanished, and `reason` is all that is known.

        Returns:
            Whether there is a next attempt.
        """
        with transaction(self.engine) as connection:
            changed = _change(
                connection,
                _as_read(current),
                state="PENDING", attempt=current.attempt + 1, token=None, run_id=None, host_pid=None,
                worker_pid=None, stage=None, progress=0.0, note=None, beat_at=None, oom_kills=None,
                error_code=None, error_message=None, trace=None,
                not_before=time.time() + delay_s,
                failures=current.failures + (counts is True), losses=current.losses + (counts is False),
            )  # fmt: skip
            if changed == 1:
                record_end(connection, current, outcome, reason)
                record_transition(
                    connection,
                    current.experiment_id,
                    current.generation,
                    current.attempt + 1,
                    "PENDING",
                    reason,
                )
        return changed == 1

    def finish(self, current: Generation, outcome: Outcome, result_id: str, payload: str) -> bool:
        """Set a terminal state with its result, in one transaction.

        Returns:
            False when the generation has changed since it was read: it has begun, is tried again, or has ended.
        """
        now = timestamp()
        with transaction(self.engine) as connection:
            changed = _change(
                connection,
                _as_read(current),
                state=outcome.state, finished_at=now, token=None, progress=1.0,
                error_code=outcome.error_code, error_message=outcome.error_message, trace=outcome.trace,
                summary=json.dumps(dict(outcome.summary or {})), stages=json.dumps(dict(outcome.stages or {})),
                result_id=result_id,
            )  # fmt: skip
            if changed != 1:
                return False
            reason = outcome.error_code or "finished"
            record_transition(
                connection, current.experiment_id, current.generation, current.attempt, outcome.state, reason
            )
            record_end(connection, current, outcome)
            owe(connection, result_id, current.experiment_id, payload, current.reply_to)
        return True

    def stands_as_read(self, current: Generation) -> bool:
        """True if no decision about a generation was made since it was read."""
        query = select(lives.c.sequence).select_from(executed_lives).where(_as_read(current))
        with reading(self.engine) as connection:
            return connection.execute(query).first() is not None

    def request_cancel(self, experiment_id: str) -> Generation | None:
        """Ask the open generations of an experiment to stop; returns the newest, or None when none is open."""
        self._update(
            and_(lives.c.experiment_id == experiment_id, lives.c.state.not_in(TERMINAL)),
            cancel_requested=1,
        )
        current = self.latest(experiment_id)
        return current if current is not None and not current.is_terminal else None

    def claim_steps(self, run_id: str, step_keys: Sequence[str], task_id: str, pid: int) -> bool:
        """True if this task is the first to execute these steps of a run: Celery may deliver a task twice."""
        statement = insert(step_claims).values(
            run_id=run_id, step_keys=",".join(step_keys), task_id=task_id, pid=pid, at=timestamp()
        )
        try:
            with transaction(self.engine) as connection:
                connection.execute(statement)
        except IntegrityError:
            return False
        return True

    def steps_are_claimed(self, run_id: str) -> bool:
        """True if a process has begun to execute the steps of a run."""
        return self.step_process(run_id) is not None

    def step_process(self, run_id: str) -> int | None:
        """Id of the process that has begun to execute the steps of a run, or None."""
        query = select(step_claims.c.pid).where(step_claims.c.run_id == run_id)
        with reading(self.engine) as connection:
            return connection.execute(query).scalar()

    @contextmanager
    def held(self) -> Iterator["Held"]:
        """Lock the ledger for the block: no attempt begins and none is superseded, so files may be moved.

        Raises:
            StateError: the database cannot be written.
        """
        with transaction(self.engine) as connection:
            yield Held(connection)

    def rows_of(self, experiment_id: str) -> dict[str, list[dict[str, Any]]]:
        """Every row of an experiment, as JSON types: for its archive."""
        with reading(self.engine) as connection:
            return rows_of(connection, experiment_id)

    def _update(self, condition: Any, **values: Any) -> int:
        with transaction(self.engine) as connection:
            return _change(connection, condition, **values)


class Held:
    """A ledger locked against changes by others; made by `Ledger.held`."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def forget(self, experiment_id: str) -> int:
        """Remove every row of an experiment, except results that are still owed; returns how many."""
        return forget(self._connection, experiment_id)

    def put_back(self, experiment_id: str, rows: Rows) -> int:
        """Insert the rows of an experiment that has none; returns how many."""
        return put_back(self._connection, experiment_id, rows)


def _change(connection: Connection, condition: Any, **values: Any) -> int:
    """Set fields of the generations that meet a condition, each in its half. Part of the transaction.

    Returns:
        The number of generations changed.
    """
    query = select(lives.c.sequence).select_from(executed_lives).where(condition)
    found = list(connection.execute(query).scalars())
    if not found:
        return 0
    here = {name: value for name, value in values.items() if name in HERE}
    anywhere = {name: value for name, value in values.items() if name not in here}
    statement = update(lives).where(lives.c.sequence.in_(found))
    connection.execute(statement.values(updated_at=timestamp(), **anywhere))
    if here:
        connection.execute(update(executions).where(executions.c.life.in_(found)).values(**here))
    return len(found)


def _deadline(row: Row[Any] | None, timeout_s: float | None) -> float | None:
    """Deadline of a generation that begins, or begins again, by the clock of this boot.

    Time between attempts counts too, where a boot has an id (Linux); time while the machine was off does not.
    """
    if timeout_s is None:
        return None
    if row is None or row.deadline is None or row.limit_left is None:
        return steady_seconds() + timeout_s
    latest = steady_seconds() + float(row.limit_left)
    # Without a boot id, this boot cannot be distinguished from the one in which the deadline was set.
    same_boot = bool(row.boot) and row.boot == boot_id()
    return min(float(row.deadline), latest) if same_boot else latest


def _as_read(current: Generation) -> Any:
    """Condition that the row has not changed since `current` was read: the decision about it still holds."""
    return and_(
        this_generation(current.experiment_id, current.generation),
        lives.c.attempt == current.attempt,
        lives.c.state == current.state,
        lives.c.state.not_in(TERMINAL),
    )
