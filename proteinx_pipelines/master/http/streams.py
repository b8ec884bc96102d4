"""Answers that go on: JSON lines, and server-sent events with an `id` for `Last-Event-ID`."""

import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple

from fastapi import Request
from fastapi.responses import StreamingResponse

EVENTS = "text/event-stream"
JSON_LINES = "application/x-ndjson"
ALIVE_S = 15.0
"""Seconds of silence after which a comment is sent, so that proxies keep the connection."""
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class Sent(NamedTuple):
    """One piece of a stream."""

    id: str
    document: Mapping[str, Any]
    event: str | None = None
    """Name of the event; None is a `message`."""


def wants_events(request: Request) -> bool:
    """True if the caller accepts server-sent events."""
    return EVENTS in request.headers.get("accept", "")


def as_events(batches: AsyncIterator[Sequence[Sent]]) -> StreamingResponse:
    """Batches as server-sent events; an empty batch may become a sign of life."""
    return StreamingResponse(_events(batches), media_type=EVENTS, headers=_HEADERS)


def as_json_lines(batches: AsyncIterator[Sequence[Sent]]) -> StreamingResponse:
    """Batches as JSON lines."""
    return StreamingResponse(_lines(batches), media_type=JSON_LINES, headers=_HEADERS)


async def _events(batches: AsyncIterator[Sequence[Sent]]) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    said_at = time.monotonic()
    async for batch in batches:
        if batch:
            said_at = time.monotonic()
            yield "".join(map(_event, batch))
        elif time.monotonic() - said_at > ALIVE_S:
            said_at = time.monotonic()
            yield ": alive\n\n"


async def _lines(batches: AsyncIterator[Sequence[Sent]]) -> AsyncIterator[str]:
    async for batch in batches:
        if batch:
            yield "".join(f"{_json(each.document)}\n" for each in batch)


def _event(sent: Sent) -> str:
    name = f"event: {sent.event}\n" if sent.event is not None else ""
    place = f"id: {sent.id}\n" if sent.id else ""  # an empty one would make a reader begin again
    return f"{place}{name}data: {_json(sent.document)}\n\n"


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, ensure_ascii=False, default=str)
