"""Every attempt keeps its error and trace: formerly only the last attempt's were kept."""

import json
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.ledger.attempts import TRACE_CHARS
from proteinx_pipelines.ledger.generation import Generation, Outcome
from proteinx_pipelines.ledger.ledger import Ledger


@pytest.fixture
def state(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "state.db")


def begin(state: Ledger) -> Generation:
    """The next attempt at the one generation of `e`, which is accepted on first use."""
    current = state.latest("e")
    if current is None:
        state.accept(
            experiment_id="e", message_key="k", message_id=None, priority=0,
            payload_ref=None, flags={}, raw=b"{}",
        )  # fmt: skip
        current = latest(state)
    assert state.begin("e", 1, current.attempt, run_id=f"run-{current.attempt}", host_pid=1, timeout_s=None)
    return latest(state)


def latest(state: Ledger) -> Generation:
    found = state.latest("e")
    assert found is not None
    return found


def three_attempts(state: Ledger) -> None:
    """One that a stage failed, one that vanished, one that failed for good."""
    first = begin(state)
    state.beat(first.token or "", stage="train", progress=0.5, note="", pid=1)
    state.note_error(first.token or "", "stage_failed", "loss is a text", "Traceback one")
    noted = latest(state)
    failed = Outcome("FAILED", noted.error_code, noted.error_message, noted.trace)
    assert state.retry(noted, delay_s=0, reason="retry after stage_failed", counts=True, outcome=failed)
    assert state.retry(begin(state), delay_s=0, reason="its process is gone", counts=False)
    last = Outcome("FAILED", "disk_full", "no space left", "Traceback three")
    assert state.finish(begin(state), last, "r", "{}")


def told(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in ("attempt", "state", "stage", "error_code", "error_message", "trace"))


def test_every_attempt_keeps_its_own_error_and_trace(state: Ledger) -> None:
    three_attempts(state)
    rows = state.attempts_at("e", 1)
    assert [told(row) for row in rows] == [
        (1, "FAILED", "train", "stage_failed", "loss is a text", "Traceback one"),
        (2, "LOST", None, "worker_lost", "its process is gone", None),
        (3, "FAILED", None, "disk_full", "no space left", "Traceback three"),
    ]
    assert all(row["started_at"] <= row["ended_at"] for row in rows)
    assert [row["run_id"] for row in rows] == ["run-1", "run-2", "run-3"]


def test_an_attempt_that_runs_is_listed_and_one_that_never_began_says_so(state: Ledger) -> None:
    current = begin(state)
    (row,) = state.attempts_at("e", 1)
    assert (row["state"], row["ended_at"]) == ("RUNNING", None)
    state.retry(current, delay_s=0, reason="the node was stopped", counts=None)
    state.finish(latest(state), Outcome("CANCELLED", "cancelled", "Enough."), "r", "{}")
    assert [(row["state"], row["started_at"] is None) for row in state.attempts_at("e", 1)] == [
        ("LOST", False), ("CANCELLED", True),
    ]  # fmt: skip


def test_a_decision_that_comes_too_late_changes_no_record(state: Ledger) -> None:
    stale = begin(state)
    state.retry(stale, delay_s=0, reason="its process is gone", counts=False)
    before = state.attempts_at("e", 1)
    assert not state.retry(stale, delay_s=0, reason="again", counts=False)
    assert not state.finish(stale, Outcome("SUCCEEDED"), "r", "{}")
    assert state.attempts_at("e", 1) == before


def test_a_trace_of_any_length_keeps_its_end(state: Ledger) -> None:
    state.finish(begin(state), Outcome("FAILED", "x", "y", "a" * 10 * TRACE_CHARS + "the end"), "r", "{}")
    (row,) = state.attempts_at("e", 1)
    assert len(row["trace"]) == TRACE_CHARS
    assert row["trace"].endswith("the end")


def test_attempts_travel_with_an_archive_and_go_with_the_experiment(state: Ledger, tmp_path: Path) -> None:
    three_attempts(state)
    rows = json.loads(json.dumps(state.rows_of("E")))
    other = Ledger(tmp_path / "other.db")
    with other.held() as held:
        held.put_back("e", rows)
    assert other.attempts_at("e", 1) == state.attempts_at("e", 1)
    with state.held() as held:
        held.forget("e")
    assert state.attempts_at("e", 1) == []


def test_a_state_from_before_gets_what_it_knew_of_the_last_attempt(tmp_path: Path) -> None:
    state = Ledger(tmp_path / "state.db")
    three_attempts(state)
    state.engine.dispose()
    with sqlite3.connect(tmp_path / "state.db") as connection:  # as release 0.1.0 left it
        connection.execute("DROP TABLE attempts")
        connection.execute("PRAGMA user_version = 4")
    (row,) = Ledger(tmp_path / "state.db").attempts_at("e", 1)
    assert told(row) == (3, "FAILED", None, "disk_full", "no space left", "Traceback three")
