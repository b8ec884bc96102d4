"""Follows what is written of a job until it ends."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from proteinx_pipelines.clock import now_utc
from proteinx_pipelines.master.jobs.finding import find_job
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines.master.logs.feeds import Feed, Kind, Piece, SentLines, feed_of
from proteinx_pipelines.master.logs.sharing import Shared
from proteinx_pipelines.master.master import Master

ALIVE_S = 5.0
"""Longest seconds between two batches, empty ones included."""
LATE_S = 5.0
"""Seconds after a job's end in which lines that a node elsewhere sends are still waited for."""


async def follow(
    master: Master, job_id: str, kind: Kind, place: str = "", *, until_end: bool = True
) -> AsyncIterator[list[Piece]]:
    """Batches of pieces, oldest first; empty batches while nothing is written.

    Args:
        master: whose job it is.
        job_id: of the job.
        kind: log entries or metric values.
        place: of the last piece that was read before; empty for all of them.
        until_end: whether to wait for more until the job has ended; else what there is now.

    Raises:
        UnknownJob: there is no such job, or it was deleted meanwhile.
    """
    reader = _Reader(master, job_id, kind, place)
    while True:
        pieces = await asyncio.to_thread(reader.look, until_end=until_end)
        if pieces:
            yield pieces
        elif not until_end or reader.has_ended or master.bell.is_stopping:
            return
        else:
            async for pieces in _with_others(master, (job_id, kind), reader):
                yield pieces


async def _with_others(
    master: Master, key: tuple[str, Kind], reader: "_Reader"
) -> AsyncIterator[list[Piece]]:
    """Batches from the reader that all followers share; ends where this follower has to read for itself.

    Args:
        master: whose job it is.
        key: the job and the kind.
        reader: the follower's own, which has caught up; its place is moved on.
    """
    shared = master.followed.join(key, lambda: Shared(_Reader(master, *key, reader.place), master.bell))
    try:
        position = shared.position_behind(reader.place)
        if position is None:  # the shared reader is behind; the next look finds what this one has read
            await shared.look_again(ALIVE_S)
            position = shared.position_behind(reader.place)
        while position is not None and not master.bell.is_stopping:
            if shared.error is not None:
                raise shared.error
            pieces = shared.behind(position)
            if pieces is None or (not pieces and shared.has_ended):
                return
            yield pieces
            if pieces:
                position, reader.place = position + len(pieces), pieces[-1].place
            else:
                await shared.look_again(ALIVE_S)
    finally:
        master.followed.leave(key, shared)


class _Reader:
    """Reads one job's feed; each look is one visit of a thread."""

    def __init__(self, master: Master, job_id: str, kind: Kind, place: str) -> None:
        self._master, self._job_id, self._kind, self.place = master, job_id, kind, place
        self._opened_at = place
        self._feed: Feed | None = None
        self.has_ended = False
        """True once nothing more can come."""

    def look(self, *, until_end: bool) -> list[Piece]:
        """What has been written since the last look."""
        # Read before the lines: once the job has ended, everything is written.
        row = find_job(self._master.database, self._job_id)
        has_ended = row["state"] in ENDED
        if self._feed is None or isinstance(self._feed, SentLines) or self._opened_at != self.place:
            # The first lines may come from either place; and the place may have been moved on.
            self._feed = feed_of(self._master, row, self._kind, self.place)
        pieces = self._feed.more(complete=has_ended or not until_end)
        if pieces:
            self.place = pieces[-1].place
        self._opened_at = self.place
        self.has_ended = has_ended and not pieces and not _may_come(self._feed, row["finished_at"])
        return pieces


def _may_come(feed: object, finished_at: str | None) -> bool:
    if not isinstance(feed, SentLines) or finished_at is None:
        return False
    return now_utc() - datetime.fromisoformat(finished_at) < timedelta(seconds=LATE_S)
