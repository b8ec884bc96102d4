"""Lines of `logs/train.log` and `logs/events/*.jsonl`, merged by time, as far as they are written.

Each file is read from where the previous read stopped, up to its last complete line. The place behind an entry is a
text, so that another reader continues there.
"""

import json
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

_STAMP = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),(\d{3}) (.*)", re.DOTALL)
"""Prefix of a line written by Python's logging, in local time."""
_EARLIEST = datetime.min.replace(tzinfo=UTC)
_PLACE = re.compile(r"\d{1,20}:\d{1,20}(,\d{1,20}:\d{1,20}){0,1000}")


@dataclass(frozen=True)
class LogEntry:
    """One entry: a record with the lines that belong to it, or an event."""

    time: datetime
    text: str
    place: str
    """Place behind it, from which `LogReader` continues."""


class LogReader:
    """Reads the logs of one experiment incrementally.

    Args:
        train_logs: the log and its earlier part, oldest first.
        events_dir: folder of the attempts' events.
        place: of the last entry that was read before; empty to begin at the beginning. Anything else begins there too.
    """

    def __init__(self, train_logs: Sequence[Path], events_dir: Path, place: str = "") -> None:
        self._train_logs = train_logs
        self._events_dir = events_dir
        self._offsets = _offsets_of(place)
        """Read positions by inode, not by name: a log that grew too long is renamed."""
        self._last = _EARLIEST

    def new_lines(self, *, complete: bool) -> list[str]:
        """Lines for a person written since the last call; arguments as for `new_entries`."""
        return [as_line(entry.time, entry.text) for entry in self.new_entries(complete=complete)]

    def new_entries(self, *, complete: bool) -> list[LogEntry]:
        """The entries written since the last call, sorted by time; those of one file keep their order.

        Args:
            complete: whether the writer is done; then a last line without its end counts as well.
        """
        before = dict(self._offsets)
        found = _in_order(
            record
            for path in self._train_logs
            for record in self._records(self._unread(path, complete=complete))
        )
        for path in sorted(self._events_dir.glob("*.jsonl")):
            found += _in_order(filter(None, map(_event, self._unread(path, complete=complete))))
        found.sort(key=lambda record: record.key)  # stable: equal times keep the order of their file
        entries = []
        for record in found:
            before[record.file] = record.end
            entries.append(LogEntry(record.time, record.text, _as_place(before)))
        return entries

    def _records(self, lines: Iterable["_Line"]) -> list["_Record"]:
        """Records of train.log; lines without a time (a traceback) belong to the record above them."""
        found: list[_Record] = []
        for line in lines:
            stamp = _STAMP.fullmatch(line.text)
            if stamp:
                moment = datetime.strptime(f"{stamp[1]}.{stamp[2]}", "%Y-%m-%d %H:%M:%S.%f").astimezone()
                self._last = moment
                found.append(_Record(moment, stamp[3], line.file, line.end))
            elif found:
                found[-1].text += f"\n{line.text}"
                found[-1].end = line.end
            elif self._last.year > 1:  # its record was told by an earlier call
                found.append(_Record(self._last, line.text, line.file, line.end))
        return found

    def _unread(self, path: Path, *, complete: bool) -> list["_Line"]:
        try:
            there = path.stat()
        except FileNotFoundError:
            return []
        if self._offsets.get(there.st_ino) == there.st_size:  # most looks of most readers find nothing new
            return []
        with path.open("rb") as stream:
            facts = os.fstat(stream.fileno())
            known = self._offsets.get(facts.st_ino, 0)
            # Shorter than before: a new file with the inode of an old one.
            end = start = known if known <= facts.st_size else 0
            stream.seek(start)
            content = stream.read()
        if not complete:
            content = content[: content.rfind(b"\n") + 1]
        self._offsets[facts.st_ino] = start + len(content)
        lines = []
        for line in content.splitlines(keepends=True):
            end += len(line)
            lines.append(_Line(line.decode("utf-8", "replace").rstrip("\r\n"), facts.st_ino, end))
        return lines


@dataclass(frozen=True)
class _Line:
    text: str
    file: int
    end: int
    """Offset behind it."""


@dataclass
class _Record:
    time: datetime
    text: str
    file: int
    end: int
    key: datetime = _EARLIEST
    """What it is sorted by: its time, or that of an earlier record of its file, if that is later."""


def _in_order(records: Iterable[_Record]) -> list[_Record]:
    """Give the records of one file keys that never fall: otherwise no place would be behind all that came before."""
    latest = _EARLIEST
    found = []
    for record in records:
        record.key = latest = max(latest, record.time)
        found.append(record)
    return found


def _event(line: _Line) -> _Record | None:
    """One event as `train: epoch_finished epoch=3 loss=0.12`; None for a line cut off by a power loss."""
    try:
        document = json.loads(line.text)
    except ValueError:
        return None
    facts = " ".join(f"{name}={_short(value)}" for name, value in document["payload"].items())
    text = f"{document['stage']}: {document['event']} {facts}".rstrip()
    return _Record(datetime.fromisoformat(document["timestamp"]), text, line.file, line.end)


def _offsets_of(place: str) -> dict[int, int]:
    if not _PLACE.fullmatch(place):
        return {}
    parts = (part.split(":") for part in place.split(","))
    return {int(file): int(offset) for file, offset in parts}


def _as_place(offsets: dict[int, int]) -> str:
    return ",".join(f"{file}:{offset}" for file, offset in offsets.items())


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else json.dumps(value, ensure_ascii=False)


def as_line(moment: datetime, text: str) -> str:
    """One entry for a person, in local time."""
    return f"{moment.astimezone():%Y-%m-%d %H:%M:%S}.{moment.microsecond // 1000:03d} {text}"
