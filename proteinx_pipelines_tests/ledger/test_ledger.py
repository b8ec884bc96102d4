"""The life of a generation in `state.db`: begin, right to write, answers."""

import shutil
import sqlite3
from pathlib import Path

import pytest

from proteinx_pipelines.errors import Superseded
from proteinx_pipelines.ledger.engine import StateError
from proteinx_pipelines.ledger.generation import Generation, Outcome
from proteinx_pipelines.ledger.ledger import Ledger

RECORDED = Path(__file__).parents[1] / "frozen" / "release_0_1_0" / "state.db"


@pytest.fixture
def state(tmp_path: Path) -> Ledger:
    return Ledger(tmp_path / "state.db")


def accept(state: Ledger, experiment_id: str = "e", generation: int = 1) -> Generation:
    state.accept(
        experiment_id=experiment_id, message_key=f"{experiment_id}{generation}",
        message_id=None, priority=0, payload_ref=None, flags={}, raw=b"{}",
    )  # fmt: skip
    found = state.generation(experiment_id, generation)
    assert found is not None
    return found


def begin(state: Ledger, current: Generation, run_id: str = "run") -> str | None:
    return state.begin(
        current.experiment_id, current.generation, current.attempt, run_id=run_id, host_pid=1, timeout_s=None
    )


def latest(state: Ledger) -> Generation:
    found = state.latest("e")
    assert found is not None
    return found


def test_an_attempt_begins_once(state: Ledger) -> None:
    current = accept(state)
    assert begin(state, current) is not None
    assert begin(state, current, "another run") is None


def test_a_cancelled_generation_does_not_begin(state: Ledger) -> None:
    current = accept(state)
    state.request_cancel("e")
    assert begin(state, current) is None


def test_a_retry_takes_the_right_to_write_away(state: Ledger) -> None:
    current = accept(state)
    token = begin(state, current)
    assert token is not None
    assert state.holds(token)
    running = state.latest("e")
    assert running is not None
    assert state.retry(running, delay_s=0, reason="test", counts=False)
    assert not state.holds(token)
    with pytest.raises(Superseded):
        state.beat(token, stage="train", progress=0.5, note="", pid=1)


def test_a_retry_is_another_attempt_with_another_run_key(state: Ledger) -> None:
    current = accept(state)
    begin(state, current)
    assert state.retry(latest(state), delay_s=0, reason="test", counts=True)
    again = state.latest("e")
    assert again is not None
    assert (again.attempt, again.failures, again.run_key) == (2, 1, "e/1/2")
    assert [found.run_key for found in state.due(5)] == ["e/1/2"]


def test_a_retry_waits_for_its_back_off(state: Ledger) -> None:
    current = accept(state)
    state.retry(current, delay_s=60, reason="test", counts=True)
    assert state.due(5) == []


def test_a_generation_has_one_terminal_result(state: Ledger) -> None:
    current = accept(state)
    assert state.finish(current, Outcome("SUCCEEDED"), "r", '{"n": 1}')
    assert not state.finish(current, Outcome("FAILED", "x", "y"), "r", '{"n": 2}')
    assert state.result("r") == {"n": 1}
    assert [row.result_id for row in state.undelivered()] == ["r"]


def test_what_was_decided_about_a_waiting_experiment_does_not_hold_once_it_runs(state: Ledger) -> None:
    """A cancel that saw it waiting would end it while its stages run on, and nobody would stop them."""
    waiting = accept(state)
    token = begin(state, waiting)
    assert token is not None
    assert not state.finish(
        waiting, Outcome("CANCELLED", "cancelled", "Cancelled before it started."), "r", "{}"
    )
    assert not state.retry(waiting, delay_s=0, reason="its run did not begin", counts=False)
    assert state.holds(token)


def test_a_clean_stop_uses_up_neither_retries_nor_losses(state: Ledger) -> None:
    begin(state, accept(state))
    assert state.retry(latest(state), delay_s=0, reason="the node was stopped", counts=None)
    assert (latest(state).attempt, latest(state).failures, latest(state).losses) == (2, 0, 0)


def test_a_result_that_two_processes_delivered_can_be_asked_for_again(state: Ledger) -> None:
    """Both counted their delivery: two copies of one wanted, so that a copy asked for later seemed to be out."""
    state.finish(accept(state), Outcome("SUCCEEDED"), "r", "{}")
    state.delivered("r", 1)
    state.delivered("r", 1)
    state.want_again("r")
    assert [(row.result_id, row.delivered) for row in state.undelivered()] == [("r", 1)]


def test_a_database_that_cannot_be_written_is_the_nodes_trouble(state: Ledger) -> None:
    with state.engine.connect() as connection:  # goes back to the pool, and the next transaction gets it
        connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(StateError, match="cannot be written"):
        state.request_cancel("e")


def test_a_run_that_was_requested_is_not_requested_again(state: Ledger) -> None:
    current = accept(state)
    state.attach_run(current, "run")
    assert state.due(5) == []
    assert state.in_flight() == 1


def test_every_transition_is_kept_with_its_reason(state: Ledger) -> None:
    current = accept(state)
    begin(state, current)
    assert state.finish(latest(state), Outcome("FAILED", "empty_split", "no test rows"), "r", "{}")
    assert [(row["state"], row["reason"]) for row in state.history("e")] == [
        ("PENDING", "received"), ("RUNNING", "run run"), ("FAILED", "empty_split"),
    ]  # fmt: skip


def test_the_steps_of_a_run_are_claimed_once(state: Ledger) -> None:
    """Celery may deliver a task twice: after a visibility time-out, or a reconnect."""
    assert state.claim_steps("run", ["split", "train"], "task-1", 1)
    assert not state.claim_steps("run", ["split", "train"], "task-2", 2)


def test_a_newer_schema_is_refused_with_what_to_do(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "state.db") as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(StateError, match="schema version 99"):
        Ledger(tmp_path / "state.db")


def test_a_state_of_an_older_version_is_kept_and_gets_what_is_new(tmp_path: Path) -> None:
    shutil.copy(RECORDED, tmp_path / "state.db")
    with sqlite3.connect(tmp_path / "state.db") as connection:  # as the second version was
        for column in ("boot", "limit_left", "oom_kills"):
            connection.execute(f"ALTER TABLE generations DROP COLUMN {column}")
        connection.execute("PRAGMA user_version = 2")
    state = Ledger(tmp_path / "state.db")
    assert begin(state, accept(state)) is not None
    assert (latest(state).state, latest(state).oom_kills) == ("RUNNING", None)


def test_a_file_that_is_no_database_is_refused_with_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_text("mutant,DMS_score\nA24C,0.5\n" * 100)
    with pytest.raises(StateError, match=r"state\.db cannot be opened: .*move it away"):
        Ledger(tmp_path / "state.db")


def test_a_file_that_is_damaged_while_it_is_used_is_the_nodes_trouble(state: Ledger, tmp_path: Path) -> None:
    accept(state)
    state.engine.dispose()
    content = bytearray((tmp_path / "state.db").read_bytes())
    content[100:] = b"x" * (len(content) - 100)
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(StateError, match="cannot be read"):
        state.latest("e")
    with pytest.raises(StateError, match="cannot be written"):
        state.request_cancel("e")
