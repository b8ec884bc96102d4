"""Events: rows that streams, pages and webhooks hear of, and the bell that wakes the streams.

An event is written in the transaction of the change that it tells of. Its `seq` is the stream's `id`, so that a
reader who was away continues behind `Last-Event-ID`.
"""

import asyncio
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.master.database.tables import events
from proteinx_pipelines.master.webhooks.subscribing import put_out

_INSERT = insert(events)


def record(
    connection: Connection,
    event: str,
    data: Mapping[str, Any],
    *,
    job_id: str | None = None,
    node: str | None = None,
) -> None:
    """Write an event, and its outbox rows, in the transaction of its change.

    Args:
        connection: of the change.
        event: its name, such as `job.state`.
        data: what changed, as plain JSON types.
        job_id: the job it is about.
        node: the node it is about.
    """
    record_all(connection, event, [(job_id, data)], node=node)


def record_all(
    connection: Connection,
    event: str,
    told: Sequence[tuple[str | None, Mapping[str, Any]]],
    *,
    node: str | None = None,
) -> None:
    """Write the same event of several jobs; `told` has each job's id and what changed."""
    now = timestamp()
    connection.execute(
        _INSERT,
        [
            {"at": now, "event": event, "job_id": job_id, "node": node, "data": dict(data)}
            for job_id, data in told
        ],
    )
    put_out(connection, event, told, node)


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
        self._listeners: list[Callable[[], object]] = []
        self.is_stopping = False

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Use this event loop; called once when the server starts."""
        self._loop, self._rung = loop, asyncio.Event()

    def also(self, listener: Callable[[], object]) -> None:
        """Call this too at every ring, on the ringing thread; for what waits outside the event loop."""
        self._listeners.append(listener)

    def ring(self) -> None:
        """Wake everyone who waits."""
        for listener in self._listeners:
            listener()
        with self._lock:
            if self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._wake)

    def stop(self) -> None:
        """End every stream."""
        self.is_stopping = True
        self.ring()

    def next(self) -> asyncio.Event:
        """What the next ring sets. Taken before reading: a ring between reading and waiting is not missed."""
        if self._rung is None:
            raise RuntimeError("attach the bell to an event loop first")
        return self._rung

    async def wait(self, rung: asyncio.Event, longest_s: float) -> bool:
        """Wait for a ring, at most `longest_s` seconds; true if it came."""
        if self.is_stopping:
            return True
        try:
            await asyncio.wait_for(rung.wait(), longest_s)
        except TimeoutError:
            return False
        return True

    def _wake(self) -> None:
        if self._rung is not None:
            rung, self._rung = self._rung, asyncio.Event()
            rung.set()
