"""Sends log lines and metric values of a job to a Master elsewhere, from the experiment's own files.

The files are the buffer: a training never waits for the Master, and what was written while it was away is sent when it
is back, from where it left off.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from proteinx_pipelines.experiment_dir.json_lines import json_lines_behind
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.log_lines import LogReader
from proteinx_pipelines.node.talking.master_http import MasterHttp
from proteinx_pipelines.node.talking.sent_notes import Cursor, SentNote, SentNotes

AT_ONCE = 2_000
"""Most lines in one request."""
LONGEST = 20_000
"""Characters of a line; a Master keeps no more."""
_SLACK = timedelta(seconds=2)


def send_lines(
    master: MasterHttp, notes: SentNotes, note: SentNote, directory: ExperimentDir, *, complete: bool
) -> int:
    """Send what has been written since the last call; the number of lines.

    Args:
        master: that they are sent to.
        notes: where the cursors are kept.
        note: of the job; its cursors move.
        directory: of the experiment.
        complete: whether the experiment has ended; a last line without its end counts then.

    Raises:
        MasterUnavailable, MasterRefused: the rest is sent by a later call.
    """
    begin = datetime.fromisoformat(note.begun_at) - _SLACK
    reader = LogReader(directory.train_logs, directory.events_dir, note.log.place)
    entries: list[tuple[Any, str]] = [
        (
            {"time": entry.time.isoformat(timespec="milliseconds"), "text": entry.text[:LONGEST]}
            if entry.time >= begin
            else None,
            entry.place,
        )
        for entry in reader.new_entries(complete=complete)
    ]
    sent = _send(master, notes, note, note.log, "logs", entries)
    while lines := json_lines_behind(directory.metrics, int(note.metric.place or 0)):
        values = [(line if _is_since(line, begin) else None, str(end)) for line, end in lines]
        sent += _send(master, notes, note, note.metric, "metrics", values)
    return sent


def _send(
    master: MasterHttp,
    notes: SentNotes,
    note: SentNote,
    cursor: Cursor,
    address: str,
    lines: Sequence[tuple[Any, str]],
) -> int:
    """Send lines in batches; lines that are None only move the cursor."""
    sent = 0
    for start in range(0, len(lines), AT_ONCE):
        batch = lines[start : start + AT_ONCE]
        documents = [document for document, _ in batch if document is not None]
        if documents:
            master.post(
                f"/api/jobs/{note.job_id}/{address}",
                {"sender": note.message_id, "first": cursor.number, "lines": documents},
            )
        cursor.place, cursor.number = batch[-1][1], cursor.number + len(documents)
        notes.save(note)
        sent += len(documents)
    return sent


def _is_since(line: dict[str, Any], begin: datetime) -> bool:
    try:
        return datetime.fromisoformat(str(line.get("time"))) >= begin
    except (ValueError, TypeError):
        return False
