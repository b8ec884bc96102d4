"""The monitor of a real execution: turns reports of stages into news for the attempt's sinks.

It is called from the training loop, so progress is passed on at most once a second. `sinks` handles the news, and stops
a cancelled, timed-out or superseded execution.
"""

import time
from typing import Any

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.execution.sinks import Event, Fanout, Histogram, Metric, Origin, Progress
from proteinx_pipelines.monitor import StageMonitor

BEAT_INTERVAL_S = 1.0
"""Least time between two pieces of news about progress, in seconds."""


class ExecutionMonitor(StageMonitor):
    """Speaks for one attempt."""

    def __init__(self, sinks: Fanout, *, generation: int = 1, attempt: int) -> None:
        self.stage = ""
        self._sinks = sinks
        self._generation = generation
        self._attempt = attempt
        self._last_beat = 0.0

    def begin_stage(self, stage: str) -> None:
        """Set the stage that the following news belong to."""
        self.stage = stage
        self._last_beat = 0.0
        self.event("stage_started")
        self.progress(0, 1, "started")

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Pass progress on, at most once a second.

        Raises:
            Stopped: cancelled, timed out, or superseded by a newer attempt.
        """
        now = time.monotonic()
        if now - self._last_beat < BEAT_INTERVAL_S:
            return
        self._last_beat = now
        fraction = min(1.0, done / total) if total > 0 else 0.0
        self._sinks.receive(Progress(self._origin(), fraction, note))

    def metric(
        self,
        name: str,
        value: float,
        *,
        step: int | None = None,
        epoch: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Pass on one value."""
        self._sinks.receive(Metric(self._origin(), name, float(value), step, epoch, fold))

    def histogram(
        self,
        name: str,
        counts: list[int],
        edges: list[float],
        *,
        step: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Pass on one histogram."""
        self._sinks.receive(Histogram(self._origin(), name, counts, edges, step, fold))

    def event(self, name: str, **payload: Any) -> None:
        """Pass on one event."""
        self._sinks.receive(Event(self._origin(), name, payload))

    def close(self) -> None:
        """Close the sinks."""
        self._sinks.close()

    def _origin(self) -> Origin:
        return Origin(self.stage, self._generation, self._attempt, timestamp())
