"""Copies a part's output to `<WORKDIR>/logs/<part>.log`, and to the terminal as well when asked.

The supervisor reads a part's output line by line, so that a log can be rotated while its part runs. A stopped
supervisor reads nothing: a part then goes on until `_PIPE_BYTES` of its output wait.
"""

import contextlib
import itertools
import json
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.node.processes.process_groups import PartProcess

MAX_BYTES = 5_000_000
"""Size at which a log is moved to `<part>.log.1`, by default."""
N_FILES = 5
"""Most files of a part's log, by default: the one that is written, and those before it."""
_LINE_BYTES = 65_536
"""A longer line is written as several."""
_PIPE_BYTES = 1 << 20
_LAST_LINES_S = 2.0
"""Seconds to wait for the end of a part's output: a child of the part may keep the pipe open."""
_TAIL_BYTES = 4096


@dataclass(frozen=True)
class LogShape:
    """Size limits of the logs and the form of their lines."""

    max_bytes: int = MAX_BYTES
    n_files: int = N_FILES
    as_json: bool = False


class RotatingFile:
    """A log of whole lines in at most `n_files` files; the newest has the plain name, `.1` is the one before."""

    def __init__(self, path: Path, shape: LogShape) -> None:
        self._path = path
        self._shape = shape
        path.parent.mkdir(parents=True, exist_ok=True)
        self._stream = path.open("ab", buffering=0)
        self._size = path.stat().st_size

    def write(self, line: bytes) -> None:
        """Append a line. A line that does not fit on a full disk is lost: the part must not wait for room.

        Raises:
            ValueError: it is closed.
        """
        if self._size and self._size + len(line) > self._shape.max_bytes:
            self._rotate()
        with contextlib.suppress(OSError):
            self._size += self._stream.write(line) or 0

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _rotate(self) -> None:
        self._stream.close()
        names = [
            self._path,
            *(self._path.with_name(f"{self._path.name}.{n}") for n in range(1, self._shape.n_files)),
        ]
        with contextlib.suppress(OSError):  # open elsewhere on Windows: the log goes on in the same file
            for newer, older in reversed(list(itertools.pairwise(names))):
                if newer.is_file():
                    newer.replace(older)
            if len(names) == 1:
                self._path.unlink()
        self._stream = self._path.open("ab", buffering=0)
        self._size = self._path.stat().st_size


class PartLog:
    """The log of one part, over all its starts."""

    def __init__(self, folder: Path, part: str, *, echo: bool = False, shape: LogShape | None = None) -> None:
        self.path = folder / f"{part}.log"
        self.part = part
        self.echo = echo
        self._shape = shape or LogShape()
        self._file: RotatingFile | None = None
        self._thread: threading.Thread | None = None

    def open(self) -> int:
        """Create the stdout for `Popen`: a pipe whose lines go to the file."""
        self.close()
        self._file = RotatingFile(self.path, self._shape)
        return subprocess.PIPE

    def started(self, process: PartProcess) -> None:
        """The part runs: begin to copy its lines."""
        assert process.stdout is not None
        assert self._file is not None
        _widen(process.stdout)
        self._thread = threading.Thread(target=self._copy, args=(process.stdout, self._file), daemon=True)
        self._thread.start()

    def ended(self) -> None:
        """The part has ended: wait until its last lines are in the file."""
        if self._thread is not None:
            self._thread.join(_LAST_LINES_S)

    def close(self) -> None:
        """Close the file, behind the last lines."""
        self.ended()
        if self._file is not None:
            self._file.close()
        self._file = self._thread = None

    def _copy(self, lines: IO[bytes], file: RotatingFile) -> None:
        with lines, contextlib.suppress(ValueError):  # closed: another process still holds the part's output
            for line in iter(lambda: lines.readline(_LINE_BYTES), b""):
                file.write(json_line(self.part, line) if self._shape.as_json else line)
                if self.echo:
                    print(f"{self.part:>11} | {line.decode('utf-8', 'replace').rstrip()}", file=sys.stderr)  # noqa: T201  # asked for by --verbose


def json_line(part: str, line: bytes) -> bytes:
    """Line as one JSON object: unchanged if it is one, else wrapped around its text (another program's, a crash's)."""
    try:
        found = json.loads(line)
    except ValueError:
        found = None
    if isinstance(found, dict) and {"time", "level", "message"} <= found.keys():
        return line if line.endswith(b"\n") else line + b"\n"
    document = {"time": timestamp(), "level": "INFO", "part": part, "logger": "output"}
    if isinstance(found, dict) and {"timestamp", "level", "event"} <= found.keys():  # Dagster's own form
        document |= {
            "time": found["timestamp"],
            "level": str(found["level"]).upper(),
            "message": found["event"],
        }
        document |= {"logger": found.get("logger", "dagster")}
        document |= {"trace": found["exception"]} if found.get("exception") else {}
    else:
        document["message"] = line.decode("utf-8", "replace").rstrip("\r\n")
    return json.dumps(document, ensure_ascii=False).encode() + b"\n"


def last_line(path: Path) -> str:
    """Last non-empty line of a log, at most 300 characters."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = [line.strip() for line in stream.read().decode("utf-8", "replace").splitlines()]
    except OSError:
        return ""
    return next((_message(line)[:300] for line in reversed(lines) if line), "")


def _message(line: str) -> str:
    """The text of a line of JSON; another line as it is."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        return str(json.loads(line)["message"]).strip().splitlines()[-1]
    return line


def _widen(stream: IO[bytes]) -> None:
    """Let more output wait, where the system can (Linux)."""
    if sys.platform == "linux":
        import fcntl

        with contextlib.suppress(OSError):  # more than this user may have
            fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
