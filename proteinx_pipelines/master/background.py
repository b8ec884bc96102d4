"""Work that the Master does by itself, beside dispatch: searches go on, webhooks are sent, old rows are forgotten."""

import logging
import threading
import time
from collections.abc import Callable, Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, delete, func, select

from proteinx_pipelines.clock import timestamp_before
from proteinx_pipelines.master.cleaning.finding import find
from proteinx_pipelines.master.cleaning.removing import remove
from proteinx_pipelines.master.database.tables import answers, events, units
from proteinx_pipelines.master.groups import searching
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.runs.reporting import end_silent
from proteinx_pipelines.master.webhooks import delivery

log = logging.getLogger(__name__)
EVENTS_KEPT_S = 30 * 24 * 3600
"""Life of events, in seconds."""
QUIET_S = 5.0
"""Seconds between two looks at searches and webhooks while nothing is committed: what is tried again waits so long."""
LEAST_S = 0.05
"""Least seconds between two looks at what is due."""
ANSWERS_KEPT_S = 7 * 24 * 3600
"""Life of the answers to requests with an `Idempotency-Key`, in seconds."""

_SUBMITTED = select(func.count()).select_from(units).where(units.c.state == "SUBMITTED")


@dataclass(frozen=True)
class Task:
    """Something that is done again and again."""

    name: str
    every_s: float
    """Least seconds between two times."""
    do: Callable[[], Any]
    quiet_s: float | None = None
    """The same while `ring` was not called since the last time; None for what is not to wait for it."""


class Background:
    """A thread that does tasks when they are due; one that fails is told in the log and done again when it is due.

    Args:
        tasks: what is done, in this order where several are due.
    """

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._stopping, self._rung = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the task in progress."""
        self._stopping.set()
        self._rung.set()
        self._thread.join(timeout=30)

    def ring(self) -> None:
        """Something was committed; called from any thread."""
        self._rung.set()

    def _run(self) -> None:
        done = {task.name: time.monotonic() for task in self._tasks}
        has_news = {task.name for task in self._tasks}
        while not self._stopping.is_set():
            if self._rung.is_set():
                self._rung.clear()
                if self._stopping.is_set():  # that ring was the last one
                    return
                has_news.update(done)
            for task in self._tasks:
                if _due(task, done, has_news) <= time.monotonic():
                    has_news.discard(task.name)  # what comes while it works is news again
                    self._do(task)
                    done[task.name] = time.monotonic()
            pause = min(_due(task, done, has_news) for task in self._tasks) - time.monotonic()
            # Where all have news, a further ring tells nothing.
            waits = self._stopping if len(has_news) == len(done) else self._rung
            waits.wait(max(LEAST_S, pause))

    def _do(self, task: Task) -> None:
        try:
            task.do()
        except Exception:
            log.exception("The Master's task %r failed; it is tried again in %g s.", task.name, task.every_s)


def _due(task: Task, done: Mapping[str, float], has_news: Container[str]) -> float:
    """Time from which a task is due, in monotonic seconds."""
    if task.quiet_s is None or task.name in has_news:
        return done[task.name] + task.every_s
    return done[task.name] + task.quiet_s


def background_of(master: Master) -> Background:
    """The tasks of a Master; not started."""
    background = Background(
        (
            Task("search", 1.0, Searches(master).go_on, quiet_s=QUIET_S),
            Task("webhooks", 0.5, delivery.Deliveries(master).look, quiet_s=QUIET_S),
            Task("runs", 10.0, lambda: master.database.write(end_silent)),
            Task("clean", 6 * 3600.0, lambda: remove(master, find(master))),
            Task("forget", 3600.0, lambda: master.database.write(forget_old)),
        )
    )
    master.bell.also(background.ring)
    return background


def forget_old(connection: Connection) -> None:
    """Delete events and kept answers that are older than promised."""
    connection.execute(delete(events).where(events.c.at < timestamp_before(EVENTS_KEPT_S)))
    connection.execute(delete(answers).where(answers.c.at < timestamp_before(ANSWERS_KEPT_S)))


class Searches:
    """The searches of a Master: while there are none, one is looked for after a commit only."""

    def __init__(self, master: Master) -> None:
        self._database = master.database
        self._is_any, self._seen = False, -1

    def go_on(self) -> None:
        """Go on with the searches, if there are any: a look costs less than a change."""
        version = self._database.version
        if not self._is_any and version == self._seen:
            return
        with self._database.reading() as connection:
            self._is_any = connection.execute(_SUBMITTED).scalar_one() > 0
        self._seen = version
        if self._is_any:
            self._database.write(searching.go_on)
