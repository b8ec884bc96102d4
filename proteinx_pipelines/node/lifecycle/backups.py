"""Copies of a WORKDIR: its history, catalog and experiments, and the Master's database and files, into one folder.

Databases are copied first, each as it is at one moment, while node and Master go on; then the files, which only grow
meanwhile. A second backup into the same folder copies what has changed. The stage store is left out: what is missing
there is computed again.
"""

import os
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import BackendError, CorruptArtifact, InputError, MissingFile
from proteinx_pipelines.experiment_dir.files import PARTIAL_SUFFIX, file_sha256, read_json, write_json
from proteinx_pipelines.master.settings import MasterSettings, load_master_settings
from proteinx_pipelines.node.processes.ready_parts import MASTER, PARTS, pid_of
from proteinx_pipelines.redaction import redact_and_cut
from proteinx_pipelines.settings import Settings

INDEX = "backup.json"
DUMP = "master.dump"
"""Of the Master's PostgreSQL, as `pg_dump --format=custom` writes it."""
FORMAT = 1


class BackupFailed(BackendError):
    """A backup could not be made or put back; the message says what failed."""

    code = "backup_failed"


@dataclass(frozen=True)
class Backup:
    """What a backup has."""

    folder: Path
    made_at: str
    databases: Mapping[str, str]
    """Name in the folder -> SHA-256."""
    n_files: int
    """Files beside the databases."""
    n_copied: int
    """Those that were copied this time."""

    def document(self) -> dict[str, Any]:
        """The facts as JSON types."""
        return {
            "folder": str(self.folder),
            "made_at": self.made_at,
            "databases": dict(self.databases),
            "files": self.n_files,
            "copied": self.n_copied,
        }


@dataclass(frozen=True)
class Places:
    """What is saved of one WORKDIR and its Master."""

    settings: Settings
    master: MasterSettings

    @classmethod
    def of(cls, settings: Settings) -> "Places":
        """The places of the settings."""
        return cls(settings, load_master_settings(settings))

    @property
    def databases(self) -> dict[str, Path]:
        """Name in a backup -> SQLite file."""
        found = [self.settings.state_path, self.settings.database_path]
        if self.master.database_url is None:
            found.append(self.master.database_path)
        return {path.name: path for path in found}

    def folders(self, *, experiments: bool) -> dict[str, Path]:
        """Name in a backup -> folder."""
        paths = self.settings.paths
        found = {
            "campaigns": paths.campaigns_dir,
            "payloads": paths.payloads_dir,
            "failures": paths.failures_dir,
            "master-objects": self.master.objects_dir,
            "master-datasets": self.master.datasets_dir,
        }
        return (
            {**found, "experiments": paths.experiments_dir, "archive": paths.archive_dir}
            if experiments
            else found
        )


def back_up(settings: Settings, folder: Path, *, experiments: bool | None = None) -> Backup:
    """Copy a WORKDIR; node and Master may run.

    Args:
        settings: of the node, and of the Master by the environment.
        folder: where to; made where it is missing.
        experiments: whether experiments and archives are copied; None: unless a shared store has them.

    Raises:
        MissingFile: this WORKDIR has nothing to save.
        BackupFailed: a database could not be copied.
        OSError: a file could not be written.
    """
    places = Places.of(settings)
    if folder.resolve().is_relative_to(settings.workdir):
        raise InputError(
            f"{folder} is inside of the WORKDIR {settings.workdir}; name a folder on another disk."
        )
    databases = {name: path for name, path in places.databases.items() if path.is_file()}
    if not databases and places.master.database_url is None:
        raise MissingFile(
            f"{settings.workdir} has no database to save: set PROTEINX_WORKDIR to a node's folder."
        )
    folder.mkdir(parents=True, exist_ok=True)
    found = {}
    for name, path in databases.items():
        _copy_database(path, folder / name)
        found[name] = file_sha256(folder / name)
    if places.master.database_url is not None:
        _dump(places.master.database_url, folder / DUMP)
        found[DUMP] = file_sha256(folder / DUMP)
    with_experiments = settings.store is None if experiments is None else experiments
    n_files = n_copied = 0
    for name, source in places.folders(experiments=with_experiments).items():
        files, copied = _mirror(source, folder / name)
        n_files, n_copied = n_files + files, n_copied + copied
    made = Backup(folder, timestamp(), found, n_files, n_copied)
    write_json(folder / INDEX, {"format": FORMAT, "version": version("proteinx-infra"), **made.document()})
    return made


def restore(settings: Settings, folder: Path) -> Backup:
    """Put a backup back, into a WORKDIR without databases and a Master's database without tables.

    Raises:
        MissingFile: the folder has no whole backup.
        InputError: something is there already, or a node or Master runs.
        CorruptArtifact: a database of the backup has other bytes than when it was made.
        BackupFailed: PostgreSQL's programs failed.
    """
    index = _index(folder)
    places = Places.of(settings)
    running = [part for part in (*PARTS, MASTER) if pid_of(settings, part) is not None]
    if running:
        raise InputError(
            f"{', '.join(running)} of {settings.workdir} runs. Stop the node and the Master first."
        )
    in_the_way = [str(path) for path in places.databases.values() if path.is_file()]
    if in_the_way:
        raise InputError(
            f"{', '.join(in_the_way)}: there already. A backup is put back into an empty WORKDIR; move these away."
        )
    if (DUMP in index["databases"]) != (places.master.database_url is not None):
        where = "PostgreSQL" if DUMP in index["databases"] else "a file"
        raise InputError(
            f"The Master of this backup kept its database in {where}; set PROTEINX_MASTER_DATABASE_URL so."
        )
    for name, sha256 in index["databases"].items():
        if not (folder / name).is_file() or file_sha256(folder / name) != sha256:
            raise CorruptArtifact(
                f"{folder / name} is not what was saved at {index['made_at']}: use another backup."
            )
    n_files = sum(
        _mirror(folder / name, target)[0] for name, target in places.folders(experiments=True).items()
    )
    if places.master.database_url is not None:
        _run(places.master.database_url, "pg_restore", "--exit-on-error", "--no-owner", str(folder / DUMP))
    for name, target in places.databases.items():
        if name in index["databases"]:
            _copy_file(folder / name, target)
    return Backup(folder, str(index["made_at"]), index["databases"], n_files, n_files)


def _index(folder: Path) -> dict[str, Any]:
    try:
        found = read_json(folder / INDEX)
        if found["format"] == FORMAT and isinstance(found["databases"], dict) and found["made_at"]:
            return dict(found)
        problem = f"has format {found['format']!r}; this program reads {FORMAT}"
    except (OSError, ValueError, KeyError, TypeError):
        problem = "cannot be read"
    raise MissingFile(f"{folder / INDEX} {problem}: {folder} is no whole backup of `proteinx backup`.")


def _copy_database(source: Path, target: Path) -> None:
    """A copy as of one moment, whoever writes meanwhile."""
    partial = target.with_name(target.name + PARTIAL_SUFFIX)
    partial.unlink(missing_ok=True)
    try:
        with (
            closing(sqlite3.connect(source, timeout=60)) as before,
            closing(sqlite3.connect(partial)) as after,
        ):
            before.backup(after, pages=4096)
            found = after.execute("PRAGMA quick_check").fetchone()[0]
    except sqlite3.Error as error:
        raise BackupFailed(f"{source} could not be copied: {error}.") from error
    if found != "ok":
        raise BackupFailed(f"{source} is damaged ({found}); the backup has no copy of it.")
    partial.replace(target)


def _dump(url: str, target: Path) -> None:
    partial = target.with_name(target.name + PARTIAL_SUFFIX)
    _run(url, "pg_dump", "--format=custom", "--no-owner", "--file", str(partial))
    partial.replace(target)


def _run(url: str, program: str, *words: str) -> None:
    """Run one of PostgreSQL's programs on the database at `url`; its password is in no argument."""
    from proteinx_pipelines.master.database.engine import for_programs  # imports SQLAlchemy

    place, secret = for_programs(url)
    path = shutil.which(program)
    if path is None:
        raise BackupFailed(
            f"{program} is not installed; the Master's database is in PostgreSQL (Debian: postgresql-client)."
        )
    done = subprocess.run(  # noqa: S603  # PostgreSQL's own program, no shell
        [path, *words, "--dbname", place],
        env={**os.environ, **secret},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise BackupFailed(f"{program} failed: {redact_and_cut(done.stderr.strip())[-2000:]}")


def _mirror(source: Path, target: Path) -> tuple[int, int]:
    """Make a folder like another one; returns its number of files, and how many were copied."""
    if not source.is_dir():
        return 0, 0
    names, copied = set(), 0
    for path in _files(source):
        name = path.relative_to(source)
        names.add(name)
        try:
            copied += _copy_file(path, target / name)
        except FileNotFoundError:  # an experiment that was removed, or goes on writing
            names.discard(name)
    for path in list(_files(target)):
        if path.relative_to(target) not in names:
            path.unlink()
    return len(names), copied


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        if path.is_file() and not path.is_symlink() and not path.name.endswith(PARTIAL_SUFFIX):
            yield path


def _copy_file(source: Path, target: Path) -> bool:
    """Copy a file unless the target has its size and time; true if it was copied."""
    there = target.stat() if target.is_file() else None
    facts = source.stat()
    if there is not None and (there.st_size, there.st_mtime_ns) == (facts.st_size, facts.st_mtime_ns):
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + PARTIAL_SUFFIX)
    shutil.copy2(source, partial)
    partial.replace(target)
    return True
