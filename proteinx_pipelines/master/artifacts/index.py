"""Which files a job has, and where they are: those of the experiment directory here, and those that were uploaded."""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import select

from proteinx_pipelines.errors import MissingArtifact
from proteinx_pipelines.experiment_dir.index import file_names
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.master.artifacts.digests import digests
from proteinx_pipelines.master.artifacts.paths import checked_path
from proteinx_pipelines.master.database.job_tables import artifacts
from proteinx_pipelines.master.experiments import experiment_here
from proteinx_pipelines.master.master import Master


@dataclass(frozen=True)
class JobFile:
    """One file of a job."""

    path: str
    """Relative to the experiment directory."""
    size: int
    sha256: str
    place: Path
    """Where its bytes are on this machine."""
    is_stored: bool
    """True for an uploaded one, which never changes in place."""

    def as_document(self) -> dict[str, Any]:
        """As the index shows it."""
        return {"path": self.path, "size": self.size, "sha256": self.sha256}


def files_of(master: Master, job: Mapping[str, Any]) -> list[JobFile]:
    """All files of a job, sorted by path; an uploaded one hides one of the same path here.

    Takes as long as the files that changed since the last call take to read: not for the event loop.
    """
    found: dict[str, JobFile] = {}
    directory = experiment_here(master.settings.node, job)
    for name in file_names(directory) if directory is not None else ():
        assert directory is not None
        try:
            found[name] = _here(directory, name)
        except FileNotFoundError:  # replaced or removed meanwhile
            continue
    found.update((each.path, each) for each in _stored(master, job["job_id"]))
    return [found[name] for name in sorted(found)]


def paths_of(master: Master, job: Mapping[str, Any], folder: str) -> dict[str, int]:
    """Path and size of the files of a job below a folder; nothing is read.

    Args:
        master: whose job it is.
        job: its row.
        folder: such as `artifacts/model/`.
    """
    found: dict[str, int] = {}
    directory = experiment_here(master.settings.node, job)
    if directory is not None:
        for name in file_names(directory, folder):
            with contextlib.suppress(FileNotFoundError):
                found[name] = directory.path(name).stat().st_size
    query = select(artifacts.c.path, artifacts.c.size).where(
        artifacts.c.job_id == job["job_id"], artifacts.c.path.startswith(folder, autoescape=True)
    )
    with master.database.reading() as connection:
        found.update((row.path, row.size) for row in connection.execute(query))
    return found


def file_of(master: Master, job: Mapping[str, Any], path: str) -> JobFile:
    """One file of a job.

    Raises:
        PathNotAllowed: the path leads elsewhere.
        MissingArtifact: the job has no such file.
    """
    checked_path(path)
    stored = _stored(master, job["job_id"], path)
    if stored:
        return stored[0]
    directory = experiment_here(master.settings.node, job)
    if directory is not None and _is_inside(directory, path):
        try:
            return _here(directory, path)
        except FileNotFoundError:
            pass
    raise MissingArtifact(
        f"{job['job_id']} has no file {path[:200]!r}. `GET /api/jobs/{job['job_id']}/artifacts` lists its files."
    )


def _here(directory: ExperimentDir, name: str) -> JobFile:
    place = directory.path(name)
    size, sha256 = digests.of(place)
    return JobFile(name, size, sha256, place, is_stored=False)


def _is_inside(directory: ExperimentDir, path: str) -> bool:
    """True if the path names a file of the experiment, and no link is on the way."""
    place = directory.path(path)
    return place.is_file() and place.resolve() == directory.root.resolve() / path


def _stored(master: Master, job_id: str, path: str | None = None) -> list[JobFile]:
    query = select(artifacts).where(artifacts.c.job_id == job_id)
    if path is not None:
        query = query.where(artifacts.c.path == path)
    with master.database.reading() as connection:
        rows = connection.execute(query).all()
    return [
        JobFile(row.path, row.size, row.sha256, master.settings.stored(row.sha256), is_stored=True)
        for row in rows
    ]
