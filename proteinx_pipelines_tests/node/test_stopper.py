"""The stopper, with the reconciler, on a real `state.db` and real processes: cancelled and late experiments."""

import json
import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from proteinx_pipelines.ledger.generation import Generation, Outcome
from proteinx_pipelines.ledger.ledger import Ledger
from proteinx_pipelines.node.lifecycle import stopper as stopping
from proteinx_pipelines.node.lifecycle.attempt_end import RunEnd, finish_attempt, finish_generation
from proteinx_pipelines.node.lifecycle.intake import Intake
from proteinx_pipelines.queue import answers
from proteinx_pipelines.queue.answers import CANCELS_AT_ONCE, MasterLine
from proteinx_pipelines.queue.queue import RedisQueue, connect
from proteinx_pipelines_tests.node.world import FakeRuns, World, is_gone


def test_a_cancel_ends_what_waits_at_once(world: World) -> None:
    world.state.attach_run(world.arrive(), "run-1")
    connect(world.settings.redis_url or "").lpush("experiments:cancel", "e")
    world.stopper.take_cancels()
    world.stopper.end_cancelled()
    assert [result["status"] for result in world.results()] == ["CANCELLED"]
    assert world.runs.ended == ["run-1"]
    assert connect(world.settings.redis_url or "").llen("experiments:cancel") == 0


def test_a_cancel_that_overtakes_its_experiment_waits_for_it(world: World) -> None:
    client = connect(world.settings.redis_url or "")
    client.lpush("experiments:cancel", "e")
    client.lpush("experiments", json.dumps({"experiment_id": "e", "flags": {"data": {"source": "GB1"}}}))
    world.stopper.take_cancels()
    assert client.llen("experiments:cancel") == 1
    world.intake.take_waiting()
    world.stopper.take_cancels()
    world.stopper.end_cancelled()
    assert (world.latest().state, client.llen("experiments:cancel")) == ("CANCELLED", 0)


@pytest.mark.parametrize("request_", [b"never-seen", b"../../x", b"\xff\xfe", b"", b"a b"])
def test_a_cancel_of_nothing_is_dropped(world: World, request_: bytes) -> None:
    client = connect(world.settings.redis_url or "")
    client.lpush("experiments:cancel", request_)
    world.stopper.take_cancels()
    assert client.llen("experiments:cancel") == 0


def _generation_behind_a_late_cancel(world: World) -> Generation:
    """The second generation of an experiment whose cancel came when the first one had ended."""
    finish_generation(world.settings, world.state, world.arrive(), Outcome("SUCCEEDED"))
    connect(world.settings.redis_url or "").lpush("experiments:cancel", "e")
    world.stopper.take_cancels()
    world.arrive(allow_duplicate=True)
    world.stopper.take_cancels()
    world.stopper.end_cancelled()
    return world.latest()


def test_a_cancel_that_comes_too_late_does_not_cancel_the_next_generation(world: World) -> None:
    current = _generation_behind_a_late_cancel(world)
    assert (current.generation, current.state, current.cancel_requested) == (2, "PENDING", False)


def test_a_cancel_that_stayed_on_its_list_would(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard off: what matches nothing waits until something does."""
    monkeypatch.setattr(MasterLine, "cancel_taken", lambda _self, _request: None)
    assert _generation_behind_a_late_cancel(world).state == "CANCELLED"


def test_a_stage_that_does_not_listen_is_killed_after_its_grace(
    world: World, step_process: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "GRACE_S", 0.2)
    pid = step_process()
    world.begin(pid=pid)
    world.state.request_cancel("e")
    world.stopper.stop_overdue()
    assert not is_gone(pid, within_s=0.1)
    time.sleep(0.3)
    world.stopper.stop_overdue()
    assert is_gone(pid)
    world.reconciler.look()
    assert [result["status"] for result in world.results()] == ["CANCELLED"]


def test_nothing_else_would_end_a_stage_that_does_not_listen(
    world: World, step_process: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Guard off: the stopper kills nothing."""
    monkeypatch.setattr(stopping, "GRACE_S", 0.1)
    monkeypatch.setattr(stopping, "kill_tree", lambda _pid: None)
    pid = step_process()
    world.begin(pid=pid, timeout_s=0.05)
    for _ in range(4):
        time.sleep(0.1)
        world.stopper.stop_overdue()
        world.reconciler.look()
    assert not is_gone(pid, within_s=0.1)
    assert world.results() == []


def test_a_time_limit_is_the_reason_that_the_result_gives(
    world: World, step_process: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "GRACE_S", 0.1)
    pid = step_process()
    world.begin(pid=pid, timeout_s=0.05, retries=3)
    time.sleep(0.1)
    world.stopper.stop_overdue()
    time.sleep(0.2)
    world.stopper.stop_overdue()
    assert is_gone(pid)
    world.reconciler.look()
    (result,) = world.results()
    assert (result["status"], result["error"]["code"], result["attempt"]) == ("FAILED", "timeout", 1)


def test_a_cancel_ends_an_attempt_whose_steps_never_began(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stopping, "GRACE_S", 0.0)
    world.begin()
    world.state.request_cancel("e")
    world.stopper.stop_overdue()
    time.sleep(0.01)
    world.stopper.stop_overdue()
    assert [result["status"] for result in world.results()] == ["CANCELLED"]


def test_a_process_that_is_not_the_workers_is_never_killed(world: World, tmp_path: Path) -> None:
    """The number of a step process that has died may be another program's by now."""
    stranger = psutil.Popen(["sleep", "60"], start_new_session=True)
    try:
        world.begin(pid=stranger.pid)
        world.part("worker", os.getppid())
        world.reconciler.look()
        assert stranger.is_running()
        assert stranger.status() != psutil.STATUS_ZOMBIE
        assert world.latest().attempt == 2
    finally:
        stranger.kill()
        stranger.wait()


@pytest.fixture
def other(world: World, tmp_path: Path) -> World:
    """A second node on the same lists."""
    settings = replace(world.settings, node_name="other", workdir=tmp_path / "other")
    settings.run_dir.mkdir(parents=True)
    queue = RedisQueue(connect(settings.redis_url or ""), settings.queue_name, settings.node_name)
    return World(Intake(settings, Ledger(settings.state_path), queue), FakeRuns())


def test_a_cancel_for_another_node_on_the_same_list_is_left_to_it(world: World, other: World) -> None:
    """Whichever node looked first took it off the list, and the one that ran the experiment never heard."""
    client = connect(world.settings.redis_url or "")
    other.arrive()
    client.lpush("experiments:cancel", "e")
    world.stopper.take_cancels()
    assert client.llen("experiments:cancel") == 1
    other.stopper.take_cancels()
    assert (other.latest().cancel_requested, client.llen("experiments:cancel")) == (True, 0)
    other.stopper.end_cancelled()
    client.lpush("experiments:cancel", "e")
    world.stopper.take_cancels()
    assert client.llen("experiments:cancel") == 0


def test_a_cancel_behind_twenty_thousand_unknown_ones_is_taken_in_the_same_round(world: World) -> None:
    """They kept it waiting for minutes: a hundred were looked at in half a second."""
    client = connect(world.settings.redis_url or "")
    world.arrive("ours")
    client.lpush("experiments", b"{}")  # a message waits, so that unknown ones may still be meant
    client.lpush("experiments:cancel", *(f"unknown-{number}" for number in range(20_000)), "OURS")
    world.stopper.take_cancels()
    assert world.latest("ours").cancel_requested
    assert client.llen("experiments:cancel") == 20_000


def test_with_a_look_at_the_oldest_hundred_alone_it_would_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "CANCELS_READ", CANCELS_AT_ONCE)
    monkeypatch.setattr(answers, "_CANCELS_A_COMMAND", CANCELS_AT_ONCE)
    client = connect(world.settings.redis_url or "")
    world.arrive("ours")
    client.lpush("experiments", b"{}")
    client.lpush("experiments:cancel", *(f"unknown-{number}" for number in range(20_000)), "ours")
    for _ in range(5):
        world.stopper.take_cancels()
    assert not world.latest("ours").cancel_requested


def test_the_same_cancel_many_times_counts_once(world: World) -> None:
    client = connect(world.settings.redis_url or "")
    world.arrive("ours")
    client.lpush("experiments:cancel", *["ours"] * 300)
    world.stopper.take_cancels()
    assert world.latest("ours").cancel_requested
    assert client.llen("experiments:cancel") == 0


def test_a_cancel_for_another_node_keeps_none_of_ours_from_being_seen(world: World, other: World) -> None:
    """A node that never comes back leaves its cancels on the list."""
    client = connect(world.settings.redis_url or "")
    other.arrive("theirs")
    world.arrive("ours")
    client.lpush("experiments:cancel", *["theirs"] * CANCELS_AT_ONCE, "ours")
    for _ in range(2):
        world.stopper.take_cancels()
    assert world.latest("ours").cancel_requested


def test_a_time_limit_ends_what_waits_for_another_attempt(world: World) -> None:
    """It ended nothing while an experiment waited between retries."""
    current = world.begin(timeout_s=0.2, retries=3, retry_backoff_s=60)
    world.state.note_error(current.token or "", "stage_failed", "a passing trouble", "")
    finish_attempt(world.settings, world.state, world.latest(), RunEnd.FAILURE)
    assert world.latest().state == "PENDING"
    world.stopper.end_late()
    time.sleep(0.3)
    world.stopper.end_late()
    (result,) = world.results()
    assert (result["status"], result["error"]["code"]) == ("FAILED", "timeout")
    assert "while it waited for attempt 2" in result["error"]["message"]


def test_what_has_no_limit_or_has_not_begun_waits_as_long_as_it_takes(world: World) -> None:
    world.arrive("limited", timeout_s=0.01)
    world.begin("e", retries=3, retry_backoff_s=60)
    world.state.note_error(world.latest().token or "", "stage_failed", "a passing trouble", "")
    finish_attempt(world.settings, world.state, world.latest(), RunEnd.FAILURE)
    time.sleep(0.1)
    world.stopper.end_late()
    assert {world.latest(name).state for name in ("e", "limited")} == {"PENDING"}


@pytest.mark.parametrize(
    ("own", "node", "limit"), [(None, None, None), (5.0, None, 5.0), (None, 7.0, 7.0), (5.0, 7.0, 5.0), (9.0, 7.0, 7.0)]
)  # fmt: skip
def test_the_shorter_of_two_time_limits_counts(
    world: World, own: float | None, node: float | None, limit: float | None
) -> None:
    assert replace(world.settings, max_timeout_s=node).time_limit(own) == limit
