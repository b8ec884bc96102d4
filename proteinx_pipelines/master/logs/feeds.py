"""What has been written of a job behind a place: log entries or metric values, from files here or sent by a node."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, Protocol

from sqlalchemy import select

from proteinx_pipelines.experiment_dir.json_lines import json_lines_behind
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.log_lines import LogReader
from proteinx_pipelines.master.database.job_tables import job_logs
from proteinx_pipelines.master.experiments import experiment_here
from proteinx_pipelines.master.master import Master

Kind = Literal["log", "metric"]
AT_ONCE = 1_000
"""Most sent lines read at once."""
_SLACK = timedelta(seconds=2)
"""Times of two processes and of rounded stamps may differ by this much."""


@dataclass(frozen=True)
class Piece:
    """One log entry or metric value."""

    place: str
    """Place behind it; the `id` of a stream."""
    document: Mapping[str, Any]
    """`{"time", "text"}` of a log entry; `{"name", "value" or "histogram", "step", "epoch", "fold"}` of a metric."""


class Feed(Protocol):
    """Source of one job's pieces."""

    def more(self, *, complete: bool) -> list[Piece]:
        """Pieces behind the last call's, oldest first; empty when there are none now.

        Args:
            complete: whether the job has ended; a last line without its end counts then.
        """


def feed_of(master: Master, job: Mapping[str, Any], kind: Kind, place: str = "") -> Feed:
    """Open the feed of a job.

    Args:
        master: whose job it is.
        job: its row.
        kind: log entries or metric values.
        place: of the last piece that was read before; empty for all of them.
    """
    sent = SentLines(master, job["job_id"], kind, place)
    directory = None if sent.has_any() else experiment_here(master.settings.node, job)
    if directory is None:
        return sent
    return FileLogs(directory, job, place) if kind == "log" else FileMetrics(directory, job, place)


class SentLines:
    """What a node elsewhere has sent. A place is the number of a row."""

    def __init__(self, master: Master, job_id: str, kind: Kind, place: str = "") -> None:
        self._master, self._job_id, self._kind = master, job_id, kind
        self._seq = int(place[1:]) if place[:1] == "s" and place[1:].isdecimal() and len(place) < 20 else 0

    def has_any(self) -> bool:
        """True if the node has sent a line."""
        return bool(self._rows(0, 1))

    def more(self, *, complete: bool) -> list[Piece]:  # noqa: ARG002  # a row is always whole
        """Rows behind the last call's."""
        rows = self._rows(self._seq, AT_ONCE)
        if rows:
            self._seq = rows[-1].seq
        return [Piece(f"s{row.seq}", row.line["document"]) for row in rows]

    def _rows(self, behind: int, limit: int) -> list[Any]:
        query = (
            select(job_logs.c.seq, job_logs.c.line)
            .where(job_logs.c.job_id == self._job_id, job_logs.c.kind == self._kind, job_logs.c.seq > behind)
            .order_by(job_logs.c.seq)
            .limit(limit)
        )
        with self._master.database.reading() as connection:
            return list(connection.execute(query))


class FileLogs:
    """`logs/train.log` and the events of an experiment here, as far as they belong to the job."""

    def __init__(self, directory: ExperimentDir, job: Mapping[str, Any], place: str = "") -> None:
        self._reader = LogReader(directory.train_logs, directory.events_dir, place)
        self._begin, self._end = _span(job)

    def more(self, *, complete: bool) -> list[Piece]:
        """Entries written since the last call."""
        return [
            Piece(entry.place, {"time": entry.time.isoformat(timespec="milliseconds"), "text": entry.text})
            for entry in self._reader.new_entries(complete=complete)
            if self._begin <= entry.time and (self._end is None or entry.time <= self._end)
        ]


class FileMetrics:
    """`metrics/metrics.jsonl` of an experiment here: the lines since the job began.

    A job whose training was reused has none of its own: it has those of the experiment as it stood, once it has ended.
    """

    def __init__(self, directory: ExperimentDir, job: Mapping[str, Any], place: str = "") -> None:
        self._path = directory.metrics
        self._offset = int(place[1:]) if place[:1] == "m" and place[1:].isdecimal() and len(place) < 20 else 0
        self._begin, self._end = _span(job)
        self._has_own = bool(place)

    def more(self, *, complete: bool) -> list[Piece]:
        """Lines written since the last call."""
        found: list[Piece] = []
        while not found:
            lines = json_lines_behind(self._path, self._offset)
            if not lines:
                return self._earlier() if complete and not self._has_own else []
            self._offset = lines[-1][1]
            found = [Piece(f"m{end}", line) for line, end in lines if self._is_own(line)]
        self._has_own = True
        return found

    def _is_own(self, line: Mapping[str, Any]) -> bool:
        moment = _moment(line.get("time"))
        return moment is not None and self._begin <= moment and (self._end is None or moment <= self._end)

    def _earlier(self) -> list[Piece]:
        """Lines of the last generation that wrote any before the job ended."""
        self._has_own = True
        lines = json_lines_behind(self._path, 0, most_bytes=1 << 62)
        in_time = [
            (line, end)
            for line, end in lines
            if self._end is None or (_moment(line.get("time")) or self._end) <= self._end
        ]
        last = in_time[-1][0].get("generation") if in_time else None
        return [Piece(f"m{end}", line) for line, end in in_time if line.get("generation") == last]


def _span(job: Mapping[str, Any]) -> tuple[datetime, datetime | None]:
    """Times between which a line of the experiment belongs to the job."""
    end = _moment(job["finished_at"])
    begin = _moment(job["created_at"])
    assert begin is not None
    return begin - _SLACK, None if end is None else end + _SLACK


def _moment(text: Any) -> datetime | None:
    """A time with its zone; None for anything else."""
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None
