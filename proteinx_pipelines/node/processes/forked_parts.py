"""The supervisor's half of the fork server: starts it, asks it for parts, and looks after them as after `Popen`'s.

Memory is all that is at stake: where there is no fork server, or it does not answer, a part is started by itself.
"""

import contextlib
import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import IO, Any

from proteinx_pipelines.node.processes.fork_server import ADOPTED_WITHIN_S, COMMAND, CONNECTION, READY
from proteinx_pipelines.node.processes.part_log import PartLog
from proteinx_pipelines.node.processes.process_groups import PartProcess, own_group

READY_WITHIN_S = 120.0
"""Seconds that the fork server may take for its imports before parts are started without it; each would import the same
then, so that waiting is the quicker way on a busy machine."""
ANSWER_WITHIN_S = 5.0
"""Seconds that it may take for one part."""
ALONE = ("redis",)
"""Parts that are another program and share nothing."""
_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h
_LOOK_S = 0.001


class ForkedPart:
    """A part that the fork server made and this process adopted."""

    def __init__(self, pid: int, stdout: IO[bytes]) -> None:
        self.pid = pid
        self.stdout: IO[bytes] | None = stdout
        self.returncode: int | None = None
        self._reaping = threading.Lock()

    def wait(self) -> int:
        """Wait for its end; its exit code, negative for a signal."""
        os.waitid(os.P_PID, self.pid, os.WEXITED | os.WNOWAIT)
        with self._reaping:  # the number belongs to it until it is reaped
            if self.returncode is None:
                self.returncode = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        return self.returncode

    def terminate(self) -> None:
        """Send SIGTERM, if it has not ended."""
        with self._reaping:
            if self.returncode is None:
                os.kill(self.pid, signal.SIGTERM)


class ForkedParts:
    """Starts the parts of one node, through its fork server where there is one."""

    def __init__(self, environment: Mapping[str, str], log: PartLog) -> None:
        self._environment = environment
        self._log = log
        self._server: subprocess.Popen[bytes] | None = None
        self._connection: socket.socket | None = None
        self._is_ready = False
        self._began_at = 0.0

    @staticmethod
    def are_possible() -> bool:
        """True on Linux: elsewhere a forked process may not use the system's libraries, or nobody can adopt it."""
        return sys.platform == "linux"

    def begin(self) -> None:
        """Start the fork server, if there can be one; does not wait for it."""
        if not self.are_possible():
            return
        self.end()
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            self._server = subprocess.Popen(  # noqa: S603  # our own command
                command(COMMAND),
                env={**self._environment, CONNECTION: str(theirs.fileno())},
                stdin=subprocess.DEVNULL,
                stdout=self._log.open(),
                stderr=subprocess.STDOUT,
                pass_fds=(theirs.fileno(),),
                **own_group(),
            )
        self._log.started(self._server)
        self._connection = ours
        self._is_ready = False
        self._began_at = time.monotonic()

    def can_start(self, part: str) -> bool:
        """False while the fork server imports what the part needs: to be asked again soon. Does not wait."""
        if part in ALONE or self._server is None or self._server.poll() is not None or self._hears_ready():
            return True
        return time.monotonic() - self._began_at > READY_WITHIN_S

    def start(self, part: str, environment: Mapping[str, str], log: PartLog) -> PartProcess:
        """Start a part; its output goes to its log."""
        forked = None if part in ALONE else self._fork(part, environment, log)
        process: PartProcess
        if forked is not None:
            process = forked
        else:
            process = subprocess.Popen(  # noqa: S603  # our own command
                command(part),
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log.open(),
                stderr=subprocess.STDOUT,
                **own_group(),
            )
        log.started(process)
        return process

    def keep(self) -> None:
        """Start the fork server again where it has died."""
        if self._server is not None and self._server.poll() is not None:
            self.begin()

    def end(self) -> None:
        """End the fork server; the parts go on."""
        if self._connection is not None:
            self._connection.close()
        if self._server is not None:
            self._server.kill()
            self._server.wait()
            self._log.close()
        self._server = self._connection = None

    def _fork(self, part: str, environment: Mapping[str, str], log: PartLog) -> ForkedPart | None:
        """The part, forked; None where that does not work, and then the next one is tried with a new fork server."""
        if self._connection is None or not self._hears_ready():
            return None
        log.open()
        reading, writing = os.pipe()
        try:
            with adopting():
                pid = self._ask(self._connection, {"part": part, "environment": dict(environment)}, writing)
                _await_adoption(pid)
        except (OSError, ValueError, TypeError, KeyError):
            os.close(reading)
            self.begin()
            return None
        finally:
            os.close(writing)
        return ForkedPart(pid, os.fdopen(reading, "rb"))

    def _hears_ready(self) -> bool:
        """True once the fork server has said that it is ready."""
        if not self._is_ready and self._connection is not None:
            self._connection.setblocking(False)  # the standard library's signature
            with contextlib.suppress(OSError):
                self._is_ready = self._connection.recv(len(READY)) == READY
        return self._is_ready

    def _ask(self, connection: socket.socket, request: Mapping[str, Any], output: int) -> int:
        """Request a part and receive its process id.

        Raises:
            OSError: it did not answer in time, or is gone.
        """
        connection.settimeout(ANSWER_WITHIN_S)
        socket.send_fds(connection, [json.dumps(request).encode()], [output])
        return int(json.loads(connection.recv(4096))["pid"])


def command(part: str) -> list[str]:
    """The command line of a part."""
    return [sys.executable, "-m", "proteinx_pipelines.cli.main", part]


@contextlib.contextmanager
def adopting() -> Any:
    """Within: a descendant whose parent ends becomes a child of this process; otherwise the system's first has it."""
    prctl: Callable[[int, int], int] = ctypes.CDLL(None, use_errno=True).prctl
    prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        yield
    finally:
        prctl(_PR_SET_CHILD_SUBREAPER, 0)


def _await_adoption(pid: int) -> None:
    """Wait until a process is a child of this one.

    Raises:
        OSError: it did not become one.
    """
    end = time.monotonic() + ADOPTED_WITHIN_S
    while True:
        try:
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG)
            return
        except ChildProcessError:
            if time.monotonic() > end:
                raise
            time.sleep(_LOOK_S)
