"""`/metrics`: what a Prometheus scrapes, in its text form: jobs by state, waits, nodes, deliveries."""

from collections.abc import Iterator
from datetime import datetime

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from sqlalchemy import Connection, func, select

from proteinx_pipelines.clock import now_utc
from proteinx_pipelines.master.database.tables import nodes, outbox
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.http.queue import queue_document

router = APIRouter(tags=["health"])
_ESCAPES = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})


@router.get("/metrics", summary="Numbers for Prometheus", response_class=PlainTextResponse)
def get_metrics(master: MasterOf, _caller: Reader) -> PlainTextResponse:
    """Gauges in Prometheus' text format."""
    with master.database.reading() as connection:
        text = "".join(f"{line}\n" for line in _lines(connection))
    return PlainTextResponse(text, media_type="text/plain; version=0.0.4; charset=utf-8")


def _lines(connection: Connection) -> Iterator[str]:
    queue = queue_document(connection)
    yield from _gauge("proteinx_jobs", "Jobs in each state.")
    for state, number in queue["counts"].items():
        yield f'proteinx_jobs{{state="{state}"}} {number}'
    yield from _gauge("proteinx_queue_oldest_seconds", "Seconds that the oldest waiting job has waited.")
    yield f"proteinx_queue_oldest_seconds {queue['oldest_wait_s'] or 0:.3f}"
    yield from _gauge("proteinx_queue_paused", "1 while no job may go to a node.")
    yield f"proteinx_queue_paused {int(queue['paused'])}"
    rows = connection.execute(
        select(nodes.c.name, nodes.c.is_lost, nodes.c.is_drained, nodes.c.last_seen)
    ).all()
    yield from _gauge("proteinx_node_up", "1 while a node gives signs of life.")
    for row in rows:
        yield f'proteinx_node_up{{node="{_text(row.name)}"}} {int(not row.is_lost)}'
    yield from _gauge("proteinx_node_silent_seconds", "Seconds since a node's last sign of life.")
    for row in rows:
        silent = (now_utc() - datetime.fromisoformat(row.last_seen)).total_seconds()
        yield f'proteinx_node_silent_seconds{{node="{_text(row.name)}"}} {silent:.3f}'
    yield from _gauge("proteinx_deliveries", "Webhook deliveries in each state.")
    counts = select(outbox.c.state, func.count()).group_by(outbox.c.state)
    for state, number in connection.execute(counts):
        yield f'proteinx_deliveries{{state="{_text(state)}"}} {number}'


def _gauge(name: str, help_text: str) -> tuple[str, str]:
    return f"# HELP {name} {help_text}", f"# TYPE {name} gauge"


def _text(value: str) -> str:
    """A label's value."""
    return value.translate(_ESCAPES)
