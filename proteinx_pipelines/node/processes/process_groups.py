"""Child processes in groups of their own: Ctrl-C spares them, and a stop or kill reaches their children too."""

import contextlib
import os
import signal
import subprocess
import sys
from typing import IO, Any, Protocol

import psutil


class PartProcess(Protocol):
    """A process that is a part: `Popen`'s, or a forked one."""

    pid: int
    returncode: Any
    stdout: IO[bytes] | None

    def wait(self) -> int:
        """Wait for its end; its exit code, negative for a signal."""

    def terminate(self) -> None:
        """Send SIGTERM, if it has not ended."""


def own_group() -> dict[str, Any]:
    """Arguments of `Popen` for a group of its own: Ctrl-C reaches the parent only."""
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"start_new_session": True}


def ask_to_end(process: PartProcess) -> None:
    """Tell a process to stop; nothing happens when it has ended."""
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            process.send_signal(signal.CTRL_BREAK_EVENT)
        else:
            process.terminate()


def kill_group(leader: int) -> None:
    """Kill what is left of the group of process `leader`; usually nothing is."""
    if sys.platform == "win32":
        with contextlib.suppress(psutil.Error):
            for process in [*psutil.Process(leader).children(recursive=True), psutil.Process(leader)]:
                process.kill()
        return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


def stop_signals() -> tuple[signal.Signals, ...]:
    """Signals that ask a process in the foreground to stop, on this system."""
    if sys.platform == "win32":
        return (signal.SIGINT, signal.SIGTERM, signal.SIGBREAK)
    return (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def how_it_ended(code: int) -> str:
    """`ended with code 1`, `was killed by SIGKILL`."""
    if code >= 0:
        return f"ended with code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
