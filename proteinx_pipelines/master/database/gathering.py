"""Changes of one event loop, handed to the writer in groups: a commit costs as much as a dozen jobs.

Requests that came together ask for their changes one after another, within milliseconds. The first one would have a
commit for itself, and the writer would contend for the interpreter with those that follow.
"""

import asyncio
import time
from collections.abc import Callable

from proteinx_pipelines.master.database.asked import Asked, tell
from proteinx_pipelines.master.database.engine import MasterStateError

QUIET_TURNS = 3
"""Turns of the event loop without a new change that end a group: a request takes two from its socket to its change."""
LONGEST_S = 0.02
"""Longest time, in seconds, that a group is gathered."""


class Gathering:
    """The group of one event loop; all calls come from it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, queue: Callable[[list[Asked]], None]) -> None:
        """Gather for a loop.

        Args:
            loop: whose changes these are.
            queue: takes a group.
        """
        self._loop, self._queue = loop, queue
        self._group: list[Asked] = []
        self._seen = self._quiet = 0
        self._end = 0.0

    def add(self, asked: Asked) -> None:
        """Have a change made with the group that is being gathered."""
        if not self._group:
            self._seen = self._quiet = 0
            self._end = time.monotonic() + LONGEST_S
            self._loop.call_soon(self._turn)
        self._group.append(asked)

    def _turn(self) -> None:
        """Look once in each turn of the loop whether more have come."""
        self._quiet = self._quiet + 1 if len(self._group) == self._seen else 0
        self._seen = len(self._group)
        if self._quiet < QUIET_TURNS and time.monotonic() < self._end:
            self._loop.call_soon(self._turn)
            return
        group, self._group = self._group, []
        try:
            self._queue(group)
        except MasterStateError as error:
            tell((asked, error) for asked in group)
