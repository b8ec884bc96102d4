"""Bodies of requests, bounded in size and in time, block by block.

A body is read as it comes and never held: one that is too large is refused in mid-stream, one that comes too slowly or
never ends is given up.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

from fastapi import HTTPException, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from proteinx_pipelines.master.http.problems import HttpProblem


@dataclass(frozen=True)
class Bounds:
    """What a body may be."""

    most_bytes: int
    silence_s: float = 30.0
    """Longest pause between two blocks."""
    longest_s: float = 3 * 3600.0
    """Longest time of the whole body."""
    settling_s: float = 20.0
    """Seconds after which the average rate counts."""
    least_rate: float = 2_000.0
    """Bytes a second, on average."""


def too_large(most_bytes: int, do: str = "") -> HttpProblem:
    """The error for a body that is too large."""
    text = f"The body has more than {most_bytes:,} bytes, which is the limit."
    # What follows is not read: the connection cannot be used again.
    return HttpProblem(413, "too_large", f"{text} {do}".rstrip(), headers={"Connection": "close"})


def too_slow(detail: str) -> HttpProblem:
    """The error for a body that does not come."""
    return HttpProblem(408, "too_slow", detail, headers={"Connection": "close"})


async def blocks(request: Request, bounds: Bounds, do: str = "") -> AsyncIterator[bytes]:
    """The blocks of a request's body.

    Args:
        request: whose body it is.
        bounds: what it may be.
        do: what the sender of a larger one can do.

    Raises:
        HttpProblem: 413 above the size, 408 when it comes too slowly.
        ClientDisconnect: the sender has gone.
    """
    length = request.headers.get("content-length", "")
    if length.isdecimal() and int(length) > bounds.most_bytes:
        raise too_large(bounds.most_bytes, do)
    began, size = time.monotonic(), 0
    stream = aiter(request.stream())
    while True:
        try:
            async with asyncio.timeout(bounds.silence_s):
                block = await anext(stream)
        except StopAsyncIteration:
            return
        except TimeoutError:
            raise too_slow(f"Nothing has come for {bounds.silence_s:g} s.") from None
        size += len(block)
        if size > bounds.most_bytes:
            raise too_large(bounds.most_bytes, do)
        spent = time.monotonic() - began
        if spent > bounds.longest_s or (spent > bounds.settling_s and size < bounds.least_rate * spent):
            raise too_slow(
                f"{size:,} bytes came in {spent:.0f} s; at least {bounds.least_rate:,.0f} bytes a second are expected, "
                f"and an end within {bounds.longest_s:,.0f} s."
            )
        if block:
            yield block


class BoundedBodies:
    """Middleware: bodies that are held in memory are small and come soon; uploads have bounds of their own.

    Args:
        app: the application.
        uploads: matches the paths of uploads.
        most_bytes: of any other body.
        longest_s: time in which it comes.
    """

    def __init__(
        self, app: ASGIApp, uploads: re.Pattern[str], most_bytes: int = 32_000_000, longest_s: float = 60.0
    ) -> None:
        self._app, self._uploads, self._most_bytes, self._longest_s = app, uploads, most_bytes, longest_s

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        is_bounded = scope["type"] == "http" and not self._uploads.fullmatch(scope["path"])
        await self._app(scope, self._bounded(receive) if is_bounded else receive, send)

    def _bounded(self, receive: Receive) -> Receive:
        size, end, is_open = 0, time.monotonic() + self._longest_s, True

        async def bounded() -> Message:
            nonlocal size, is_open
            if not is_open:  # waits for the end of the connection
                return await receive()
            try:
                async with asyncio.timeout(max(0.001, end - time.monotonic())):
                    message = await receive()
            except TimeoutError:
                problem = too_slow(f"The body did not come within {self._longest_s:g} s.")
                raise HTTPException(408, str(problem), problem.headers) from None
            size += len(message.get("body", b""))
            is_open = bool(message.get("more_body", False))
            if size > self._most_bytes:
                problem = too_large(self._most_bytes)
                raise HTTPException(413, str(problem), problem.headers)
            return message

        return bounded
