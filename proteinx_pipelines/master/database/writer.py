"""The one writer of the Master's database: changes from all threads, in order, many to a commit.

    row = database.write(lambda connection: create(connection, ...))      # from a thread
    row = await database.awrite(lambda connection: create(connection, ...))

A change is a function of a connection. It runs in a savepoint, so that one that fails leaves nothing and disturbs no
other; its caller gets the value, or the error, when the commit is on disk. One writer takes no lock from another, and
a commit shared by all who wait is what makes thousands of them a second possible.
"""

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Engine

from proteinx_pipelines.master.database.engine import MasterStateError

T = TypeVar("T")
Change = Callable[[Connection], T]
AT_ONCE = 256
"""Most changes in one commit."""


class Database:
    """Reads from any thread; writes through one thread of its own."""

    def __init__(self, engine: Engine, on_commit: Callable[[], object] = lambda: None) -> None:
        """Start the writer.

        Args:
            engine: of `engine.open_database`.
            on_commit: called on the writer's thread after each commit; wakes streams.
        """
        self.engine = engine
        self._on_commit = on_commit
        self._changes: queue.SimpleQueue[tuple[Change[Any], Future[Any]] | None] = queue.SimpleQueue()
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, change: Change[T]) -> "Future[T]":
        """Queue a change; the future has its value when the commit is on disk."""
        if self._is_closed:
            raise MasterStateError("The Master is stopping; send the request again in a moment.")
        future: Future[T] = Future()
        self._changes.put((change, future))
        return future

    def write(self, change: Change[T]) -> T:
        """Make a change and wait until it is on disk. Not for the event loop's thread: see `awrite`."""
        return self.submit(change).result()

    async def awrite(self, change: Change[T]) -> T:
        """Make a change and wait until it is on disk, without holding the event loop."""
        return await asyncio.wrap_future(self.submit(change))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads; sees what was committed when it began."""
        with self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Finish the queued changes and close every connection."""
        self._is_closed = True
        self._changes.put(None)
        self._thread.join()
        self.engine.dispose()

    # ------------------------------------------------------------------ the writer's thread
    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._next_batch()
            if batch:
                self._commit(batch)

    def _next_batch(self) -> tuple[list[tuple[Change[Any], "Future[Any]"]], bool]:
        first = self._changes.get()
        if first is None:
            return [], False
        batch = [first]
        while len(batch) < AT_ONCE:
            try:
                following = self._changes.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return batch, False
            batch.append(following)
        return batch, True

    def _commit(self, batch: list[tuple[Change[Any], "Future[Any]"]]) -> None:
        done: list[tuple[Future[Any], Any]] = []
        try:
            with self.engine.begin() as connection:
                for change, future in batch:
                    try:
                        with connection.begin_nested():
                            value = change(connection)
                    except BaseException as error:  # noqa: BLE001  # whoever asked gets it
                        future.set_exception(error)
                    else:
                        done.append((future, value))
        except BaseException as error:  # noqa: BLE001  # the commit failed: nothing of the batch is on disk
            for future, _value in done:
                future.set_exception(error)
            return
        for future, value in done:
            future.set_result(value)
        if done:
            self._on_commit()
