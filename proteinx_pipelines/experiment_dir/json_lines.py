"""Files of JSON records, one per line: appended in whole lines, read up to the last whole line."""

import errno
import json
import os
from pathlib import Path
from typing import Any


class JsonLines:
    """A file to which whole lines are appended, each with one write, so that a reader never sees half a record.

    A power loss can still leave half a line; it is terminated first, so that the next record is whole.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        if os.fstat(self._descriptor).st_size and _last_byte(path) != b"\n":
            os.write(self._descriptor, b"\n")

    def append(self, record: dict[str, Any]) -> None:
        """Append one record; NaN becomes null.

        Raises:
            OSError: there is no room for the whole line; nothing of it stays.
        """
        text = json.dumps({key: _finite(value) for key, value in record.items()}, allow_nan=False)
        line = text.encode("utf-8") + b"\n"
        written = os.write(self._descriptor, line)
        if written < len(line):  # the last free bytes of a disk may take part of a write
            os.ftruncate(self._descriptor, os.fstat(self._descriptor).st_size - written)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def close(self) -> None:
        """Flush the lines to disk and close the file."""
        try:
            os.fsync(self._descriptor)
        finally:
            os.close(self._descriptor)


def read_json_lines(path: Path) -> list[dict[str, Any]]:
    """The whole records of a file, in order; empty when the file is missing.

    A line that is still being written, or was cut off by a power loss, is left out.
    """
    if not path.is_file():
        return []
    records = []
    lines = path.read_bytes().split(b"\n")[:-1]  # text after the last line end is still being written
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:  # also bytes that are not UTF-8
            continue
        if isinstance(record, dict):
            records.append(record)
    return records


def json_lines_behind(path: Path, offset: int, most_bytes: int = 1 << 20) -> list[tuple[dict[str, Any], int]]:
    """The whole records behind an offset, each with the offset behind it; empty when there are none yet.

    Args:
        path: the file; missing counts as empty.
        offset: 0, or one that was returned before. Behind the end, which is that of another file, it is 0.
        most_bytes: read at once; a longer line is read whole.
    """
    found: list[tuple[dict[str, Any], int]] = []
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        return found
    with stream:
        stream.seek(offset if offset <= os.fstat(stream.fileno()).st_size else 0)
        end, begin = stream.tell(), stream.tell()
        while end - begin < most_bytes and (line := stream.readline()).endswith(b"\n"):
            end += len(line)
            try:
                record = json.loads(line)
            except ValueError:
                continue
            if isinstance(record, dict):
                found.append((record, end))
    return found


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as stream:
        stream.seek(-1, os.SEEK_END)
        return stream.read(1)


def _finite(value: Any) -> Any:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):
        return None
    return value
