"""The server sleeps while nobody asks, and ends at once when it is asked to."""

import asyncio
import signal
import time

import uvicorn

from proteinx_pipelines.master.http.server import _Server


class Counted(_Server):
    """Counts its wakings."""

    ticks = 0

    async def on_tick(self, counter: int) -> bool:
        self.ticks += 1
        return await super().on_tick(counter)


def test_it_wakes_once_a_second_and_ends_when_it_is_asked() -> None:
    """uvicorn wakes ten times a second, all day."""
    stopped: list[str] = []

    async def live() -> None:
        config = uvicorn.Config(lambda: None)
        config.load()
        server, began = Counted(config, lambda: stopped.append("streams")), time.monotonic()
        task = asyncio.create_task(server.main_loop())
        await asyncio.sleep(0.8)
        assert not task.done()
        server.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(task, 60)
        assert server.ticks <= 3 + (time.monotonic() - began)
        assert server.server_state.default_headers[0][0] == b"date"

    asyncio.run(live())
    assert stopped == ["streams"]
