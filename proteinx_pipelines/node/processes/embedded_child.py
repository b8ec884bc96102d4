"""The embedded server as a child of a process that is no supervisor: started, kept alive, stopped with it."""

import os
import subprocess
import sys
import threading
import time
from typing import Self

from proteinx_pipelines.errors import QueueUnavailable
from proteinx_pipelines.node.processes.node_process import SUPERVISOR_PID
from proteinx_pipelines.node.processes.part_log import LogShape, PartLog
from proteinx_pipelines.node.processes.part_logging import JSON
from proteinx_pipelines.node.processes.ports import read_address
from proteinx_pipelines.node.processes.process_groups import ask_to_end, own_group
from proteinx_pipelines.settings import Settings

START_S = 20.0
"""Seconds that the server has to accept connections."""
STOP_S = 5.0
"""Seconds that it has to write what it holds."""
PAUSE_S = 0.5
"""Seconds before a server that has died is started again."""


class EmbeddedChild:
    """A context in which the embedded server of a WORKDIR runs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = PartLog(
            settings.logs_dir,
            "redis",
            shape=LogShape(round(settings.log_max_mb * 1e6), settings.log_files, settings.log_format == JSON),
        )
        self._stopping = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready = threading.Event()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._keep, name="redis", daemon=True)
        self._thread.start()
        try:
            self._wait_until_served()
        except BaseException:  # a signal among them: nobody else would end the child
            self.__exit__()
            raise
        return self

    def _wait_until_served(self) -> None:
        end = time.monotonic() + START_S
        path = self._settings.paths.running("redis")
        while time.monotonic() < end:
            address = read_address(path)
            if address is not None and address.is_served:
                return
            time.sleep(0.05)
        raise QueueUnavailable(
            f"The embedded server did not start within {START_S:g} s; see {self._settings.paths.part_log('redis')}."
        )

    def __exit__(self, *_error: object) -> None:
        self._stopping.set()
        process = self._process
        if process is not None and process.poll() is None:
            ask_to_end(process)
            try:
                process.wait(STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
        self._thread.join(STOP_S)
        self._log.close()

    def _keep(self) -> None:
        """Start it, and again whenever it ends, until the context ends.

        This thread stays until then: on Linux a child whose starting thread ends would be killed with it.
        """
        environment = {
            **os.environ, SUPERVISOR_PID: str(os.getpid()), "PROTEINX_WORKDIR": str(self._settings.workdir),
        }  # fmt: skip
        while not self._stopping.is_set():
            self._process = subprocess.Popen(  # our own command
                [sys.executable, "-m", "proteinx_pipelines.cli.main", "redis"],
                env=environment, stdin=subprocess.DEVNULL, stdout=self._log.open(), stderr=subprocess.STDOUT,
                **own_group(),
            )  # fmt: skip
            self._log.started(self._process)
            self._process.wait()
            self._log.ended()
            self._stopping.wait(PAUSE_S)
