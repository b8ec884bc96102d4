"""One reader for everybody who follows the same log: it looks once, and all of them get what it found.

A follower reads for itself until it has caught up, and joins where the shared reader's latest pieces have its place.
One that is too slow for them reads for itself again.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from proteinx_pipelines.master.events import Bell

if TYPE_CHECKING:
    from proteinx_pipelines.master.logs.feeds import Piece

KEPT = 2_000
"""Latest pieces that followers can join at."""
LOOK_S = 0.4
"""Seconds between two looks."""


class Reader(Protocol):
    """Reads one job's log; each look is one visit of a thread."""

    place: str
    """Behind the last piece that was read."""
    has_ended: bool
    """True once nothing more can come."""

    def look(self, *, until_end: bool) -> "list[Piece]":
        """What has been written since the last look."""


class Shared:
    """A reader that several follow; all calls come from one event loop."""

    def __init__(self, reader: Reader, bell: Bell) -> None:
        self._reader, self._bell = reader, bell
        self._places = [reader.place]  # behind each kept piece, and before the first of them
        self._pieces: list[Piece] = []
        self._passed = 0  # pieces that are not kept any more
        self._looked = asyncio.Event()
        self.followers = 0
        self.has_ended = False
        self.error: Exception | None = None

    def position_behind(self, place: str) -> int | None:
        """Where a follower who has read up to a place goes on; None where the kept pieces do not have it."""
        try:
            return self._passed + self._places.index(place)
        except ValueError:
            return None

    def behind(self, position: int) -> "list[Piece] | None":
        """The pieces behind a position; None where they are not kept any more."""
        return None if position < self._passed else self._pieces[position - self._passed :]

    async def look_again(self, longest_s: float) -> None:
        """Wait for the next look."""
        looked = self._looked
        try:
            async with asyncio.timeout(longest_s):
                await looked.wait()
        except TimeoutError:
            return

    async def read(self) -> None:
        """Look again and again while anybody follows, until nothing more can come."""
        try:
            while self.followers and not self.has_ended and not self._bell.is_stopping:
                rung = self._bell.next()
                pieces = await asyncio.to_thread(self._reader.look, until_end=True)
                self._keep(pieces)
                self.has_ended = self._reader.has_ended
                self._wake()
                if not pieces and not self.has_ended:
                    await asyncio.sleep(LOOK_S / 2)  # a busy Master rings the bell hundreds of times a second
                    await self._bell.wait(rung, LOOK_S / 2)
        except Exception as error:  # noqa: BLE001  # each of the followers raises it
            self.error = error
        finally:
            self._wake()

    def _keep(self, pieces: "Sequence[Piece]") -> None:
        self._pieces += pieces
        self._places += [piece.place for piece in pieces]
        too_many = max(0, len(self._pieces) - KEPT)
        del self._pieces[:too_many], self._places[:too_many]
        self._passed += too_many

    def _wake(self) -> None:
        looked, self._looked = self._looked, asyncio.Event()
        looked.set()


@dataclass
class Followed:
    """The shared readers of a Master, by job and kind."""

    _shared: dict[tuple[str, str], tuple[Shared, "asyncio.Task[None]"]] = field(default_factory=dict)

    def join(self, key: tuple[str, str], make: Callable[[], Shared]) -> Shared:
        """Follow: with those who do, or as the first. `leave` ends it."""
        shared, task = self._shared.get(key, (None, None))
        if shared is None or task is None or task.done():
            shared = make()
            shared.followers = 1  # before the task looks
            self._shared[key] = shared, asyncio.create_task(shared.read())
        else:
            shared.followers += 1
        return shared

    def leave(self, key: tuple[str, str], shared: Shared) -> None:
        """Follow no more; the last one out ends the reading."""
        shared.followers -= 1
        if shared.followers == 0 and self._shared.get(key, (None, None))[0] is shared:
            del self._shared[key]

    def __len__(self) -> int:
        """Number of readers."""
        return len(self._shared)
