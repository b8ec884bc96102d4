"""Follows what is written of a job until it ends."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from proteinx_pipelines.clock import now_utc
from proteinx_pipelines.master.jobs.finding import find_job
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines.master.logs.feeds import Feed, Kind, Piece, SentLines, feed_of
from proteinx_pipelines.master.master import Master

LOOK_S = 0.4
"""Seconds between two looks at an experiment's files."""
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
    reader, is_first = _Reader(master, job_id, kind, place), True
    while is_first or not master.bell.is_stopping:
        is_first, rung = False, master.bell.next()
        pieces = await asyncio.to_thread(reader.look, until_end=until_end)
        if pieces:
            yield pieces
            continue
        if not until_end or reader.has_ended:
            return
        yield []
        await asyncio.sleep(LOOK_S / 2)  # a busy Master rings the bell hundreds of times a second
        await master.bell.wait(rung, LOOK_S / 2)


class _Reader:
    """Reads one job's feed; each look is one visit of a thread."""

    def __init__(self, master: Master, job_id: str, kind: Kind, place: str) -> None:
        self._master, self._job_id, self._kind, self._place = master, job_id, kind, place
        self._feed: Feed | None = None
        self.has_ended = False
        """True once nothing more can come."""

    def look(self, *, until_end: bool) -> list[Piece]:
        """What has been written since the last look."""
        # Read before the lines: once the job has ended, everything is written.
        row = find_job(self._master.database, self._job_id)
        has_ended = row["state"] in ENDED
        if self._feed is None or isinstance(self._feed, SentLines):
            # The first lines may come from either place.
            self._feed = feed_of(self._master, row, self._kind, self._place)
        pieces = self._feed.more(complete=has_ended or not until_end)
        if pieces:
            self._place = pieces[-1].place
        self.has_ended = has_ended and not pieces and not _may_come(self._feed, row["finished_at"])
        return pieces


def _may_come(feed: object, finished_at: str | None) -> bool:
    if not isinstance(feed, SentLines) or finished_at is None:
        return False
    return now_utc() - datetime.fromisoformat(finished_at) < timedelta(seconds=LATE_S)
