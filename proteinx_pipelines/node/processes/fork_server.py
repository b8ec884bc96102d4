"""The fork server: imports what the parts of a node need, once, and forks each part from itself.

Parts that are forked share the memory of what was imported before; started one by one, each holds a copy of its own.
A part becomes a child of the supervisor, not of this process: it is forked twice, and the supervisor adopts it. Linux
only. The supervisor's half is `forked_parts`.
"""

import contextlib
import ctypes
import gc
import json
import os
import signal
import socket
import sys
import time
from pathlib import Path

CONNECTION = "PROTEINX_FORK_CONNECTION"
"""Environment variable: the number of the socket on which the supervisor asks for parts."""
COMMAND = "fork-server"
"""Name of the command; no part's name is longer, so that it can be written over in the list of processes."""
READY = b"ready"
ADOPTED_WITHIN_S = 10.0
"""Seconds within which the supervisor adopts a part."""
_MESSAGE_BYTES = 1 << 20
"""Most bytes of a request; the environment of a part is most of it."""
_LOOK_S = 0.001


def serve() -> str | None:
    """Fork a part for each request, until the supervisor closes the connection.

    Returns:
        In a new part: its name. In the fork server, at its end: None.
    """
    supervisor = os.getppid()
    with socket.socket(fileno=int(os.environ.pop(CONNECTION))) as connection:
        # Nothing that lives now is looked at by the collector again: it would write to, and so copy, every page.
        gc.collect()
        gc.freeze()
        gc.disable()
        connection.sendall(READY)
        while True:
            request, files, _flags, _address = socket.recv_fds(connection, _MESSAGE_BYTES, 1)
            if not request:
                return None
            wanted = json.loads(request)
            part = str(wanted["part"])
            sys.stdout.flush()  # a part would write what waits here once more
            if _fork(connection, supervisor):
                break
            os.close(files[0])
    os.environ.clear()
    os.environ.update(wanted["environment"])
    _become(part, files[0])
    return part


def _fork(connection: socket.socket, supervisor: int) -> bool:
    """Fork twice; true in the part, whose parent ends at once, so that the supervisor adopts it."""
    between = os.fork()
    if between:
        os.waitpid(between, 0)
        return False
    part = os.fork()
    if part:
        connection.sendall(json.dumps({"pid": part}).encode())
        os._exit(0)
    return _is_adopted(supervisor)


def _is_adopted(supervisor: int) -> bool:
    """Wait until the supervisor is the parent; a process that nobody adopts ends here."""
    end = time.monotonic() + ADOPTED_WITHIN_S
    while os.getppid() != supervisor:
        if time.monotonic() > end:
            os._exit(1)
        time.sleep(_LOOK_S)
    return True


def _become(part: str, output: int) -> None:
    """Turn this process into a part as `Popen` would have started it."""
    os.setsid()
    for number in (1, 2):
        os.dup2(output, number)
    os.close(output)
    signal.set_wakeup_fd(-1)
    collect_again()
    sys.argv[-1] = part
    _name_process(part)


def collect_again() -> None:
    """Switch the collector on, and have it start from the little that a new part holds.

    Old objects are looked at once they have grown by a quarter of what the last such look left. The last one was at all
    that is frozen now: a part would keep its dead cycles until there were as many, 0.2 MB with each small experiment.
    """
    gc.enable()
    gc.collect()


def _name_process(part: str) -> None:
    """Write the part's name over the last word of the command line that `ps` shows.

    The system shows the memory that held the first arguments. It cannot become shorter, so the path of the interpreter
    gets more slashes at its beginning, which change nothing in it.
    """
    with contextlib.suppress(OSError, ValueError, IndexError):
        shown = Path("/proc/self/cmdline").read_bytes()
        words = shown.split(b"\0")
        if words[-2:] != [COMMAND.encode(), b""] or not words[0].startswith(b"/"):
            return
        words[-2] = part.encode()
        text = b"\0".join(words)
        text = b"/" * (len(shown) - len(text)) + text
        facts = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace")
        begin, end = (int(value) for value in facts.rpartition(")")[2].split()[45:47])
        if end - begin == len(text) == len(shown):
            ctypes.memmove(begin, text, len(text))
