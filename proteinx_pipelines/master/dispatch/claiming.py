"""Claims the messages that programs put on the queue's own list, and makes jobs of them."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection, select

from proteinx_pipelines.contract.status import Status
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.reading import first
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.dispatch.direct import decide
from proteinx_pipelines.master.dispatch.wire import MASTER, Wire
from proteinx_pipelines.master.jobs.order import count_before
from proteinx_pipelines.pipeline.stages import always_made
from proteinx_pipelines.queue.queue import RedisQueue

log = logging.getLogger(__name__)
WAIT_S = 2.0
"""Longest wait for a message, in seconds, between two looks whether to stop."""
MOST_PLACED = 10
"""Most messages of one batch whose place in the line is shown at once; those of a flood get theirs in seconds."""
AT_ONCE = 100
"""Most messages decided in one transaction."""


@dataclass
class Claimer:
    """Takes messages off the queue's own list; one thread calls it."""

    database: Database
    wire: Wire
    take_from: str
    stopping: threading.Event
    queue: RedisQueue = field(init=False)

    def __post_init__(self) -> None:
        self.queue = RedisQueue(self.wire.client, self.wire.keys.messages, MASTER, take_from=self.take_from)

    def work(self, wake: Callable[[], None]) -> None:
        """Take messages until asked to stop; `wake` is called when jobs were made.

        Raises:
            QueueUnavailable: Redis does not answer; call it again.
        """
        self.recover()
        while not self.stopping.is_set():
            first = self.queue.dequeue(WAIT_S)
            if first is None:
                continue
            batch = [first]
            while len(batch) < AT_ONCE and (more := self.queue.dequeue(0)) is not None:
                batch.append(more)
            self.decide(batch)
            wake()

    def recover(self) -> None:
        """Decide about messages that an earlier process has claimed; one that it has decided is only forgotten."""
        self.decide(list(self.queue.claimed()), counts_again=False)

    def decide(self, raws: list[bytes], *, counts_again: bool = True) -> None:
        """Decide about messages in one transaction, show what waits, then forget them."""
        if not raws:
            return
        for start in range(0, len(raws), AT_ONCE):
            batch = raws[start : start + AT_ONCE]
            decided = self.database.write(partial(_decide_all, raws=batch, counts_again=counts_again))
            for job_id in decided:
                self._show(job_id, is_placed=len(batch) <= MOST_PLACED)
            for raw in batch:
                self.queue.ack(raw)

    def _show(self, job_id: str, *, is_placed: bool) -> None:
        """Tell a program that knows only Redis that its message was accepted and waits."""
        with self.database.reading() as connection:
            row = first(connection, select(jobs).where(jobs.c.job_id == job_id))
            if row is None:
                return
            if row["reply_to"] is not None:
                self.wire.note_job(row["message_key"], job_id)
            if row["state"] != "WAITING":
                return
            place = {"position": count_before(connection, row) + 1} if is_placed else {}
        fields = {
            "state": "PENDING",
            "stage": always_made()[0],
            "progress": 0.0,
            "note": "",
            "attempt": 0,
            "error": "",
        }
        change = Status.model_validate({**fields, **place})
        self.wire.line().status(row["experiment_id"], change, "accepted")


def _decide_all(connection: Connection, raws: list[bytes], *, counts_again: bool) -> list[str]:
    return [decide(connection, raw, counts_again=counts_again) for raw in raws]
