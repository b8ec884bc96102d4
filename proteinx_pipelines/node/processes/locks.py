"""One process at a time: a lock file that says who holds it; the kernel releases it when the holder dies.

A lock file can be removed beside its living holder, and the next process locks another file of the same name. The
parts of a node are therefore owned in `state.db` too (`ledger.owners`), and the node as a whole holds WORKDIR itself.
"""

import errno
import json
import os
import socket
from pathlib import Path
from typing import IO

import psutil

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import NodeBusy
from proteinx_pipelines.ledger import owners
from proteinx_pipelines.node.processes.births import birth
from proteinx_pipelines.workdir import Workdir


class ProcessLock:
    """An exclusive lock for the life of this process (or until `release`)."""

    def __init__(self, path: Path, purpose: str) -> None:
        self.path = path
        self.purpose = purpose
        self._stream: IO[str] | None = None

    @property
    def held(self) -> bool:
        """True if this object holds the lock."""
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
            raise self._busy(holder) from error
        stream.seek(0)
        stream.truncate()
        json.dump({"pid": os.getpid(), "host": socket.gethostname(), "since": timestamp()}, stream)
        stream.flush()
        self._stream = stream

    def _busy(self, holder: str) -> NodeBusy:
        return NodeBusy(
            f"{self.purpose} of {self.path.parent.parent} is held by {holder}. "
            "Stop that process, or set PROTEINX_WORKDIR to another folder."
        )

    def keep_over_exec(self) -> None:
        """Let the lock outlive `os.exec`: the program that replaces this process then holds it."""
        if self._stream is not None:
            os.set_inheritable(self._stream.fileno(), True)

    def release(self) -> None:
        """Give the lock back."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def holder(self) -> str:
        """Holder of the lock, in words."""
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return "another process"
        return f"process {found['pid']} on {found['host']} since {found['since']}"


class PartLock(ProcessLock):
    """Lock of one part of a node; it holds even when `run/` is removed."""

    def __init__(self, paths: Workdir, part: str, purpose: str) -> None:
        super().__init__(paths.lock(part), purpose)
        self._paths = paths
        self._part = part
        self._folder: int | None = None

    def acquire(self) -> None:
        """Take the lock.

        Raises:
            NodeBusy: another process has it; the message says which. Stop that one, or use another WORKDIR.
        """
        if self.held:
            return
        super().acquire()
        try:
            self._own()
        except NodeBusy:
            super().release()
            raise

    def release(self) -> None:
        """Give the lock back."""
        if self.held:
            owners.release(self._paths.state, self._part)
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None
        super().release()

    def _own(self) -> None:
        if self._part == "node" and os.name != "nt":
            self._folder = _lock_folder(self._paths.root)
            if self._folder is None:
                owner = owners.owner_of(self._paths.state, self._part, birth_or_none)
                raise self._busy(f"process {owner.pid} since {owner.since}" if owner else "another process")
        owner = owners.claim(self._paths.state, self._part, birth_or_none)
        if owner is not None:
            if self._folder is not None:
                os.close(self._folder)
                self._folder = None
            raise self._busy(f"process {owner.pid} since {owner.since}")


def birth_or_none(pid: int) -> float | None:
    """Start time of a process, or None where there is none."""
    try:
        return birth(pid)
    except psutil.Error:
        return None


def _lock_folder(folder: Path) -> int | None:
    """A descriptor that holds the lock of a folder; None when another process holds it.

    A file system that locks no folders (NFS) gives a descriptor that holds nothing: the other locks remain.
    """
    import fcntl

    found = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(found, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN):
            os.close(found)
            return None
    return found


def _lock(stream: IO[str]) -> None:
    if os.name == "nt":
        import msvcrt

        # One byte far behind the text, so that others can still read who holds the lock.
        stream.seek(1_000_000)
        msvcrt.locking(stream.fileno(), msvcrt.LK_NBLCK, 1)  # type: ignore[attr-defined]
    else:
        import fcntl

        fcntl.flock(stream.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
