"""Routes of the queue: counts, pause, resume."""

from datetime import datetime
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection, func, select

from proteinx_pipelines.clock import now_utc
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.facts import is_paused, set_paused
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import nodes
from proteinx_pipelines.master.http.access import Admin, MasterOf, Reader
from proteinx_pipelines.master.http.once import once
from proteinx_pipelines.master.jobs.standing import counts
from proteinx_pipelines.master.jobs.states import ALL

router = APIRouter(tags=["queue"])


@router.get("/queue", summary="Counts by state, longest wait, whether it is paused")
def get_queue(master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """The queue as it is now."""
    with master.database.reading() as connection:
        return queue_document(connection)


@router.post("/queue/pause", summary="Let no further job go to a node")
async def pause(request: Request, caller: Admin) -> Response:
    """Jobs that nodes have go on; waiting ones stay."""
    return await once(request, caller, lambda c: _set(c, paused=True))


@router.post("/queue/resume", summary="Let jobs go to nodes again")
async def resume(request: Request, caller: Admin) -> Response:
    """The opposite of pause."""
    return await once(request, caller, lambda c: _set(c, paused=False))


def queue_document(connection: Connection) -> dict[str, Any]:
    """The queue as a document: `paused`, `counts` by state, `waiting`, `oldest_wait_s`, `nodes`."""
    found = dict.fromkeys(ALL, 0) | counts(connection)
    oldest = connection.execute(select(func.min(jobs.c.created_at)).where(jobs.c.state == "WAITING")).scalar()
    living = select(func.count()).select_from(nodes).where(~nodes.c.is_lost)
    return {
        "paused": is_paused(connection),
        "counts": found,
        "waiting": found["WAITING"],
        "oldest_wait_s": (now_utc() - datetime.fromisoformat(oldest)).total_seconds() if oldest else None,
        "nodes": int(connection.execute(living).scalar_one()),
    }


def _set(connection: Connection, *, paused: bool) -> dict[str, Any]:
    if is_paused(connection) != paused:
        set_paused(connection, paused=paused)
        events.record(connection, "queue.paused" if paused else "queue.resumed", {"paused": paused})
    return queue_document(connection)
