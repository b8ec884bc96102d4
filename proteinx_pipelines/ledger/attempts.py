"""The record of each attempt at a generation: when it ran, how it ended, its error and trace.

`lives` holds what is true of the attempt that counts now; a retry clears its error there. Here every attempt
keeps its own, written in the transaction that ends it.
"""

from typing import Any

from sqlalchemy import Connection, and_, insert, select, update

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.ledger.generation import TERMINAL, Generation, Outcome
from proteinx_pipelines.ledger.tables import attempts, executed_lives, executions, lives

LOST = "LOST"
"""State of an attempt that left no error: its process vanished, or it got a new run."""
TRACE_CHARS = 20_000
"""Length of the end of a trace that is kept."""
MESSAGE_CHARS = 10_000
"""Length of an error's text that is kept."""


def record_begin(
    connection: Connection, experiment_id: str, generation: int, attempt: int, run_id: str
) -> None:
    """Record that an attempt has begun. Part of the caller's transaction."""
    _write(
        connection, experiment_id, generation, attempt, state="RUNNING", run_id=run_id, started_at=timestamp()
    )


def record_end(
    connection: Connection, current: Generation, outcome: Outcome | None, reason: str | None = None
) -> None:
    """Record how an attempt ended. Part of the caller's transaction.

    Args:
        connection: of the transaction that ends it.
        current: the generation as it was read before.
        outcome: its end; None when it left none; `reason` then says what happened. An error noted by
            a stage is kept either way.
        reason: why another attempt follows.
    """
    code, message, trace = current.error_code, current.error_message, current.trace
    if outcome is not None:
        code, message, trace = outcome.error_code, outcome.error_message, outcome.trace
    left_none = outcome is None and code is None
    _write(
        connection,
        current.experiment_id,
        current.generation,
        current.attempt,
        state=outcome.state if outcome is not None else LOST if left_none else "FAILED",
        ended_at=timestamp(),
        stage=current.stage,
        error_code="worker_lost" if left_none else code,
        error_message=_end(reason if left_none else message, MESSAGE_CHARS),
        trace=_end(trace, TRACE_CHARS),
    )


def record_earlier(connection: Connection) -> None:
    """Give generations from before this table their last attempt: earlier ones were not recorded."""
    columns = [
        lives.c.experiment_id, lives.c.generation, lives.c.attempt, executions.c.run_id,
        lives.c.started_at, lives.c.finished_at, lives.c.state, lives.c.stage,
        lives.c.error_code, lives.c.error_message, lives.c.trace,
    ]  # fmt: skip
    names = [
        "experiment_id", "generation", "attempt", "run_id", "started_at", "ended_at", "state", "stage",
        "error_code", "error_message", "trace",
    ]  # fmt: skip
    known = lives.c.state.in_(("RUNNING", *TERMINAL))
    connection.execute(
        insert(attempts).from_select(names, select(*columns).select_from(executed_lives).where(known))
    )


def _write(connection: Connection, experiment_id: str, generation: int, attempt: int, **values: Any) -> None:
    which = {"experiment_id": experiment_id, "generation": generation, "attempt": attempt}
    condition = and_(*(attempts.c[name] == value for name, value in which.items()))
    if not connection.execute(update(attempts).where(condition).values(**values)).rowcount:
        connection.execute(insert(attempts).values(**which, **values))


def _end(text: str | None, length: int) -> str | None:
    return None if text is None else text[-length:]
