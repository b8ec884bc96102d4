"""One process at a time: a lock file that says who holds it; the kernel releases it when the holder dies."""

import json
import os
import socket
from pathlib import Path
from typing import IO

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import NodeBusy


class ProcessLock:
    """An exclusive lock for the life of this process (or until `release`)."""

    def __init__(self, path: Path, purpose: str) -> None:
        self.path = path
        self.purpose = purpose
        self._stream: IO[str] | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._stream is not None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            NodeBusy: another process has it; the message says which. Stop that one, or use another WORKDIR.
        """
        if self._stream is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        stream = self.path.open("a+", encoding="utf-8")
        try:
            _lock(stream)
        except OSError as error:
            holder = self.holder()
            stream.close()
            raise NodeBusy(
                f"{self.purpose} of {self.path.parent.parent} is held by {holder}. "
                "Stop that process, or set PROTEINX_WORKDIR to another folder."
            ) from error
        stream.seek(0)
        stream.truncate()
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": timestamp()}, stream)
        stream.flush()
        self._stream = stream

    def keep_over_exec(self) -> None:
        """Let the lock outlive `os.exec`: the program that takes this process's place holds it then."""
        if self._stream is not None:
            os.set_inheritable(self._stream.fileno(), True)

    def release(self) -> None:
        """Give the lock back."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def holder(self) -> str:
        """Who holds the lock, in words."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return "another process"
        return f"process {found['pid']} on {found['host']} since {found['since']}"


def _lock(stream: IO[str]) -> None:
    if os.name == "nt":
        import msvcrt

        # One byte far behind the text, so that others can still read who holds the lock.
        stream.seek(1_000_000)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
