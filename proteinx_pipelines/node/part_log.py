"""Where a part's output goes: `<WORKDIR>/logs/<part>.log`, and to the terminal as well when asked."""

import contextlib
import subprocess
import sys
import threading
from pathlib import Path
from typing import IO

MAX_BYTES = 20_000_000
"""A log that is longer than this when its part starts is moved to `<part>.log.1`."""
_TAIL_BYTES = 4096


class PartLog:
    """The log of one part, over all its starts."""

    def __init__(self, folder: Path, part: str, *, echo: bool = False) -> None:
        self.path = folder / f"{part}.log"
        self.part = part
        self.echo = echo
        self._stream: IO[bytes] | None = None

    def open(self) -> int | IO[bytes]:
        """What `Popen` gets as stdout: the file, or a pipe whose lines go to the file and the terminal."""
        self.close()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        if self.path.is_file() and self.path.stat().st_size > MAX_BYTES:
            self.path.replace(self.path.with_name(self.path.name + ".1"))
        self._stream = self.path.open("ab")
        return subprocess.PIPE if self.echo else self._stream

    def started(self, process: "subprocess.Popen[bytes]") -> None:
        """The part runs: begin to copy its lines, or let go of the file, which is the part's own now."""
        if process.stdout is None:
            self.close()
            return
        stream, self._stream = self._stream, None
        threading.Thread(target=self._copy, args=(process.stdout, stream), daemon=True).start()

    def close(self) -> None:
        """Close this process's end."""
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    def _copy(self, lines: IO[bytes], stream: IO[bytes] | None) -> None:
        assert stream is not None
        with stream, lines, contextlib.suppress(ValueError):
            for line in lines:
                stream.write(line)
                stream.flush()
                print(f"{self.part:>11} | {line.decode('utf-8', 'replace').rstrip()}", file=sys.stderr)  # noqa: T201  # asked for by --verbose


def last_line(path: Path) -> str:
    """The last line of a log that is not empty, at most 300 characters."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = [line.strip() for line in stream.read().decode("utf-8", "replace").splitlines()]
    except OSError:
        return ""
    return next((line[:300] for line in reversed(lines) if line), "")
