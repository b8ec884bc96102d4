"""The latest events, read and written down once for all streams, however many pages are open.

A stream reads for itself until it has caught up, and goes on with what the feed keeps. One that is too slow for that
reads for itself again.
"""

import asyncio
import json
from bisect import bisect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.writer import Database
from proteinx_pipelines.master.events import Bell

KEPT = 2_000
"""Latest events that streams go on with."""
AT_ONCE = 500
"""Most events read at once."""
GATHER_S = 0.05
"""Least seconds between two looks: a busy Master commits hundreds of times a second, and each may wake every stream."""
LOOK_S = 15.0
"""Longest seconds between two looks."""


class Told(NamedTuple):
    """One event."""

    seq: int
    job_id: str | None
    line: bytes
    """As a stream sends it."""


class EventFeed:
    """Events as they come; all calls come from one event loop."""

    def __init__(self, database: Database, bell: Bell) -> None:
        self._database, self._bell = database, bell
        self._kept: list[Told] = []
        self._floor = 0
        """What came behind this number is kept."""
        self.newest = 0
        """Number of the last event that was read."""
        self.followers = 0
        self._error: Exception | None = None
        self._task: asyncio.Task[None] | None = None
        self._news = asyncio.Event()
        self._joined: dict[int, bytes] = {}

    @contextmanager
    def followed(self, seq: int) -> Iterator[None]:
        """Have events read while the block lasts: those behind a number, where nobody follows yet."""
        self.followers += 1
        if self._task is None or self._task.done():
            self._kept, self._joined, self._error = [], {}, None
            self._floor = self.newest = seq
            self._task = asyncio.create_task(self._read())
        try:
            yield
        finally:
            self.followers -= 1
            if self.followers == 0 and self._task is not None:
                self._task.cancel()
                self._task = None

    def behind(self, seq: int) -> Sequence[Told] | None:
        """The events behind a number; None where they are not kept any more.

        Raises:
            Exception: they cannot be read.
        """
        self._refuse_after_error()
        return None if seq < self._floor else self._kept[bisect(self._kept, seq, key=_seq) :]

    def lines_behind(self, seq: int) -> bytes | None:
        """The same as one piece of a stream: made once for all who are equally far."""
        self._refuse_after_error()
        if seq not in self._joined:
            told = self.behind(seq)
            if told is None:
                return None
            self._joined[seq] = b"".join(each.line for each in told)
        return self._joined[seq]

    async def wait(self, seq: int, longest_s: float) -> bool:
        """Wait for events behind a number, at most `longest_s` seconds; false if none came."""
        news = self._news
        if self.newest > seq or self._error is not None or self._bell.is_stopping:
            return True
        try:
            async with asyncio.timeout(longest_s):
                await news.wait()
        except TimeoutError:
            return False
        return True

    def _refuse_after_error(self) -> None:
        if self._error is not None:
            raise self._error

    # ------------------------------------------------------------------ the one reader
    async def _read(self) -> None:
        try:
            while not self._bell.is_stopping:
                rung = self._bell.next()
                rows = await asyncio.to_thread(self._behind, self.newest)
                if rows:
                    self._keep(rows)
                if len(rows) < AT_ONCE:
                    await asyncio.sleep(GATHER_S)
                    await self._bell.wait(rung, LOOK_S)
        except Exception as error:  # noqa: BLE001  # every stream raises it
            self._error = error
        finally:
            self._wake()

    def _behind(self, seq: int) -> list[Told]:
        with self._database.reading() as connection:
            rows = events.after(connection, seq, limit=AT_ONCE)
        return [Told(row["seq"], row["job_id"], as_lines(row["event"], row, row["seq"])) for row in rows]

    def _keep(self, told: Sequence[Told]) -> None:
        self._kept += told
        self._joined = {}
        self.newest = told[-1].seq
        too_many = len(self._kept) - KEPT
        if too_many > 0:
            self._floor = self._kept[too_many - 1].seq
            del self._kept[:too_many]
        self._wake()

    def _wake(self) -> None:
        news, self._news = self._news, asyncio.Event()
        news.set()


def as_lines(event: str, document: Any, seq: int) -> bytes:
    """One server-sent event."""
    data = json.dumps(document, ensure_ascii=False, default=str)
    return f"id: {seq}\nevent: {event}\ndata: {data}\n\n".encode()


def _seq(told: Told) -> int:
    return told.seq
