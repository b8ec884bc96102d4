"""Work of seconds on threads of its own: what everybody waits for is never behind it.

A prediction or the check of a data set waits for a process of its own, up to a minute. On the threads that the event
loop shares, a few of them would stop every log, every upload and every stream meanwhile.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from fastapi import Request

T = TypeVar("T")
AT_ONCE = 8
"""Most pieces of slow work at once; more wait for them."""


class SlowWork:
    """The threads of one application."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(AT_ONCE, "slow")

    def stop(self) -> None:
        """Begin nothing more: the Master stops, and whoever waits has no connection any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def do(self, work: Callable[..., T], *arguments: Any, **more: Any) -> T:
        """Do some work and wait for it, without holding the event loop."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(work, *arguments, **more))


def slow_work_of(request: Request) -> SlowWork:
    """The application's own."""
    found: SlowWork = request.app.state.slow
    return found
