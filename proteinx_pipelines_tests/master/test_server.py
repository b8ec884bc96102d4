"""The server sleeps while nobody asks, and ends at once when it is asked to."""

import asyncio
import dataclasses
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import uvicorn

from proteinx_pipelines.master.http import server
from proteinx_pipelines.master.http.server import _Server
from proteinx_pipelines.master.master import Master


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
        counted, began = Counted(config, lambda: stopped.append("streams")), time.monotonic()
        task = asyncio.create_task(counted.main_loop())
        await asyncio.sleep(0.8)
        assert not task.done()
        counted.handle_exit(signal.SIGTERM, None)
        await asyncio.wait_for(task, 60)
        assert counted.ticks <= 3 + (time.monotonic() - began)
        assert counted.server_state.default_headers[0][0] == b"date"

    asyncio.run(live())
    assert stopped == ["streams"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_that_comes_before_the_server_listens_for_it_ends_it(
    master: Master, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    """Incident: a Master that was asked to stop within half a second of *ready* ran on for ever."""

    @contextmanager
    def asked_meanwhile() -> Iterator[None]:
        signal.raise_signal(number)
        yield

    monkeypatch.setattr(server, "program_left_out", asked_meanwhile)
    bound = server.bind(dataclasses.replace(master.settings, port=0))
    server.serve(master, bound)
    bound.close()
    assert not master.settings.address_file.exists()
