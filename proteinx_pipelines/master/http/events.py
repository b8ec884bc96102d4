"""Routes of events: what happens, as it happens (server-sent events), and from where a reader left off."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import func, select

from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.job_tables import jobs as job_rows
from proteinx_pipelines.master.database.tables import events as event_rows
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.http.event_feed import EventFeed, Told, as_lines
from proteinx_pipelines.master.http.problems import HttpProblem, NotFound
from proteinx_pipelines.master.http.streams import EVENTS, JSON_LINES, Sent, as_json_lines, wants_events
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines.master.master import Master

T = TypeVar("T")
router = APIRouter(tags=["events"])
BREATH_S = 15.0
"""Seconds of silence after which a comment is sent, so that a lost connection is noticed."""
_NEWEST = select(func.max(event_rows.c.seq))
_BOTH: dict[int | str, dict[str, Any]] = {
    200: {"content": {JSON_LINES: {}, EVENTS: {}}, "description": "Lines of JSON, or server-sent events"}
}
STREAM_HEADERS = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


@router.get("/events", summary="Everything that happens, as a stream")
async def all_events(
    request: Request,
    master: MasterOf,
    _caller: Reader,
    after: int | None = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Server-sent events from now on, or from behind `Last-Event-ID` (`after` in the address)."""
    start = _start(last_event_id, after)
    if start is None:
        start = await _read(master, _newest)
    return stream(follow(feed_of(request), master, start))


@router.get(
    "/jobs/{job_id}/events",
    summary="What happened to a job",
    responses=_BOTH,
    response_class=StreamingResponse,
)
async def job_events(
    job_id: str,
    request: Request,
    master: MasterOf,
    _caller: Reader,
    after: int | None = None,
    last_event_id: Annotated[str | None, Header()] = None,
) -> StreamingResponse:
    """Events of a job, all or those behind `Last-Event-ID`, as JSON lines of what there is now.

    With `Accept: text/event-stream`, live until the job has ended; the last event is `end`.
    """
    with master.database.reading() as connection:
        known = select(job_rows.c.job_id).where(job_rows.c.job_id == job_id)
        if connection.execute(known).scalar() is None:
            raise NotFound("job", job_id, "`GET /api/jobs` lists them.")
    start = _start(last_event_id, after) or 0
    if wants_events(request):
        return stream(follow(feed_of(request), master, start, job_id))
    return as_json_lines(_so_far(master, start, job_id))


async def _so_far(master: Master, seq: int, job_id: str) -> AsyncIterator[list[Sent]]:
    """The events of a job behind a number, page by page, until there is none."""
    while True:
        rows = (await _read(master, partial(_behind, seq=seq, job_id=job_id))).rows
        if not rows:
            return
        seq = rows[-1]["seq"]
        yield [Sent(str(seq), row) for row in rows]


async def follow(
    feed: EventFeed, master: Master, seq: int, job_id: str | None = None
) -> AsyncIterator[bytes]:
    """Events behind a number, then those that come, as lines of a stream; ends when the job or the Master does."""
    yield b": connected\n\n"
    while not master.bell.is_stopping:
        found = await _read(master, partial(_behind, seq=seq, job_id=job_id))
        if found.rows:
            seq = found.rows[-1]["seq"]
            yield b"".join(as_lines(row["event"], row, row["seq"]) for row in found.rows)
        elif found.has_ended:
            yield b"event: end\ndata: {}\n\n"
            return
        else:
            seq = found.newest
            with feed.followed(seq):
                async for reached, lines in _with_others(feed, master, seq, job_id):
                    seq = reached
                    yield lines


async def _with_others(
    feed: EventFeed, master: Master, seq: int, job_id: str | None
) -> AsyncIterator[tuple[int, bytes]]:
    """What the feed has behind a number, with the new number; ends where this stream has to look for itself."""
    while not master.bell.is_stopping:
        lines = feed.lines_behind(seq) if job_id is None else _of_job(feed.behind(seq), job_id)
        if lines is None:
            return
        seq = max(seq, feed.newest)
        if lines:
            yield seq, lines
        if job_id is not None and lines:
            return  # the job may have ended
        if not await feed.wait(seq, BREATH_S):
            yield seq, b": still here\n\n"
            if job_id is not None:
                return


def _of_job(told: Sequence[Told] | None, job_id: str) -> bytes | None:
    return None if told is None else b"".join(each.line for each in told if each.job_id == job_id)


def feed_of(request: Request) -> EventFeed:
    """The feed of the application."""
    feed: EventFeed = request.app.state.feed
    return feed


def stream(lines: AsyncIterator[bytes]) -> StreamingResponse:
    """The answer that carries a stream."""
    return StreamingResponse(lines, media_type="text/event-stream", headers=STREAM_HEADERS)


def _start(last_event_id: str | None, after: int | None) -> int | None:
    if last_event_id is None or last_event_id == "":
        return after
    if not last_event_id.isdecimal():
        raise HttpProblem(
            422, "bad_request", f"`Last-Event-ID` is {last_event_id[:50]!r}; a number is expected."
        )
    return int(last_event_id)


def _newest(master: Master) -> int:
    with master.database.reading() as connection:
        return int(connection.execute(_NEWEST).scalar() or 0)


@dataclass(frozen=True)
class _Found:
    """What a stream finds when it looks for itself."""

    rows: list[dict[str, Any]]
    newest: int
    """Number of the last event, as it was before the rows were read."""
    has_ended: bool
    """True if the job had ended by then, or is gone."""


def _behind(master: Master, *, seq: int, job_id: str | None) -> _Found:
    with master.database.reading() as connection:
        newest = int(connection.execute(_NEWEST).scalar() or 0)
        has_ended = False
        if job_id is not None:  # read first: once it has ended, all of its events are there
            state = connection.execute(select(job_rows.c.state).where(job_rows.c.job_id == job_id)).scalar()
            has_ended = state is None or state in ENDED
        rows = events.after(connection, min(seq, newest), job_id=job_id)  # a number ahead of all: from now on
        return _Found(rows, newest, has_ended)


async def _read(master: Master, query: Callable[[Master], T]) -> T:
    return await asyncio.to_thread(query, master)
