"""Routes of events: what happens, as it happens (server-sent events), and from where a reader left off."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Header, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse
from sqlalchemy import func, select

from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.tables import events as event_rows
from proteinx_pipelines.master.database.tables import jobs as job_rows
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.http.problems import HttpProblem, NotFound
from proteinx_pipelines.master.jobs.states import ENDED
from proteinx_pipelines.master.master import Master

T = TypeVar("T")
router = APIRouter(tags=["events"])
BREATH_S = 15.0
"""Seconds of silence after which a comment is sent, so that a lost connection is noticed."""
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
    return stream(follow(request, master, start))


@router.get("/jobs/{job_id}/events", summary="What happened to a job")
async def job_events(
    job_id: str,
    request: Request,
    master: MasterOf,
    _caller: Reader,
    accept: Annotated[str, Header()] = "",
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """All events of a job; as a stream, which ends with the job, when `Accept` is `text/event-stream`."""
    with master.database.reading() as connection:
        known = select(job_rows.c.job_id).where(job_rows.c.job_id == job_id)
        if connection.execute(known).scalar() is None:
            raise NotFound("job", job_id, "`GET /api/jobs` lists them.")
        if "text/event-stream" not in accept:
            return JSONResponse({"items": events.after(connection, 0, job_id=job_id, limit=10_000)})
    return stream(follow(request, master, _start(last_event_id, None) or 0, job_id))


async def follow(
    request: Request, master: Master, seq: int, job_id: str | None = None
) -> AsyncIterator[bytes]:
    """Events behind a number, then those that come, as lines of a stream; ends when the job or the Master does."""
    yield b": connected\n\n"
    while not master.bell.is_stopping and not await request.is_disconnected():
        rung = master.bell.next()
        rows, has_ended = await _read(master, partial(_after, seq=seq, job_id=job_id))
        for row in rows:
            seq = row["seq"]
            yield as_lines(row["event"], row, seq)
        if rows:
            continue
        if has_ended:
            yield b"event: end\ndata: {}\n\n"
            return
        if not await master.bell.wait(rung, BREATH_S):
            yield b": still here\n\n"


def as_lines(event: str, document: Any, seq: int) -> bytes:
    """One server-sent event."""
    data = json.dumps(document, ensure_ascii=False, default=str)
    return f"id: {seq}\nevent: {event}\ndata: {data}\n\n".encode()


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
        return int(connection.execute(select(func.max(event_rows.c.seq))).scalar() or 0)


def _after(master: Master, *, seq: int, job_id: str | None) -> tuple[list[dict[str, Any]], bool]:
    with master.database.reading() as connection:
        rows = events.after(connection, seq, job_id=job_id)
        if job_id is None or rows:
            return rows, False
        state = connection.execute(select(job_rows.c.state).where(job_rows.c.job_id == job_id)).scalar()
        return rows, state is None or state in ENDED


async def _read(master: Master, query: Callable[[Master], T]) -> T:
    return await asyncio.to_thread(query, master)
