"""Lines of `logs/train.log` and `logs/events/*.jsonl`, merged by time, as far as they are written.

Each file is read from where the previous read stopped, up to its last complete line.
"""

import json
import os
import re
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) (.*)", re.DOTALL)
"""Prefix of a line written by Python's logging, in local time."""


class LogReader:
    """Reads the logs of one experiment incrementally."""

    def __init__(self, train_logs: Sequence[Path], events_dir: Path) -> None:
        self._train_logs = train_logs
        self._events_dir = events_dir
        self._offsets: dict[int, int] = {}
        """Read positions by inode, not by name: a log that grew too long is renamed."""

    def new_lines(self, *, complete: bool) -> list[str]:
        """Lines for a person written since the last call; arguments as for `new_entries`."""
        return [as_line(moment, text) for moment, text in self.new_entries(complete=complete)]

    def new_entries(self, *, complete: bool) -> list[tuple[datetime, str]]:
        """Time and text of the entries written since the last call, sorted by time.

        Args:
            complete: whether the writer is done; then a last line without its end counts as well.
        """
        entries = list(self._log_entries(complete=complete))
        for path in sorted(self._events_dir.glob("*.jsonl")):
            entries += filter(None, map(_event, self._unread(path, complete=complete)))
        entries.sort(key=lambda entry: entry[0])  # stable: equal times keep the order of their file
        return entries

    def _log_entries(self, *, complete: bool) -> Iterator[tuple[datetime, str]]:
        """Records of train.log; lines without a time (a traceback) belong to the record above them."""
        found: list[tuple[datetime, str]] = []
        for line in (each for path in self._train_logs for each in self._unread(path, complete=complete)):
            stamp = _STAMP.fullmatch(line)
            if stamp:
                moment = datetime.strptime(f"{stamp[1]}.{stamp[2]}", "%Y-%m-%d %H:%M:%S.%f").astimezone()
                found.append((moment, stamp[3]))
            elif found:
                found[-1] = (found[-1][0], f"{found[-1][1]}\n{line}")
        return iter(found)

    def _unread(self, path: Path, *, complete: bool) -> list[str]:
        if not path.is_file():
            return []
        with path.open("rb") as stream:
            found = os.fstat(stream.fileno())
            known = self._offsets.get(found.st_ino, 0)
            start = (
                known if known <= found.st_size else 0
            )  # shorter than before: a new file with the inode of an old one
            stream.seek(start)
            content = stream.read()
        if not complete:
            content = content[: content.rfind(b"\n") + 1]
        self._offsets[found.st_ino] = start + len(content)
        return content.decode("utf-8", "replace").splitlines()


def _event(line: str) -> tuple[datetime, str] | None:
    """One event as `train: epoch_finished epoch=3 loss=0.12`; None for a line cut off by a power loss."""
    try:
        document = json.loads(line)
    except ValueError:
        return None
    facts = " ".join(f"{name}={_short(value)}" for name, value in document["payload"].items())
    text = f"{document['stage']}: {document['event']} {facts}".rstrip()
    return datetime.fromisoformat(document["timestamp"]), text


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def as_line(moment: datetime, text: str) -> str:
    """One entry for a person, in local time."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} {text}"
