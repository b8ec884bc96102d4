"""The monitor of a real execution: metrics and events into the experiment's files, progress into `state.db`.

It is called from the training loop, so it does nothing costly more often than once a second, and it is where a
cancelled, timed-out or superseded execution learns that it must stop.
"""

import errno
import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import Cancelled, TimedOut
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.state.store import StateStore

BEAT_INTERVAL_S = 1.0
"""Least time between two writes of progress."""

ProgressListener = Callable[[str, float, str], None]
"""(stage, fraction of the stage, note) -> None."""


class JsonLines:
    """A file to which whole lines are appended, each with one write: a reader never sees half a record.

    A power loss may leave half a line all the same; it is ended first, so that what follows is whole.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if os.fstat(self._descriptor).st_size and _last_byte(path) != b"\n":
            os.write(self._descriptor, b"\n")

    def append(self, record: dict[str, Any]) -> None:
        """Append one record; NaN becomes null.

        Raises:
            OSError: there is no room for the whole line; nothing of it stays.
        """
        text = json.dumps({key: _finite(value) for key, value in record.items()}, allow_nan=False)
        line = text.encode("utf-8") + b"\n"
        written = os.write(self._descriptor, line)
        if written < len(line):  # the last free bytes of a disk take a part of a write
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Make the lines durable and close."""
        try:
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)


class ExecutionMonitor(StageMonitor):
    """Writes `metrics/metrics.jsonl` and `logs/events/*.jsonl`; beats and checks the fence in `state.db`."""

    def __init__(
        self,
        metrics_path: Path,
        events_path: Path,
        *,
        generation: int = 1,
        attempt: int,
        state: StateStore | None = None,
        token: str | None = None,
        on_progress: ProgressListener | None = None,
    ) -> None:
        self.stage = ""
        self._metrics = JsonLines(metrics_path)
        self._events = JsonLines(events_path)
        self._numbers = {"generation": generation, "attempt": attempt}
        self._state = state
        self._token = token
        self._on_progress = on_progress
        self._last_beat = 0.0

    def begin_stage(self, stage: str) -> None:
        """The stage that what follows belongs to."""
        self.stage = stage
        self._last_beat = 0.0
        self.event("stage_started")
        self.progress(0, 1, "started")

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Beat, at most once a second.

        Raises:
            Stopped: cancelled, timed out, or superseded by a newer attempt.
        """
        now = time.monotonic()
        if now - self._last_beat < BEAT_INTERVAL_S:
            return
        self._last_beat = now
        fraction = min(1.0, done / total) if total > 0 else 0.0
        if self._state is not None and self._token is not None:
            current = self._state.beat(
                self._token, stage=self.stage, progress=fraction, note=note, pid=os.getpid()
            )
            if current.cancel_requested:
                raise Cancelled(f"Experiment {current.experiment_id} was cancelled during {self.stage}.")
            if current.is_late:
                raise TimedOut(
                    f"`run.timeout_s` passed during {self.stage}; raise it, or make the experiment smaller."
                )
        if self._on_progress is not None:
            self._on_progress(self.stage, fraction, note)

    def metric(
        self,
        name: str,
        value: float,
        *,
        step: int | None = None,
        epoch: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Append one value to `metrics.jsonl`."""
        self._metrics.append(
            {
                "name": name, "value": float(value), "step": step, "epoch": epoch, "fold": fold,
                **self._numbers, "time": timestamp(),
            }
        )  # fmt: skip

    def histogram(
        self,
        name: str,
        counts: list[int],
        edges: list[float],
        *,
        step: int | None = None,
        fold: int | None = None,
    ) -> None:
        """Append one histogram to `metrics.jsonl`."""
        self._metrics.append(
            {
                "name": name, "histogram": {"counts": counts, "edges": edges}, "step": step, "fold": fold,
                **self._numbers, "time": timestamp(),
            }
        )  # fmt: skip

    def event(self, name: str, **payload: Any) -> None:
        """Append one event to the attempt's event file."""
        self._events.append(
            {"event": name, "stage": self.stage, "timestamp": timestamp(), "payload": payload}
        )

    def close(self) -> None:
        """Close the files."""
        try:
            self._metrics.close()
        finally:
            self._events.close()


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
