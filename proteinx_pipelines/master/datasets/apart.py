"""Checks files in a process of its own.

The Master holds neither pandas nor an uploaded file, and a file that unpacks to gigabytes or is read without end costs
that process. It stays for the next file, and ends by itself when none comes.
"""

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.master.datasets.checking import TOO_MUCH
from proteinx_pipelines.master.datasets.reading import ReadingWishes

LONGEST_S = 900.0
"""Seconds in which one file is checked."""
AT_ONCE = 2
"""Files that are checked at once; more wait."""
_MODULE = "proteinx_pipelines.master.datasets.checking"


class Checker:
    """Starts processes when files come; one stays warm."""

    def __init__(self, longest_s: float = LONGEST_S, most_memory: int | None = None) -> None:
        self._longest_s = longest_s
        self._most_memory = most_memory or _half_of_the_memory()
        self._free: list[subprocess.Popen[bytes]] = []
        self._turns = threading.Semaphore(AT_ONCE)
        self._lock = threading.Lock()

    def check(
        self, file: Path, catalog: Path, name: str, wishes: ReadingWishes, most_bytes: int
    ) -> dict[str, Any]:
        """As `checking.check`; not for the event loop.

        Raises:
            CatalogError: the file is refused, or takes too much memory or time.
        """
        request = {
            "file": str(file),
            "catalog": str(catalog),
            "name": name,
            "wishes": wishes.stated(),
            "most_bytes": most_bytes,
        }
        with self._turns:
            answer = self._ask(json.dumps(request).encode() + b"\n")
        if "found" not in answer:
            raise CatalogError(answer["message"], answer["problems"])
        found: dict[str, Any] = answer["found"]
        return found

    def close(self) -> None:
        """End the processes."""
        with self._lock:
            free, self._free = self._free, []
        for process in free:
            _end(process)

    def _ask(self, request: bytes) -> dict[str, Any]:
        line = None
        warm = self._warm()
        if warm is not None:
            line = self._exchange(warm, request)
        if line is None:  # there was none, or it had just ended by itself
            line = self._exchange(self._start(), request)
        if line is None:
            raise CatalogError(TOO_MUCH)
        answer: dict[str, Any] = json.loads(line)
        return answer

    def _exchange(self, process: "subprocess.Popen[bytes]", request: bytes) -> bytes | None:
        """The answer's line; None when the process ended without one.

        Raises:
            CatalogError: the answer did not come in time.
        """
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
            raise CatalogError(
                f"Reading the file has not ended within {self._longest_s:g} s. Send it in parts."
            )
        if not line.endswith(b"\n"):
            return None
        with self._lock:
            self._free.append(process)
        return line

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
            [sys.executable, "-W", "ignore", "-m", _MODULE, str(self._most_memory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )


def _end(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    process.wait()


def _half_of_the_memory() -> int:
    with contextlib.suppress(AttributeError, ValueError, OSError):
        return max(2 << 30, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)
    return 8 << 30
