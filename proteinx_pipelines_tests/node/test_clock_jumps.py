"""The machine's clock is set while something runs: no run ends too early, none lives for ever, nothing seems dead."""

import os
import time
from collections.abc import Callable

import psutil
import pytest

from proteinx_pipelines.errors import TimedOut
from proteinx_pipelines.execution.monitor import ExecutionMonitor
from proteinx_pipelines.execution.sinks import Beat, EventsFile, Fanout
from proteinx_pipelines.ledger import generation as generations
from proteinx_pipelines.ledger import ledger as store
from proteinx_pipelines.ledger.generation import Generation
from proteinx_pipelines.node.lifecycle import stopper as stopping
from proteinx_pipelines.node.processes.ready_parts import is_ready, mark_ready, pid_of
from proteinx_pipelines_tests.node.world import World, is_gone

HOUR, DAY = 3600.0, 86_400.0
JUMPS = (2 * HOUR, -2 * HOUR, 60 * DAY, -60 * DAY)


class Clocks:
    """The time of day and the steady clock, as far ahead of the real ones as a test says."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.day, self.steady, self.boot = 0.0, 0.0, "first"
        day, steady = time.time, time.monotonic
        monkeypatch.setattr(time, "time", lambda: day() + self.day)
        for module in (store, generations):
            monkeypatch.setattr(module, "steady_seconds", lambda: steady() + self.steady)
            monkeypatch.setattr(module, "boot_id", lambda: self.boot)


@pytest.fixture
def clocks(monkeypatch: pytest.MonkeyPatch) -> Clocks:
    return Clocks(monkeypatch)


@pytest.fixture
def without_the_steady_clock(clocks: Clocks, monkeypatch: pytest.MonkeyPatch) -> None:
    """Guard off: limits are held against the time of day."""
    for module in (store, generations):
        monkeypatch.setattr(module, "steady_seconds", lambda: time.time())


def hears_a_timeout(world: World, current: Generation) -> bool:
    """True if a stage that reports progress now is asked to stop."""
    folder = world.settings.workdir / "monitor"
    sinks = [EventsFile(folder / "events.jsonl"), Beat(world.state, current.token or "")]
    monitor = ExecutionMonitor(Fanout(sinks), attempt=1)
    try:
        monitor.progress(1, 2)
    except TimedOut:
        return True
    finally:
        monitor.close()
    return False


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_is_set_ends_no_run_that_has_time_left(
    world: World,
    clocks: Clocks,
    step_process: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    jump: float,
) -> None:
    monkeypatch.setattr(stopping, "GRACE_S", -1.0)
    pid = step_process()
    current = world.begin(pid=pid, timeout_s=100)
    clocks.day = jump
    world.stopper.stop_overdue()
    world.reconciler.look()
    assert not is_gone(pid, within_s=0.1)
    assert not hears_a_timeout(world, current)
    assert (world.latest().state, world.latest().attempt) == ("RUNNING", 1)


@pytest.mark.usefixtures("without_the_steady_clock")
def test_by_the_time_of_day_it_would_end(world: World, clocks: Clocks) -> None:
    current = world.begin(pid=os.getpid(), timeout_s=100)
    clocks.day = 2 * HOUR
    assert hears_a_timeout(world, current)


@pytest.mark.parametrize("jump", JUMPS)
def test_a_clock_that_is_set_saves_no_run_whose_time_is_over(
    world: World,
    clocks: Clocks,
    step_process: Callable[[], int],
    monkeypatch: pytest.MonkeyPatch,
    jump: float,
) -> None:
    monkeypatch.setattr(stopping, "GRACE_S", -1.0)
    pid = step_process()
    current = world.begin(pid=pid, timeout_s=100)
    clocks.day, clocks.steady = jump, 101
    world.stopper.stop_overdue()
    assert is_gone(pid)
    assert hears_a_timeout(world, current)


@pytest.mark.usefixtures("without_the_steady_clock")
def test_by_the_time_of_day_it_would_live_for_ever(world: World, clocks: Clocks) -> None:
    current = world.begin(pid=os.getpid(), timeout_s=100)
    clocks.day = 101 - 2 * HOUR
    assert not hears_a_timeout(world, current)


def test_attempts_share_one_limit_and_the_time_a_machine_was_off_does_not_count(
    world: World, clocks: Clocks
) -> None:
    current = world.begin(pid=os.getpid(), timeout_s=100)
    clocks.steady = 40
    world.state.beat(current.token or "", stage="train", progress=0.5, note="", pid=os.getpid())
    clocks.steady = 50
    world.state.retry(world.latest(), delay_s=0, reason="test", counts=False)
    again = world.begin(timeout_s=100)
    assert again.limit_left == pytest.approx(50, abs=5)
    clocks.steady, clocks.boot, clocks.day = -time.monotonic() + 5, "second", DAY  # off for a day
    assert not again.is_late
    world.state.retry(world.latest(), delay_s=0, reason="the machine was off", counts=False)
    assert world.begin(timeout_s=100).limit_left == pytest.approx(50, abs=5)


def test_a_retry_does_not_wait_for_hours_when_the_clock_was_put_back(world: World, clocks: Clocks) -> None:
    world.state.retry(world.begin(), delay_s=60, reason="test", counts=True)
    assert world.state.due(1) == []
    clocks.day = -2 * HOUR
    assert [current.attempt for current in world.state.due(1)] == [2]


@pytest.mark.skipif(not psutil.LINUX, reason="elsewhere the system itself keeps the time of creation")
def test_a_part_is_still_itself_after_the_clock_was_set(
    world: World, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time of creation was a time of day: all parts seemed to be gone, and what ran was lost."""
    boot = psutil.boot_time()
    world.no_part("sensor")
    for part in ("worker", "sensor"):
        mark_ready(world.settings, part)
    clocks.day = 2 * HOUR
    monkeypatch.setattr(psutil._pslinux, "boot_time", lambda: boot + 2 * HOUR)
    assert pid_of(world.settings, "worker") == os.getpid()
    mark_ready(world.settings, "sensor")
    assert pid_of(world.settings, "sensor") == os.getpid()


def test_a_sensor_that_fell_silent_before_the_clock_was_put_back_is_not_taken_for_ready(
    world: World, clocks: Clocks
) -> None:
    assert is_ready(world.settings, "sensor")
    clocks.day = -2 * HOUR
    assert not is_ready(world.settings, "sensor")


def test_a_restart_of_a_machine_that_has_no_name_for_it_ends_no_experiment(
    world: World, clocks: Clocks
) -> None:
    """Windows and macOS: the clock began again, and the deadline of the last start had passed on it."""
    clocks.boot, clocks.steady = "", -time.monotonic() + 5  # just started
    current = world.begin(pid=os.getpid(), timeout_s=100)
    clocks.steady += 40
    world.state.beat(current.token or "", stage="train", progress=0.5, note="", pid=os.getpid())
    clocks.steady = -time.monotonic() + DAY  # started again, and up for a day
    world.state.retry(world.latest(), delay_s=0, reason="the machine was off", counts=False)
    again = world.begin(timeout_s=100)
    assert again.limit_left == pytest.approx(60, abs=5)
    assert not again.is_late
    clocks.steady += 61
    assert again.is_late
