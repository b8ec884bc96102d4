"""The one writer of the Master's database: changes from all threads, in order, many to a commit.

    row = database.write(lambda connection: create(connection, ...))      # from a thread
    row = await database.awrite(lambda connection: create(connection, ...))
    row = await database.awrite_together(create_many, asked)              # with others of its kind

A change is a function of a connection. It runs in a savepoint, so that one that fails leaves nothing and disturbs no
other; its caller gets the value, or the error, when the commit is on disk. One writer takes no lock from another, and
a commit shared by all who wait is what makes thousands of them a second possible. Changes of one kind that wait side by
side are one call, which looks up once what they all need.
"""

import asyncio
import itertools
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, cast

from sqlalchemy import Connection, Engine

from proteinx_pipelines.master.database.asked import (
    Asked,
    Change,
    Changes,
    Item,
    T,
    alone,
    always,
    done,
    tell,
    wanted,
)
from proteinx_pipelines.master.database.engine import (
    MasterStateError,
    connection_of_writer,
    end_transaction,
)
from proteinx_pipelines.master.database.gathering import Gathering

AT_ONCE = 256
"""Changes after which no more are taken into one commit."""


class Database:
    """Reads from any thread; writes through one thread of its own."""

    def __init__(self, engine: Engine, on_commit: Callable[[], object] = lambda: None) -> None:
        """Start the writer.

        Args:
            engine: of `engine.open_database`.
            on_commit: called on the writer's thread after each commit; wakes streams.
        """
        self.engine = engine
        self.version = 0
        """Number of commits so far: who finds it unchanged need not read again. Other programs write tokens alone."""
        self._on_commit = on_commit
        self._changes: queue.SimpleQueue[list[Asked] | None] = queue.SimpleQueue()
        self._gatherings: dict[asyncio.AbstractEventLoop, Gathering] = {}
        self._own = connection_of_writer(engine)
        self._is_closed = False
        self._closing = threading.Lock()  # nothing is queued behind the end, where nobody would do it
        self._thread = threading.Thread(target=self._run, name="writer", daemon=True)
        self._thread.start()

    def submit(self, change: Change[T], *, is_news: Callable[[T], bool] | None = None) -> "Future[T]":
        """Queue a change; the future has its value when the commit is on disk.

        Args:
            change: what to do.
            is_news: whether, by its value, anybody is to be woken; always without it. Fifty nodes say ten times a
                second that nothing has happened.

        Raises:
            MasterStateError: the database was closed.
        """
        future: Future[T] = Future()
        self._queue([Asked(change, is_news=is_news or always, future=future)])
        return future

    def submit_together(self, together: Changes[Item, T], item: Item) -> "Future[T]":
        """Queue a change that is made with all others of `together` that wait beside it.

        Raises:
            MasterStateError: the database was closed.
        """
        future: Future[T] = Future()
        self._queue(
            [Asked(lambda connection: alone(connection, together, item), together, item, future=future)]
        )
        return future

    def write(self, change: Change[T]) -> T:
        """Make a change and wait until it is on disk. Not for the event loop's thread: see `awrite`."""
        return self.submit(change).result()

    async def awrite(self, change: Change[T], *, is_news: Callable[[T], bool] | None = None) -> T:
        """Make a change and wait until it is on disk, without holding the event loop; `is_news` as for `submit`."""
        future = asyncio.get_running_loop().create_future()
        asked = Asked(change, is_news=is_news or always, future=future)
        return cast("T", await self._gather(asked, future))

    async def awrite_together(self, together: Changes[Item, T], item: Item) -> T:
        """Make a change together with others of its kind, and wait until it is on disk."""
        future = asyncio.get_running_loop().create_future()
        asked = Asked(lambda connection: alone(connection, together, item), together, item, future=future)
        return cast("T", await self._gather(asked, future))

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A connection that only reads; sees what was committed when it began."""
        with self.engine.connect() as connection:
            yield connection

    def close(self) -> None:
        """Finish the queued changes and close every connection."""
        with self._closing:
            self._is_closed = True
            self._changes.put(None)
        self._thread.join()
        self.engine.dispose()

    def _queue(self, asked: list[Asked]) -> None:
        with self._closing:
            if self._is_closed:
                raise MasterStateError("The Master is stopping; send the request again in a moment.")
            self._changes.put(asked)

    def _gather(self, asked: Asked, future: "asyncio.Future[Any]") -> "asyncio.Future[Any]":
        loop = future.get_loop()
        if loop not in self._gatherings:
            self._gatherings[loop] = Gathering(loop, self._queue)
        self._gatherings[loop].add(asked)
        return future

    # ------------------------------------------------------------------ the writer's thread
    def _run(self) -> None:
        is_open = True
        while is_open:
            batch, is_open = self._next_batch()
            if len(batch) == 1:
                self._commit_one(batch[0])
            elif batch:
                self._commit(batch)
        if self._own is not None:
            self._own.close()

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        if self._own is None:
            with self.engine.begin() as connection:
                yield connection
        else:
            try:
                with self._own.begin():
                    yield self._own
            except BaseException:
                end_transaction(self._own)
                raise

    def _next_batch(self) -> tuple[list[Asked], bool]:
        first = self._changes.get()
        if first is None:
            return [], False
        batch = list(first)
        while len(batch) < AT_ONCE:
            try:
                following = self._changes.get_nowait()
            except queue.Empty:
                break
            if following is None:
                return wanted(batch), False
            batch += following
        return wanted(batch), True

    def _commit_one(self, asked: Asked) -> None:
        """A change that has nobody beside it: the transaction is its savepoint."""
        try:
            with self._writing() as connection:
                value = asked.change(connection)
        except BaseException as error:  # noqa: BLE001  # whoever asked gets it
            tell([(asked, error)])
            return
        self.version += 1
        tell([(asked, value)])
        if asked.is_news(value):
            self._on_commit()

    def _commit_alike(self, batch: list[Asked], settled: list[tuple[Asked, Any]]) -> bool:
        """Commit changes that are all of one kind, the transaction being their savepoint; false where that is not so.

        SQLite copies each page aside that is changed below a savepoint: half of all that it wrote.

        Args:
            batch: the changes.
            settled: gets each with its value, before they are committed.
        """
        together = batch[0].together
        if together is None or any(asked.together != together for asked in batch):
            return False
        try:
            with self._writing() as connection:
                values = together(connection, [asked.item for asked in batch])
                settled += zip(batch, values, strict=True)
        except Exception:
            if settled:
                raise  # the commit failed: what is on disk is not known, so nothing may be made again
            return False
        return True

    def _commit(self, batch: list[Asked]) -> None:
        """Changes side by side, each in a savepoint; those of one kind need none while nothing of them fails."""
        settled: list[tuple[Asked, Any]] = []
        try:
            if not self._commit_alike(batch, settled):
                with self._writing() as connection:
                    for together, some in itertools.groupby(batch, lambda asked: asked.together):
                        settled += done(connection, together, list(some))
        except BaseException as error:  # noqa: BLE001  # the commit failed: nothing of the batch is on disk
            own = dict(settled)
            tell(
                (asked, own[asked] if isinstance(own.get(asked), BaseException) else error) for asked in batch
            )
            return
        self.version += 1
        tell(settled)
        if any(asked.is_news(value) for asked, value in settled if not isinstance(value, BaseException)):
            self._on_commit()
