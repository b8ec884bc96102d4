"""Routes of log lines and metric values: read them, follow them, send them from a node elsewhere."""

from collections.abc import AsyncIterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from sqlalchemy import Connection

from proteinx_pipelines.master.http.access import MasterOf, Reader, Sender
from proteinx_pipelines.master.http.sending import check_sender
from proteinx_pipelines.master.http.streams import (
    EVENTS,
    JSON_LINES,
    Sent,
    as_events,
    as_json_lines,
    wants_events,
)
from proteinx_pipelines.master.jobs.finding import find_job
from proteinx_pipelines.master.logs.feeds import Kind
from proteinx_pipelines.master.logs.following import follow
from proteinx_pipelines.master.logs.receiving import Batch, receive
from proteinx_pipelines.master.master import Master

router = APIRouter(tags=["logs and metrics"])
_BOTH: dict[int | str, dict[str, Any]] = {
    200: {"content": {JSON_LINES: {}, EVENTS: {}}, "description": "Lines of JSON, or server-sent events"}
}
Follow = Annotated[bool, Query(description="JSON lines only: wait for more until the job has ended")]
After = Annotated[
    str,
    Query(max_length=20_000, description="`id` of the last piece that was read before; as `Last-Event-ID`"),
]


@router.get("/jobs/{job_id}/logs", summary="Log of a job", responses=_BOTH, response_class=StreamingResponse)
async def get_logs(
    job_id: str,
    request: Request,
    master: MasterOf,
    _caller: Reader,
    follow: Follow = False,
    after: After = "",
) -> StreamingResponse:
    """Entries `{"time", "text"}`: stage events and log records, in order of time.

    With `Accept: text/event-stream`, live until the job has ended; the last event is `end`. Otherwise JSON lines of
    what there is now.
    """
    return _answer(master, job_id, "log", request, after, follow=follow)


@router.get(
    "/jobs/{job_id}/metrics",
    summary="Metric values of a job",
    responses=_BOTH,
    response_class=StreamingResponse,
)
async def get_metrics(
    job_id: str,
    request: Request,
    master: MasterOf,
    _caller: Reader,
    follow: Follow = False,
    after: After = "",
) -> StreamingResponse:
    """Values `{"name", "value", "step", "epoch", "fold", "time"}` and histograms, in order; streams as the log does."""
    return _answer(master, job_id, "metric", request, after, follow=follow)


@router.post("/jobs/{job_id}/logs", summary="Send log lines of a job")
async def post_logs(job_id: str, batch: Batch, master: MasterOf, caller: Sender) -> dict[str, int]:
    """Keep lines that a node elsewhere has written; a batch that was sent before is not kept twice."""
    check_sender(caller, find_job(master.database, job_id))
    return await _receive(master, job_id, "log", batch)


@router.post("/jobs/{job_id}/metrics", summary="Send metric values of a job")
async def post_metrics(job_id: str, batch: Batch, master: MasterOf, caller: Sender) -> dict[str, int]:
    """Keep values that a node elsewhere has measured; a batch that was sent before is not kept twice."""
    check_sender(caller, find_job(master.database, job_id))
    return await _receive(master, job_id, "metric", batch)


async def _receive(master: Master, job_id: str, kind: Kind, batch: Batch) -> dict[str, int]:
    def change(connection: Connection) -> dict[str, int]:
        return receive(connection, job_id, kind, batch)

    return await master.database.awrite(change)


def _answer(
    master: Master, job_id: str, kind: Kind, request: Request, after: str, *, follow: bool
) -> StreamingResponse:
    find_job(master.database, job_id)  # 404 before the stream begins
    place = request.headers.get("last-event-id", after)
    if wants_events(request):
        return as_events(_pieces(master, job_id, kind, place, until_end=True))
    return as_json_lines(_pieces(master, job_id, kind, place, until_end=follow))


async def _pieces(
    master: Master, job_id: str, kind: Kind, place: str, *, until_end: bool
) -> AsyncIterator[list[Sent]]:
    async for batch in follow(master, job_id, kind, place, until_end=until_end):
        if batch:
            place = batch[-1].place
        yield [Sent(piece.place, piece.document) for piece in batch]
    if until_end and not master.bell.is_stopping:
        yield [Sent(place, {"state": find_job(master.database, job_id)["state"]}, "end")]
