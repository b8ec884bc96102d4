"""Follows what is written of a job until it ends."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

from proteinx_pipelines.clock import now_utc
from proteinx_pipelines.master.jobs.finding import find_job
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines.master.logs.feeds import Kind, Piece, SentLines, feed_of
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
    is_first, feed, row = True, None, None
    while is_first or not master.bell.is_stopping:
        is_first, rung = False, master.bell.next()
        # Read before the lines: once the job has ended, everything is written.
        row = await asyncio.to_thread(find_job, master.database, job_id)
        has_ended = row["state"] in ENDED
        if feed is None or isinstance(feed, SentLines):
            # The first lines may come from either place.
            feed = await asyncio.to_thread(feed_of, master, row, kind, place)
        pieces = await asyncio.to_thread(feed.more, complete=has_ended or not until_end)
        if pieces:
            place = pieces[-1].place
            yield pieces
            continue
        if not until_end or (has_ended and not _may_come(feed, row["finished_at"])):
            return
        yield []
        await asyncio.sleep(LOOK_S / 2)
        await master.bell.wait(rung, LOOK_S / 2)


def _may_come(feed: object, finished_at: str | None) -> bool:
    if not isinstance(feed, SentLines) or finished_at is None:
        return False
    return now_utc() - datetime.fromisoformat(finished_at) < timedelta(seconds=LATE_S)
