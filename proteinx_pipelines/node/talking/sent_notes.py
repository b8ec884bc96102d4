"""Notes of what a Master elsewhere has of each job: `<WORKDIR>/run/sent/<job>.json`. They survive a restart."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from proteinx_pipelines.clock import steady_seconds
from proteinx_pipelines.experiment_dir.files import facts_of, write_json

KEPT_S = 7 * 24 * 3600.0
"""Life of the note of a job that has been sent, in seconds."""
READ_AGAIN_S = 3600.0
"""Seconds after which all notes are read again, for their age: a node has thousands, and looks every second."""


@dataclass
class Cursor:
    """How far one kind of lines has been sent."""

    place: str = ""
    """Place behind the last line that the Master has."""
    number: int = 0
    """Number of lines that it has."""


@dataclass
class SentNote:
    """What the Master has of one job."""

    job_id: str
    message_id: str
    experiment_id: str
    generation: int
    begun_at: str
    """When the message was received: older lines are of an earlier job."""
    log: Cursor = field(default_factory=Cursor)
    metric: Cursor = field(default_factory=Cursor)
    files: dict[str, str] = field(default_factory=dict)
    """Path -> SHA-256 of the files that it has."""
    is_done: bool = False


@dataclass
class SentNotes:
    """The notes of a WORKDIR; one forwarder alone writes them."""

    folder: Path
    _open: set[str] = field(default_factory=set)
    """Jobs of which something is still to be sent."""
    _read_at: float | None = None
    """When the whole folder was read, in steady seconds."""

    def load(self, job_id: str) -> SentNote | None:
        """The note of a job; None where there is none, or a crash has damaged it."""
        try:
            found = json.loads(self._path(job_id).read_text(encoding="utf-8"))
            return SentNote(**{**found, "log": Cursor(**found["log"]), "metric": Cursor(**found["metric"])})
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def save(self, note: SentNote) -> None:
        """Write a note."""
        write_json(self._path(note.job_id), asdict(note))
        if note.is_done:
            self._open.discard(note.job_id)
        else:
            self._open.add(note.job_id)

    def open(self) -> Iterator[SentNote]:
        """Notes of the jobs of which something is still to be sent, whatever the number of the others."""
        if self._read_at is None or steady_seconds() - self._read_at > READ_AGAIN_S:
            self._read_all()
        for job_id in sorted(self._open):
            note = self.load(job_id)
            if note is None:  # removed, or damaged by a crash: it begins anew with the job's next message
                self._open.discard(job_id)
            else:
                yield note

    def forget(self, job_id: str) -> None:
        """Remove a note."""
        self._open.discard(job_id)
        with contextlib.suppress(FileNotFoundError):
            self._path(job_id).unlink()

    def _read_all(self) -> None:
        """Find the open notes among all; old ones of the others are removed."""
        self._read_at = steady_seconds()
        for path in self.folder.glob("*.json") if self.folder.is_dir() else ():
            note = self.load(path.stem)
            if note is not None and not note.is_done:
                self._open.add(path.stem)
            elif (facts := facts_of(path)) is not None and time.time() - facts.st_mtime > KEPT_S:
                path.unlink(missing_ok=True)

    def _path(self, job_id: str) -> Path:
        return self.folder / f"{job_id}.json"
