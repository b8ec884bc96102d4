"""Faults at the point of intake, on a real server: every message is answered, none stops another.

Hostile messages are in `chaos.test_hostile`.
"""

import errno
import hashlib
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proteinx_pipelines.errors import NodeBusy, PluginError, QueueUnavailable
from proteinx_pipelines.ledger.engine import StateError
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle import dispatch as dispatching
from proteinx_pipelines.node.lifecycle import intake as taking
from proteinx_pipelines.node.lifecycle.attempt_end import MAX_LOSSES
from proteinx_pipelines.node.lifecycle.dispatch import Dispatch
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.node.lifecycle.suspects import MOST_DEATHS, Suspects
from proteinx_pipelines.node.processes.locks import ProcessLock
from proteinx_pipelines.queue.queue import connect

GOOD = json.dumps({"experiment_id": "good", "flags": {"data": {"source": "GB1"}}}).encode()


@pytest.fixture
def dispatch(intake: Intake) -> Iterator[Dispatch]:
    settings = intake.settings
    for folder in (settings.experiments_dir, settings.run_dir):
        folder.mkdir(parents=True)
    lock = ProcessLock(settings.run_dir / "intake.lock", "The intake")
    yield Dispatch(settings, intake.state, intake, lock)
    lock.release()


def results(intake: Intake) -> list[dict[str, Any]]:
    client = connect(intake.settings.redis_url or "")
    return [json.loads(raw) for raw in client.lrange("experiments:results", 0, -1)]


def test_after_any_error_the_next_round_looks_at_what_is_claimed_before_it_claims_more(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not five seconds later: a copy of it could be claimed meanwhile."""
    dispatch.wait_for_work(0.0)

    def full(*_: Any, **__: Any) -> Any:
        raise StateError("the disk is full")

    dispatch.intake.queue.enqueue(b"not json")
    with monkeypatch.context() as breaking:
        breaking.setattr(Ledger, "refuse", full)
        with pytest.raises(StateError):
            dispatch.wait_for_work(0.0)
    assert results(dispatch.intake) == []
    dispatch.wait_for_work(0.0)
    assert len(results(dispatch.intake)) == 1


def test_a_message_that_breaks_the_parser_itself_is_refused_and_does_not_stop_the_others(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    parse = taking.parse_message

    def broken(raw: bytes, known: Any = None) -> Any:
        if b"boom" in raw:
            raise RuntimeError("nobody foresaw this")
        return parse(raw, known)

    monkeypatch.setattr(taking, "parse_message", broken)
    intake.queue.enqueue(b"boom")
    intake.queue.enqueue(GOOD)
    assert intake.take_waiting() == 2
    assert [result["error"]["code"] for result in results(intake)] == ["internal"]
    assert intake.state.latest("good") is not None


def test_a_broken_plugin_keeps_the_message_and_does_not_blame_its_sender(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> Any:
        raise PluginError("the plugin `lab` cannot be loaded")

    with monkeypatch.context() as patched:
        patched.setattr(taking, "known_here", broken)
        intake.queue.enqueue(b"no plugin makes this a message")
        intake.queue.enqueue(GOOD)
        intake.take_waiting()
    assert [result["error"]["code"] for result in results(intake)] == ["not_json"]
    assert len(intake.queue.claimed()) == 1
    intake.recover()  # the operator has repaired the plugin
    assert intake.state.latest("good") is not None
    assert list(intake.queue.claimed()) == []


def test_a_state_database_that_cannot_be_written_acknowledges_nothing(
    intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk at intake: the message stays claimed, and is decided when there is room again."""
    with intake.state.engine.connect() as connection:
        connection.exec_driver_sql("PRAGMA query_only = ON")
    intake.queue.enqueue(GOOD)
    with pytest.raises(StateError, match="Make room"):
        intake.take_waiting()
    assert len(intake.queue.claimed()) == 1
    intake.state.engine.dispose()
    intake.recover()
    assert intake.state.latest("good") is not None


def test_an_acknowledgement_that_redis_did_not_take_is_made_up_for_at_once(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was made up for at a tick's start only; a Redis rolled back to a moment before had the message doubled."""
    monkeypatch.setattr(dispatching, "RECOVER_S", 60.0)
    dispatch.intake.queue.enqueue(GOOD)
    ack = type(dispatch.intake.queue).ack

    def lost(queue: Any, message: bytes) -> None:
        monkeypatch.setattr(type(queue), "ack", ack)
        raise QueueUnavailable("acknowledging a message", ConnectionError("killed"))

    dispatch.wait_for_work(0.0)  # recovers first, so that what follows is not a start's
    dispatch.intake.queue.enqueue(GOOD.replace(b"good", b"late"))
    monkeypatch.setattr(type(dispatch.intake.queue), "ack", lost)
    with pytest.raises(QueueUnavailable):
        dispatch.wait_for_work(0.0)
    assert len(dispatch.intake.queue.claimed()) == 1
    dispatch.wait_for_work(0.0)
    assert list(dispatch.intake.queue.claimed()) == []


def test_what_stays_claimed_is_looked_for_while_a_tick_waits(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "RECOVER_S", 0.2)
    looked: list[float] = []
    recover = Intake.recover
    monkeypatch.setattr(Intake, "recover", lambda self: (looked.append(time.monotonic()), recover(self))[1])
    dispatch.wait_for_work(1.0)
    assert len(looked) >= 2


def test_a_planted_link_fails_its_experiment_and_the_next_one_starts(
    dispatch: Dispatch, tmp_path: Path
) -> None:
    """It used to end every round of the sensor: nothing started any more."""
    target = tmp_path / "elsewhere"
    target.mkdir()
    (dispatch.settings.experiments_dir / "linked").symlink_to(target)
    for name in ("linked", "good"):
        dispatch.intake.queue.enqueue(GOOD.replace(b"good", name.encode()))
    ready = dispatch.wait_for_work(0.0)
    assert [current.experiment_id for current, _ in ready] == ["good"]
    (result,) = results(dispatch.intake)
    assert (result["experiment_id"], result["error"]["code"]) == ("linked", "path_not_allowed")
    assert list(target.iterdir()) == []


def test_a_link_planted_deeper_is_refused_as_well(dispatch: Dispatch, tmp_path: Path) -> None:
    target = tmp_path / "elsewhere"
    target.mkdir()
    (dispatch.settings.experiments_dir / "good").mkdir()
    (dispatch.settings.experiments_dir / "good" / "config").symlink_to(target)
    dispatch.intake.queue.enqueue(GOOD)
    assert dispatch.wait_for_work(0.0) == []
    assert list(target.iterdir()) == []


def test_an_experiment_that_cannot_be_prepared_does_not_keep_others_from_starting(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = dispatching.plan_generation

    def broken(settings: Any, current: Any) -> Any:
        if current.experiment_id == "bad":
            raise OSError(errno.ENOSPC, "No space left on device")
        return plan(settings, current)

    monkeypatch.setattr(dispatching, "plan_generation", broken)
    for name in (b"bad", b"good"):
        dispatch.intake.queue.enqueue(GOOD.replace(b"good", name))
    assert [current.experiment_id for current, _ in dispatch.wait_for_work(0.0)] == ["good"]
    assert [result["error"]["code"] for result in results(dispatch.intake)] == ["disk_full"]


def test_without_room_nothing_is_taken_while_waiting_either(intake: Intake) -> None:
    """The wait for a message took one past the limit, four times a second."""
    intake = replace(intake, settings=replace(intake.settings, take_ahead=0))
    intake.queue.enqueue(GOOD)
    assert not intake.wait(0.01)
    assert intake.queue.waiting() == 1


def test_two_processes_never_take_the_messages_of_one_workdir(dispatch: Dispatch) -> None:
    dispatch.lock.acquire()
    other = ProcessLock(dispatch.lock.path, "The intake")
    with pytest.raises(NodeBusy, match="held by process"):
        other.acquire()


def test_results_stay_on_disk_while_redis_is_full_and_go_out_afterwards(intake: Intake) -> None:
    client = connect(intake.settings.redis_url or "")
    intake.queue.enqueue(b"not json")
    raw = intake.queue.dequeue(0)
    assert raw is not None
    intake.ingest(raw)
    intake.queue.ack(raw)
    client.config_set("maxmemory", "1")
    try:
        assert taking.deliver_results(intake.settings, intake.state) == 0
        assert len(intake.state.undelivered()) == 1
    finally:
        client.config_set("maxmemory", "0")
    assert taking.deliver_results(intake.settings, intake.state) == 1
    assert len(results(intake)) == 1


def failing(number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def planning(*_: Any) -> Any:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(dispatching, "plan_generation", planning)


def plan_again(dispatch: Dispatch) -> Generation:
    """End the back-off of waiting attempts, and plan them."""
    with dispatch.state.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE lives SET not_before = 0")
    assert dispatch.wait_for_work(0) == []
    found = dispatch.state.latest("good")
    assert found is not None
    return found


def test_a_disk_that_cannot_be_read_while_an_experiment_is_planned_is_tried_again(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first error was final there, where the same one inside a stage is tried ten times."""
    failing(errno.EIO, monkeypatch)
    dispatch.intake.ingest(GOOD)
    for losses in range(1, MAX_LOSSES + 1):
        current = plan_again(dispatch)
        assert (current.state, current.losses, current.failures) == ("PENDING", losses, 0)
    assert plan_again(dispatch).state == "FAILED"
    assert [result["error"]["code"] for result in results(dispatch.intake)] == ["backend"]


def test_a_full_disk_while_an_experiment_is_planned_uses_up_its_retries(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    failing(errno.ENOSPC, monkeypatch)
    flags = {"data": {"source": "GB1"}, "run": {"retries": 1}}
    dispatch.intake.ingest(json.dumps({"experiment_id": "good", "flags": flags}).encode())
    assert plan_again(dispatch).failures == 1
    assert plan_again(dispatch).state == "FAILED"
    assert [result["error"]["code"] for result in results(dispatch.intake)] == ["disk_full"]


def test_flags_that_this_version_cannot_read_do_not_keep_a_failure_from_ending(
    dispatch: Dispatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of retries is one of these flags."""
    failing(errno.ENOSPC, monkeypatch)
    dispatch.intake.ingest(GOOD)
    with dispatch.state.engine.begin() as connection:
        connection.exec_driver_sql("""UPDATE lives SET flags = '{"of": {"yore": 1}}'""")
    assert plan_again(dispatch).state == "FAILED"


def die_while(path: Path, name: str) -> None:
    """An earlier process of this node, killed while it looked at something."""
    pid = os.fork()
    if pid == 0:
        with Suspects(path).looking_at(name):
            os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(pid, 0)


def test_a_message_that_ends_the_intake_each_time_is_refused_and_the_next_one_runs(
    dispatch: Dispatch,
) -> None:
    bad = GOOD.replace(b"good", b"bad")
    for _ in range(MOST_DEATHS):
        die_while(dispatch.settings.paths.looking, hashlib.sha256(bad).hexdigest())
    dispatch.intake.queue.enqueue(bad)
    dispatch.intake.queue.enqueue(GOOD)
    assert [current.experiment_id for current, _ in dispatch.wait_for_work(0.0)] == ["good"]
    (refused,) = results(dispatch.intake)
    assert (refused["status"], refused["error"]["code"]) == ("REJECTED", "internal")
    assert "ended 3 times" in refused["error"]["message"]


def test_an_experiment_that_ends_the_planning_each_time_is_given_up_and_the_next_one_runs(
    dispatch: Dispatch,
) -> None:
    for _ in range(MOST_DEATHS):
        die_while(dispatch.settings.paths.looking, "bad/1/1")
    for name in (b"bad", b"good"):
        dispatch.intake.queue.enqueue(GOOD.replace(b"good", name))
    assert [current.experiment_id for current, _ in dispatch.wait_for_work(0.0)] == ["good"]
    (failed,) = results(dispatch.intake)
    assert (failed["experiment_id"], failed["status"], failed["error"]["code"]) == (
        "bad",
        "FAILED",
        "internal",
    )
