"""Work that the Master does by itself, beside dispatch: searches go on, webhooks are sent, old rows are forgotten."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
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
ANSWERS_KEPT_S = 7 * 24 * 3600
"""Life of the answers to requests with an `Idempotency-Key`, in seconds."""

_SUBMITTED = select(func.count()).select_from(units).where(units.c.state == "SUBMITTED")


@dataclass(frozen=True)
class Task:
    """Something that is done again and again."""

    name: str
    every_s: float
    do: Callable[[], Any]


class Background:
    """A thread that does tasks when they are due; one that fails is told in the log and done again when it is due."""

    def __init__(self, tasks: Sequence[Task]) -> None:
        self._tasks = tasks
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="background", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread after the task in progress."""
        self._stopping.set()
        self._thread.join(timeout=30)

    def _run(self) -> None:
        due = {task.name: time.monotonic() + task.every_s for task in self._tasks}
        while not self._stopping.wait(max(0.05, min(due.values()) - time.monotonic())):
            for task in self._tasks:
                if due[task.name] <= time.monotonic():
                    self._do(task)
                    due[task.name] = time.monotonic() + task.every_s

    def _do(self, task: Task) -> None:
        try:
            task.do()
        except Exception:
            log.exception("The Master's task %r failed; it is tried again in %g s.", task.name, task.every_s)


def background_of(master: Master) -> Background:
    """The tasks of a Master; not started."""
    return Background(
        (
            Task("search", 1.0, Searches(master).go_on),
            Task("webhooks", 0.5, delivery.Deliveries(master).look),
            Task("runs", 10.0, lambda: master.database.write(end_silent)),
            Task("clean", 6 * 3600.0, lambda: remove(master, find(master))),
            Task("forget", 3600.0, lambda: master.database.write(forget_old)),
        )
    )


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
