"""Notes of what a Master elsewhere has of each job: `<WORKDIR>/run/sent/<job>.json`. They survive a restart."""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

from proteinx_pipelines.experiment_dir.files import write_json

KEPT_S = 7 * 24 * 3600.0
"""Life of the note of a job that has been sent, in seconds."""


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


@dataclass(frozen=True)
class SentNotes:
    """The notes of a WORKDIR."""

    folder: Path

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

    def open(self) -> Iterator[SentNote]:
        """Notes of the jobs of which something is still to be sent; old ones of the others are removed."""
        for path in sorted(self.folder.glob("*.json")) if self.folder.is_dir() else ():
            note = self.load(path.stem)
            if note is not None and not note.is_done:
                yield note
            elif time.time() - path.stat().st_mtime > KEPT_S:
                path.unlink(missing_ok=True)

    def forget(self, job_id: str) -> None:
        """Remove a note."""
        with contextlib.suppress(FileNotFoundError):
            self._path(job_id).unlink()

    def _path(self, job_id: str) -> Path:
        return self.folder / f"{job_id}.json"
