"""The reconciler on a real `state.db` and real processes: lost, stuck and hand-started runs.

Cancelled and late ones: `test_stopper`.
"""

import os
import signal
import time
from collections.abc import Callable

import pytest

from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.node.lifecycle import reconciler as reconciling
from proteinx_pipelines.node.lifecycle import stopper as stopping
from proteinx_pipelines.node.lifecycle.attempt_end import MAX_LOSSES, RunEnd, finish_attempt
from proteinx_pipelines.node.lifecycle.bundle_writer import bundle_writer
from proteinx_pipelines.node.lifecycle.reconciler import Reconciler
from proteinx_pipelines.node.lifecycle.runs import HandRun
from proteinx_pipelines_tests.node.world import World, is_gone


# ---------------------------------------------------------------------- lost
def test_an_attempt_whose_run_host_died_starts_again_and_costs_no_retry(world: World) -> None:
    world.begin()
    world.no_part("host")
    world.reconciler.look()
    current = world.latest()
    assert (current.state, current.attempt, current.failures, current.losses) == ("PENDING", 2, 0, 1)
    assert world.runs.ended == ["run-1"]


def test_an_attempt_whose_step_process_died_starts_again(
    world: World, step_process: Callable[[], int]
) -> None:
    pid = step_process()
    world.begin(pid=pid)
    world.reconciler.look()
    assert world.latest().attempt == 1
    os.kill(pid, signal.SIGKILL)
    assert is_gone(pid)
    world.reconciler.look()
    assert (world.latest().attempt, world.latest().losses) == (2, 1)


def test_what_still_works_for_a_lost_attempt_is_killed(world: World, step_process: Callable[[], int]) -> None:
    """Or the next attempt would wait behind it, and be taken for lost as well."""
    pid = step_process()
    world.begin(pid=pid)
    world.no_part("host")
    world.reconciler.look()
    assert is_gone(pid)


def test_a_stopped_step_process_is_noticed_and_its_token_is_dead(
    world: World, step_process: Callable[[], int]
) -> None:
    pid = step_process()
    current = world.begin(pid=pid)
    os.kill(pid, signal.SIGSTOP)
    for seconds in (0, 30, 59):
        world.now = float(seconds)
        world.reconciler.look()
    assert world.latest().attempt == 1
    world.now = reconciling.HANG_S + 1
    world.reconciler.look()
    assert world.latest().attempt == 2
    assert not world.state.holds(current.token or "")
    assert is_gone(pid)


def test_a_process_that_reports_is_not_taken_for_stuck(world: World, step_process: Callable[[], int]) -> None:
    pid = step_process()
    current = world.begin(pid=pid)
    for seconds in range(0, 300, 50):
        world.now = float(seconds)
        world.state.beat(current.token or "", stage="train", progress=0.2, note=str(seconds), pid=pid)
        world.reconciler.look()
    assert world.latest().attempt == 1


@pytest.mark.slow
def test_a_long_computation_without_reports_is_not_taken_for_stuck(world: World) -> None:
    """A decomposition of a large matrix reports nothing for minutes, and uses the processor all the while."""
    world.begin(pid=os.getpid())
    for seconds in range(0, 200, 50):
        world.now = float(seconds)
        busy_until = time.process_time() + 0.35
        while time.process_time() < busy_until:
            pass
        world.reconciler.look()
    assert world.latest().attempt == 1


def test_an_experiment_that_is_lost_every_time_is_given_up(world: World) -> None:
    for _ in range(MAX_LOSSES + 1):
        with world.state.engine.begin() as connection:
            connection.exec_driver_sql("UPDATE lives SET not_before = 0")
        world.begin()
        world.no_part("host")
        world.reconciler.look()
        world.part("host", os.getpid())
    (result,) = world.results()
    assert (result["status"], result["error"]["code"], result["attempt"]) == (
        "FAILED",
        "worker_lost",
        MAX_LOSSES + 1,
    )
    assert bundle_writer().wait(60)
    assert (world.settings.workdir / "failures" / "e-g1.json").is_file()


def test_a_worker_that_starts_slowly_loses_nothing(world: World, step_process: Callable[[], int]) -> None:
    world.begin()
    worker = step_process()
    for seconds in range(0, 200, 50):
        world.now = float(seconds)
        if seconds == 0:
            world.no_part("worker")
        if seconds == 150:
            world.part("worker", worker)
        world.reconciler.look()
    assert world.latest().attempt == 1
    world.now += reconciling.START_LIMIT_S - 1
    world.reconciler.look()
    assert not is_gone(worker, within_s=0.1)


def test_a_worker_that_takes_no_stages_is_replaced_and_the_attempt_goes_on(
    world: World, step_process: Callable[[], int]
) -> None:
    """Alive, not stopped, and deaf: its attempts were lost one after another, and the experiment with the last."""
    world.begin()
    for _ in range(reconciling.MOST_FREED):
        worker = step_process()
        world.part("worker", worker)
        world.reconciler.look()
        world.now += reconciling.START_LIMIT_S + 1
        world.reconciler.look()
        assert is_gone(worker)
        assert (world.latest().attempt, world.latest().losses) == (1, 0)
    world.part("worker", step_process())
    world.reconciler.look()
    world.now += reconciling.START_LIMIT_S + 1
    world.reconciler.look()
    assert (world.latest().attempt, world.latest().losses) == (2, 1)


def test_a_worker_whose_queue_is_away_is_not_to_blame(
    world: World, step_process: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reconciling, "broker_answers", lambda _settings: False)
    worker = step_process()
    world.part("worker", worker)
    world.begin()
    for _ in range(20):
        world.reconciler.look()
        world.now += reconciling.START_LIMIT_S + 1
    assert not is_gone(worker, within_s=0.1)
    assert (world.latest().attempt, world.latest().losses) == (1, 0)


def wait_to_begin(world: World, rounds: int) -> None:
    """An experiment waits for minutes, and its run never begins; each new attempt gets its run, as from the sensor."""
    if world.state.latest("e") is None:
        world.arrive()
    for _ in range(rounds):
        current = world.latest()
        if current.is_terminal:
            return
        if current.run_id is None:
            world.state.attach_run(current, f"run-{current.attempt}")
        world.reconciler.look()
        world.now += reconciling.START_LIMIT_S + 1
        world.reconciler.look()


def test_an_attempt_that_never_begins_costs_no_loss(world: World, step_process: Callable[[], int]) -> None:
    """The run host hung on one message; three good ones behind it were FAILED `worker_lost` after 807 s."""
    world.part("host", step_process())
    wait_to_begin(world, 3 * MAX_LOSSES)
    assert (world.latest().state, world.latest().losses) == ("PENDING", 0)
    assert world.results() == []


def test_without_that_an_innocent_experiment_would_be_given_up(
    world: World, step_process: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Reconciler, "_again", Reconciler._lost)
    world.part("host", step_process())
    wait_to_begin(world, 3 * MAX_LOSSES)
    assert [result["error"]["code"] for result in world.results()] == ["worker_lost"]


def test_a_run_host_that_begins_nothing_is_replaced(world: World, step_process: Callable[[], int]) -> None:
    host = step_process()
    world.part("host", host)
    wait_to_begin(world, 1)
    assert not is_gone(host, within_s=0.1)
    wait_to_begin(world, 3)
    assert is_gone(host)


def test_a_run_host_with_nothing_to_begin_is_left_alone(
    world: World, step_process: Callable[[], int]
) -> None:
    host = step_process()
    world.part("host", host)
    for _ in range(10):
        world.reconciler.look()
        world.now += reconciling.IDLE_HOST_S + 1
    assert not is_gone(host, within_s=0.1)


def test_a_clean_stop_is_not_a_loss(world: World) -> None:
    world.begin()
    world.reconciler.stopped_cleanly()
    world.no_part("host")
    world.reconciler.begin()
    assert (world.latest().attempt, world.latest().losses) == (2, 0)
    world.begin()
    world.no_part("worker")
    world.reconciler.look()
    assert (world.latest().attempt, world.latest().losses) == (3, 1)


def test_a_run_that_ended_without_a_result_gets_one(world: World) -> None:
    """The run host died, or its disk was full, between the run's end and the result."""
    current = world.begin(pid=os.getpid())
    world.state.note_error(current.token or "", "empty_selection", "no rows", "")
    world.runs.ends["run-1"] = RunEnd.FAILURE
    world.reconciler.look()
    assert world.results() == []
    world.now = reconciling.ENDED_S + 1
    world.reconciler.look()
    assert [result["error"]["code"] for result in world.results()] == ["empty_selection"]


def test_a_run_whose_message_was_lost_is_launched_again_and_then_replaced(world: World) -> None:
    world.state.attach_run(world.arrive(), "run-1")
    for seconds in (0, 4, 6, 8, 12):
        world.now = float(seconds)
        world.reconciler.look()
    assert world.runs.launched == ["run-1", "run-1"]
    assert world.latest().attempt == 1
    world.now = reconciling.START_LIMIT_S + 1
    world.reconciler.look()
    assert world.latest().attempt == 2


def test_what_waits_behind_a_running_experiment_waits_rightly(world: World) -> None:
    world.arrive("a")
    world.state.attach_run(world.arrive("b"), "run-b")
    world.reconciler.look()
    world.begin("a", pid=os.getpid())
    world.now = 1000.0
    world.reconciler.look()
    with world.state.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE lives SET state = 'SUCCEEDED' WHERE experiment_id = 'a'")
    world.reconciler.look()
    assert (world.latest("b").attempt, world.runs.launched) == (1, [])


def test_a_run_that_a_later_one_has_overtaken_is_launched_again_at_once(world: World) -> None:
    """Incident: it waited until nothing ran for five seconds: for ever, where experiments keep coming."""
    world.state.attach_run(world.arrive("older"), "run-older")
    world.arrive("without-a-run")
    world.begin("newer", pid=os.getpid())
    world.state.attach_run(world.arrive("behind"), "run-behind")
    for seconds in (0, 6, 12):
        world.now = float(seconds)
        world.reconciler.look()
    assert world.runs.launched == ["run-older"]  # once for each that overtakes it
    with world.state.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE lives SET state = 'SUCCEEDED' WHERE experiment_id = 'newer'")
    world.begin("newest", pid=os.getpid())
    world.reconciler.look()
    assert world.runs.launched == ["run-older", "run-older", "run-behind"]
    assert world.latest("older").attempt == 1


def test_runs_that_wait_at_the_start_are_queued_before_any_new_one(world: World) -> None:
    """Incident: after an upgrade a new experiment ran before an older one, whose run an earlier program had queued."""
    for name in ("b", "a"):
        world.state.attach_run(world.arrive(name), f"run-{name}")
    world.arrive("c")
    world.reconciler.begin()
    assert world.runs.launched == ["run-b", "run-a"]
    world.now = 1.0
    world.reconciler.look()
    assert (len(world.runs.launched), world.latest("b").attempt) == (2, 1)


def test_runs_that_belong_to_no_attempt_are_ended_at_the_start(world: World) -> None:
    world.begin()
    world.runs.open = [("run-1", "e/1/1"), ("old", "e/1/0"), ("gone", "x/1/1")]
    world.reconciler.begin()
    assert world.runs.ended == ["old", "gone"]


# ---------------------------------------------------------------------- started by hand
def test_what_waits_behind_a_run_by_hand_waits_rightly(world: World) -> None:
    """A long run started in the web interface used to make every waiting experiment FAIL with `worker_lost`."""
    world.state.attach_run(world.arrive(), "run-1")
    world.runs.hand = [HandRun("hand", is_stopping=False)]
    for seconds in range(0, 3600, 50):
        world.now = float(seconds)
        world.reconciler.look()
    assert (world.latest().attempt, world.runs.launched, world.runs.ended) == (1, [], [])
    world.runs.hand = []
    world.reconciler.look()
    assert world.latest().attempt == 1  # its time to begin is counted from the end of the other one
    world.now += reconciling.START_LIMIT_S + 1
    world.reconciler.look()
    assert world.latest().attempt == 2


def test_a_run_by_hand_whose_step_process_died_is_ended(
    world: World, step_process: Callable[[], int]
) -> None:
    """The run host would wait for its result for ever, and every experiment behind it."""
    pid = step_process()
    world.state.claim_steps("hand", ["train"], "task", pid)
    world.runs.hand = [HandRun("hand", is_stopping=False)]
    world.reconciler.look()
    world.now = 1000.0
    world.reconciler.look()
    assert world.runs.ended == []
    os.kill(pid, signal.SIGKILL)
    assert is_gone(pid)
    world.reconciler.look()
    world.now += reconciling.ENDED_S + 1
    world.reconciler.look()
    assert world.runs.ended == ["hand"]


def test_a_run_by_hand_that_does_not_stop_is_killed_after_its_grace(
    world: World, step_process: Callable[[], int]
) -> None:
    pid = step_process()
    world.state.claim_steps("hand", ["train"], "task", pid)
    world.runs.hand = [HandRun("hand", is_stopping=True)]
    world.reconciler.look()
    assert not is_gone(pid, within_s=0.1)
    world.now = stopping.GRACE_S + 1
    world.reconciler.look()
    assert is_gone(pid)
    assert world.runs.ended == []  # the run host hears that its task is lost, and ends the run


def test_a_run_by_hand_that_never_began_a_stage_is_ended_after_its_grace(world: World) -> None:
    world.runs.hand = [HandRun("hand", is_stopping=True)]
    world.reconciler.look()
    world.now = stopping.GRACE_S + 1
    world.reconciler.look()
    assert world.runs.ended == ["hand"]


def test_an_attempt_that_never_began_does_not_end_with_the_error_of_the_one_before(world: World) -> None:
    """Its run's message got lost: the error that the retry was for became the result."""
    world.oom_kills = 0
    current = world.begin(retries=1)
    world.state.note_error(current.token or "", "stage_failed", "a passing trouble", "")
    finish_attempt(world.settings, world.state, world.latest(), RunEnd.FAILURE)
    waiting = world.latest()
    assert (waiting.state, waiting.attempt, waiting.failures) == ("PENDING", 2, 1)
    assert (waiting.error_code, waiting.oom_kills, waiting.stage, waiting.progress) == (None, None, None, 0.0)
    world.state.attach_run(waiting, "run-2")
    world.reconciler.look()
    world.now = reconciling.START_LIMIT_S + 1
    world.reconciler.look()
    assert (world.latest().state, world.latest().attempt, world.latest().losses) == ("PENDING", 3, 0)
    assert world.results() == []


def test_a_queue_that_is_away_does_not_keep_the_reconciler_from_the_next_experiment(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent died of it, and started again only to die once more, as long as something waited."""
    tried: list[str] = []

    def away(run_id: str) -> None:
        tried.append(run_id)
        raise QueueUnavailable("Redis did not answer")

    monkeypatch.setattr(world.runs, "launch", away)
    for name in ("a", "b"):
        world.state.attach_run(world.arrive(name), f"run-{name}")
    for seconds in (0, 6, 12):
        world.now = float(seconds)
        world.reconciler.look()
    assert tried == ["run-a", "run-b"] * 2
