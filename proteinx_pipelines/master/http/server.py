"""Serves the application: claims the port before it says so, and ends open streams when it is asked to stop."""

import asyncio
import contextlib
import json
import os
import signal
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from proteinx_pipelines.errors import NodeBusy
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.master.http.app import create_app
from proteinx_pipelines.master.http.collecting import program_left_out
from proteinx_pipelines.master.master import Master
from proteinx_pipelines.master.settings import DEFAULT_HOST, MasterSettings

WAITING = 2048
"""Connections that may wait to be accepted."""
TICKS = 10
"""Looks of uvicorn in a second: it writes the time anew at each tenth."""
STOP_S = 10
"""Seconds that requests in progress have to end when the Master stops."""


class _Server(uvicorn.Server):
    """Ends every stream before uvicorn waits for the connections, and sleeps while nobody asks for anything."""

    def __init__(self, config: uvicorn.Config, stop_streams: Callable[[], None]) -> None:
        super().__init__(config)
        self._stop_streams = stop_streams
        self._loop: asyncio.AbstractEventLoop | None = None
        self._asked_to_end = asyncio.Event()

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle SIGINT and SIGTERM."""
        self._stop_streams()
        super().handle_exit(sig, frame)
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._asked_to_end.set)

    async def main_loop(self) -> None:
        """Wait for the end; once a second the header with the time is written anew. uvicorn looks ten times."""
        self._loop = asyncio.get_running_loop()
        counter = 0
        while not await self.on_tick(counter):
            counter += TICKS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await self._asked_to_end.wait()


def bind(settings: MasterSettings) -> socket.socket:
    """Take the port: the one that was asked for, else that of last time, the default one, or any free one.

    A Master that was killed comes back where people have it open.

    Raises:
        NodeBusy: the port that was asked for is taken.
    """
    is_fixed = settings.is_port_asked and settings.port != 0
    wanted = (settings.port,) if is_fixed else (*_last_port(settings), settings.port, 0)
    for port in wanted:
        taken = socket.socket(socket.AF_INET6 if ":" in settings.host else socket.AF_INET, socket.SOCK_STREAM)
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind((settings.host, port))
            taken.listen(WAITING)  # until then, another program could bind the same port
        except OSError as error:
            taken.close()
            problem = error
            continue
        return taken
    raise NodeBusy(
        f"Port {settings.port} of {settings.host} is taken ({problem.strerror}). Stop the program that holds it, or "
        "set PROTEINX_MASTER_PORT to another port (0: any free one)."
    )


def _last_port(settings: MasterSettings) -> tuple[int, ...]:
    """The port of a Master that did not stop by itself."""
    try:
        return (int(json.loads(settings.address_file.read_text(encoding="utf-8"))["port"]),)
    except (OSError, ValueError, KeyError, TypeError):
        return ()


def address_of(settings: MasterSettings, bound: socket.socket) -> str:
    """The address to open, `http://127.0.0.1:8000`."""
    is_everywhere = bound.getsockname()[0].strip("0:.") == ""  # 0.0.0.0 and :: are no addresses to open
    host = DEFAULT_HOST if is_everywhere else settings.host
    return f"http://{f'[{host}]' if ':' in host else host}:{bound.getsockname()[1]}"


def serve(master: Master, bound: socket.socket) -> None:
    """Serve until SIGINT or SIGTERM, then return; called by the main thread."""
    config = uvicorn.Config(
        create_app(master),
        log_level="warning",
        access_log=False,  # uvicorn would put each line together before it leaves it out
        timeout_graceful_shutdown=STOP_S,
        server_header=False,
    )
    url = address_of(master.settings, bound)
    write_json(master.settings.address_file, {"url": url, "port": bound.getsockname()[1], "pid": os.getpid()})
    server = _Server(config, master.bell.stop)

    def ask_to_end(_number: int, _frame: FrameType | None) -> None:
        server.should_exit = True

    # Uvicorn listens for signals once its loop runs, half a second from here: one that comes before ends the server as
    # soon as it has started. It raises the signal again when it has ended: with the system's own handlers the process
    # would end there.
    before = {number: signal.signal(number, ask_to_end) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        with program_left_out():
            server.run(sockets=[bound])
    finally:
        master.settings.address_file.unlink(missing_ok=True)
        for number, handler in before.items():
            signal.signal(number, handler)
