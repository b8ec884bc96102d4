"""Sinks for the news of a running attempt: files, `state.db`, a status line, and later additions.

A sink is one row of the list that `attempt` hands to `Fanout`. A tracker of experiments (MLflow, W&B), a counter for
Prometheus or a log stream is a class with `receive` and `close`, and `is_required = False`: it may fail, the experiment
does not.
"""

import logging
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from proteinx_pipelines.errors import Cancelled, Stopped, TimedOut
from proteinx_pipelines.experiment_dir.json_lines import JsonLines
from proteinx_pipelines.ledger.ledger import Ledger

log = logging.getLogger(__name__)
SILENT_S = 30.0
"""Least pause, in seconds, of an optional sink after it failed."""

ProgressListener = Callable[[str, float, str], None]
"""(stage, fraction of the stage, note) -> None."""


@dataclass(frozen=True)
class Origin:
    """Origin of news."""

    stage: str
    generation: int
    attempt: int
    time: str
    """UTC, ISO 8601."""


@dataclass(frozen=True)
class Progress:
    """Progress of a stage; at most one a second."""

    origin: Origin
    fraction: float
    """Of the stage, 0 to 1."""
    note: str


@dataclass(frozen=True)
class Metric:
    """One value of a metric named like `train/loss`."""

    origin: Origin
    name: str
    value: float
    step: int | None
    epoch: int | None
    fold: int | None


@dataclass(frozen=True)
class Histogram:
    """One histogram: `len(edges) == len(counts) + 1`."""

    origin: Origin
    name: str
    counts: list[int]
    edges: list[float]
    step: int | None
    fold: int | None


@dataclass(frozen=True)
class Event:
    """Something worth a line: `stage_started`, `epoch_finished`, `checkpoint_saved`, ..."""

    origin: Origin
    name: str
    payload: dict[str, Any]


News = Progress | Metric | Histogram | Event


class Sink(Protocol):
    """Takes news. Called from the training loop: keep it cheap."""

    @property
    def is_required(self) -> bool:
        """True if the experiment fails where this sink fails. False for a sink that only copies."""

    def receive(self, news: News) -> None:
        """Take one piece of news; ignore what this sink has no use for.

        Raises:
            Stopped: the stage must end; passed on from every sink.
        """

    def close(self) -> None:
        """Write what is still to be written."""


class Fanout:
    """Gives each piece of news to every sink, the required ones first.

    An optional sink that raises is left alone for `SILENT_S`, or ten times as long as it took where that is more: one
    that waits for a time-out costs at most a tenth of the time.
    """

    def __init__(self, sinks: Sequence[Sink], clock: Callable[[], float] = time.monotonic) -> None:
        self.sinks = sorted(sinks, key=lambda sink: not sink.is_required)
        self._clock = clock
        self._silent_until: dict[int, float] = {}

    def receive(self, news: News) -> None:
        """Pass news on.

        Raises:
            Stopped: a sink knows that the stage must end.
            OSError: a required file cannot be written.
        """
        for sink in self.sinks:
            if sink.is_required:
                sink.receive(news)
            else:
                self._try(sink, news)

    def close(self) -> None:
        """Close every sink, even when another one fails.

        Raises:
            OSError: a required file cannot be made durable; the first of them.
        """
        failed: Exception | None = None
        for sink in self.sinks:
            try:
                sink.close()
            except Exception as error:  # noqa: BLE001  # the others are closed all the same
                if sink.is_required:
                    failed = failed or error
                else:
                    log.warning("%s could not be closed: %s", type(sink).__name__, error)
        if failed is not None:
            raise failed

    def _try(self, sink: Sink, news: News) -> None:
        began = self._clock()
        if began < self._silent_until.get(id(sink), began):
            return
        try:
            sink.receive(news)
        except Stopped:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a tracker raises
            silence = max(SILENT_S, 10 * (self._clock() - began))
            self._silent_until[id(sink)] = self._clock() + silence
            name = type(sink).__name__
            log.warning(
                "%s failed and is left alone for %.0f s: %s: %s", name, silence, type(error).__name__, error
            )


class MetricsFile:
    """Metrics and histograms into `metrics/metrics.jsonl`."""

    is_required = True

    def __init__(self, path: Path) -> None:
        self._lines = JsonLines(path)

    def receive(self, news: News) -> None:
        """Append one line for each value or histogram."""
        if isinstance(news, Metric):
            what: dict[str, Any] = {
                "value": news.value,
                "step": news.step,
                "epoch": news.epoch,
                "fold": news.fold,
            }
        elif isinstance(news, Histogram):
            counted = {"counts": news.counts, "edges": news.edges}
            what = {"histogram": counted, "step": news.step, "fold": news.fold}
        else:
            return
        origin = news.origin
        numbers = {"generation": origin.generation, "attempt": origin.attempt, "time": origin.time}
        self._lines.append({"name": news.name, **what, **numbers})

    def close(self) -> None:
        """Make the lines durable."""
        self._lines.close()


class EventsFile:
    """Events into the attempt's file below `logs/events/`."""

    is_required = True

    def __init__(self, path: Path) -> None:
        self._lines = JsonLines(path)

    def receive(self, news: News) -> None:
        """Append one line for each event."""
        if isinstance(news, Event):
            origin = news.origin
            self._lines.append(
                {"event": news.name, "stage": origin.stage, "timestamp": origin.time, "payload": news.payload}
            )

    def close(self) -> None:
        """Make the lines durable."""
        self._lines.close()


@dataclass(frozen=True)
class Beat:
    """Progress into `state.db`, which answers whether the attempt may go on."""

    state: Ledger
    token: str
    is_required = True

    def receive(self, news: News) -> None:
        """Record a sign of progress.

        Raises:
            Stopped: cancelled, timed out, or superseded by a newer attempt.
        """
        if not isinstance(news, Progress):
            return
        stage = news.origin.stage
        current = self.state.beat(
            self.token, stage=stage, progress=news.fraction, note=news.note, pid=os.getpid()
        )
        if current.cancel_requested:
            raise Cancelled(f"Experiment {current.experiment_id} was cancelled during {stage}.")
        if current.is_late:
            raise TimedOut(
                f"The time limit passed during {stage}. Raise `run.timeout_s` (where the node's own limit, "
                "PROTEINX_MAX_TIMEOUT_S, allows it), or make the experiment smaller."
            )

    def close(self) -> None:
        """Nothing is kept back."""


@dataclass(frozen=True)
class ProgressOnly:
    """Progress to a function: a status hash, a line in a terminal, a run that somebody may have ended."""

    listener: ProgressListener
    is_required = False

    def receive(self, news: News) -> None:
        """Call the function.

        Raises:
            Stopped: the function says that the stage must end.
        """
        if isinstance(news, Progress):
            self.listener(news.origin.stage, news.fraction, news.note)

    def close(self) -> None:
        """Nothing is kept back."""
