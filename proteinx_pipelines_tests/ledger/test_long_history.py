"""A long history does not slow an attempt's queries to `state.db`: every query uses an index.

Once, three statements for each stage read all generations: 10,000 finished experiments made each new one a quarter of a
second slower.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from proteinx_pipelines.ledger.generation import Outcome
from proteinx_pipelines.ledger.ledger import Ledger

SCANS = r"SCAN (lives|executions)"
Statements = list[tuple[str, Any]]


@pytest.fixture
def state(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "state.db")


@pytest.fixture
def statements(state: Ledger) -> Iterator[Statements]:
    """Statements sent to the database from here on."""
    found: Statements = []

    def note(_connection: Any, _cursor: Any, statement: str, values: Any, *_: Any) -> None:
        found.append((statement, values))

    sa.event.listen(state.engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(state.engine, "before_cursor_execute", note)


def live(state: Ledger) -> None:
    """One experiment from its message to its result, as the parts of a node tell it."""
    state.accept(
        experiment_id="e", message_key="key", message_id=None, priority=0,
        payload_ref=None, flags={}, raw=b"{}",
    )  # fmt: skip
    (current,) = state.due(4)
    state.planned("e", 1, {"split": {"action": "computed"}})
    state.attach_run(current, "run")
    token = state.begin("e", 1, 1, run_id="run", host_pid=1, timeout_s=60.0)
    assert token is not None
    assert state.claim_steps("run", ["split"], "task", 1)
    state.beat(token, stage="split", progress=0.5, note="", pid=1)
    assert state.holds(token)
    state.note_stage(token, "split", "computed")
    running = state.by_run("run")
    assert running is not None
    assert state.stands_as_read(running)
    assert state.finish(running, Outcome("SUCCEEDED", summary={}, stages={}), "result", "{}")
    (row,) = state.undelivered()
    state.delivered(row.result_id, 1)
    assert state.in_flight() == 0


def test_no_question_of_an_attempt_reads_the_whole_history(state: Ledger, statements: Statements) -> None:
    live(state)
    plans = plans_of(state, statements)
    assert len(plans) > 15
    assert not {statement: plan for statement, plan in plans.items() if re.search(SCANS, plan)}


def test_without_the_index_it_would(state: Ledger, statements: Statements) -> None:
    live(state)
    with state.engine.connect() as connection:
        for name in ("executions_token", "executions_run", "lives_state"):
            connection.execute(sa.text(f"DROP INDEX idx_{name}"))
        connection.commit()
    state.engine.dispose()  # EXPLAIN goes by the shape that a connection has read before
    plans = plans_of(state, statements)
    assert sum(bool(re.search(SCANS, plan)) for plan in plans.values()) >= 3


def plans_of(state: Ledger, statements: Statements) -> dict[str, str]:
    """SQLite's query plan for each statement."""
    asked = [(text, values) for text, values in statements if text.startswith(("SELECT", "UPDATE", "DELETE"))]
    with state.engine.connect() as connection:
        return {
            text: "; ".join(
                row.detail for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values)
            )
            for text, values in asked
        }
