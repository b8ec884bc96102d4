"""Work in processes of their own: the Master holds neither pandas nor PyTorch, and what takes too much ends a process.

A process answers one line of JSON with another. It stays warm for the next request, and ends by itself when none comes.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from proteinx_pipelines.errors import NotInTime


class Apart:
    """Processes of one module, started when they are needed.

    Args:
        module: run as `python -m MODULE ARGUMENTS`; calls `serve`.
        arguments: of the module.
        longest_s: seconds in which one request is answered.
        at_once: requests in progress at once; more wait.
    """

    def __init__(self, module: str, arguments: Sequence[str] = (), *, longest_s: float, at_once: int) -> None:
        self._command = [sys.executable, "-W", "ignore", "-m", module, *arguments]
        self._longest_s = longest_s
        self._free: list[subprocess.Popen[bytes]] = []
        self._turns = threading.Semaphore(at_once)
        self._lock = threading.Lock()

    def ask(self, request: Mapping[str, Any]) -> dict[str, Any] | None:
        """The answer to a request; None when the process ended without one. Not for the event loop.

        Raises:
            NotInTime: it did not come in time; the process was ended.
        """
        line = json.dumps(request).encode() + b"\n"
        with self._turns:
            answer, warm = None, self._warm()
            if warm is not None:
                answer = self._exchange(warm, line)
            if answer is None:  # there was none, or it had just ended by itself
                answer = self._exchange(self._start(), line)
        return answer

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            free, self._free = self._free, []
        for process in free:
            _end(process)

    def _exchange(self, process: "subprocess.Popen[bytes]", request: bytes) -> dict[str, Any] | None:
        assert process.stdin is not None
        assert process.stdout is not None
        late = threading.Event()

        def give_up() -> None:
            late.set()
            process.kill()

        clock = threading.Timer(self._longest_s, give_up)
        clock.start()
        line = b""
        try:
            with contextlib.suppress(BrokenPipeError):
                process.stdin.write(request)
                process.stdin.flush()
                line = process.stdout.readline()
        finally:
            clock.cancel()
            if not line.endswith(b"\n"):
                _end(process)
        if late.is_set():
            raise NotInTime(f"No answer has come within {self._longest_s:g} s.")
        if not line.endswith(b"\n"):
            return None
        with self._lock:
            self._free.append(process)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _warm(self) -> "subprocess.Popen[bytes] | None":
        with self._lock:
            while self._free:
                process = self._free.pop()
                if process.poll() is None:
                    return process
                _end(process)
        return None

    def _start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(  # noqa: S603  # our own module, without a text of a caller
            self._command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def serve(answer: Callable[[dict[str, Any]], Mapping[str, Any]], idle_s: float) -> None:
    """In the process: answer requests until there is none for `idle_s`, or standard input ends."""
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)  # whatever a library prints is no answer
    while True:
        idle = threading.Timer(idle_s, os._exit, (0,))
        idle.daemon = True
        idle.start()
        line = sys.stdin.buffer.readline()
        idle.cancel()
        if not line:
            return
        answers.write(json.dumps(answer(json.loads(line))) + "\n")
        answers.flush()


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()
