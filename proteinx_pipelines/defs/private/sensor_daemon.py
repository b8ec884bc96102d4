"""Dagster's sensor daemon: its next round at once, its progress recorded, and no round that a clock set back puts off.

Dagster measures by the time of day. Where the machine's clock was ahead and is set right, its last tick lies in the
future, and a round seems to have taken less than no time: both would make it wait for as long as the clock was ahead.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Any


class BriefEvent:
    """The event that ends Dagster's loop, which only waits for it: at most some seconds, whatever it is asked for."""

    def __init__(self, event: threading.Event, longest_s: float) -> None:
        self._event, self._longest_s = event, longest_s

    def wait(self, timeout: float) -> bool:
        """Wait for the event, at most the longest time."""
        return self._event.wait(min(timeout, self._longest_s))


def quicken_sensor_daemon(on_progress: Callable[[], None], pause_s: float = 0.05) -> None:
    """Let the sensor daemon start its next round at once, and record that it makes progress.

    The sensor blocks inside its tick. Progress is recorded by the loop itself, not by a thread of its own: a daemon
    whose loop hangs must fall silent.

    Args:
        on_progress: called at each step of the loop.
        pause_s: seconds from the start of a round to that of the next one, at least.
    """
    from dagster._daemon import daemon, sensor

    original, loop, is_early = (
        sensor.execute_sensor_iteration,
        sensor.execute_sensor_iteration_loop,
        sensor.is_under_min_interval,
    )

    def iterate(*args: Any, **kwargs: Any) -> Iterator[Any]:
        for step in original(*args, **kwargs):
            on_progress()
            yield step

    def is_under_min_interval(state: Any, *args: Any, **kwargs: Any) -> bool:
        elapsed = sensor.get_elapsed(state)
        return (elapsed is None or elapsed >= 0) and is_early(state, *args, **kwargs)

    def go_round(workspace: Any, logger: Any, shutdown: threading.Event, **kwargs: Any) -> Iterator[Any]:
        yield from loop(workspace, logger, BriefEvent(shutdown, pause_s), **kwargs)  # type: ignore[arg-type]

    sensor.execute_sensor_iteration = iterate
    sensor.is_under_min_interval = is_under_min_interval
    assert hasattr(daemon, "execute_sensor_iteration_loop")
    daemon.execute_sensor_iteration_loop = go_round

    assert hasattr(sensor, "MIN_INTERVAL_LOOP_TIME")
    sensor.MIN_INTERVAL_LOOP_TIME = pause_s  # type: ignore[assignment]
