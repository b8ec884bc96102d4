"""Events: rows that streams, pages and webhooks hear of, and the bell that wakes the streams.

An event is written in the transaction of the change that it tells of. Its `seq` is the stream's `id`, so that a
reader who was away continues behind `Last-Event-ID`.
"""

import asyncio
import threading
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.master.database.tables import events


def record(
    connection: Connection,
    event: str,
    data: Mapping[str, Any],
    *,
    job_id: str | None = None,
    node: str | None = None,
) -> None:
    """Write an event, in the transaction of its change.

    Args:
        connection: of the change.
        event: its name, such as `job.state`.
        data: what changed, as plain JSON types.
        job_id: the job it is about.
        node: the node it is about.
    """
    connection.execute(
        insert(events).values(at=timestamp(), event=event, job_id=job_id, node=node, data=dict(data))
    )


def after(
    connection: Connection, seq: int, *, job_id: str | None = None, limit: int = 500
) -> list[dict[str, Any]]:
    """Events behind a number, oldest first; those of one job, or all."""
    query = select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
    if job_id is not None:
        query = query.where(events.c.job_id == job_id)
    return [dict(row) for row in connection.execute(query).mappings()]


class Bell:
    """Wakes every stream of an event loop; rung from any thread."""

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._rung: asyncio.Event | None = None
        self._lock = threading.Lock()
        self.is_stopping = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use this event loop; called once when the server starts."""
        self._loop, self._rung = loop, asyncio.Event()

    def ring(self) -> None:
        """Wake everyone who waits."""
        with self._lock:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._wake)

    def stop(self) -> None:
        """End every stream."""
        self.is_stopping = True
        self.ring()

    async def wait(self, longest_s: float) -> None:
        """Wait for the next ring, at most `longest_s` seconds."""
        if self._rung is None or self.is_stopping:
            return
        waiting = self._rung
        try:
            await asyncio.wait_for(waiting.wait(), longest_s)
        except TimeoutError:
            return

    def _wake(self) -> None:
        if self._rung is not None:
            rung, self._rung = self._rung, asyncio.Event()
            rung.set()
