"""Copies a data file into WORKDIR: a message may only refer to files there, or below the data roots.

The copy lies at `payloads/files/<SHA-256>/<name>`: the same content is copied once, and another content never takes
its place. The name is kept, since it names the source.
"""

import hashlib
import shutil
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from proteinx_pipelines.catalog.parsing import SUFFIXES
from proteinx_pipelines.errors import MissingFile, PathNotAllowed
from proteinx_pipelines.execution.paths import allowed_path
from proteinx_pipelines.experiment_dir.files import PARTIAL_SUFFIX
from proteinx_pipelines.files.blobs.folder import FolderStore
from proteinx_pipelines.settings import Settings

_SQLITE_HEADER = b"SQLite format 3\0"


def take_in(settings: Settings, path: Path) -> Path:
    """Return the file itself where a message may refer to it, else a copy below `payloads/`.

    Args:
        settings: of the node.
        path: of a CSV, Parquet or SQLite file. A template beside it (`<name>.json`) is taken along.

    Raises:
        MissingFile: there is no such file.
    """
    if not path.is_file():
        raise MissingFile(f"{path} is not there: no such file.")
    try:
        allowed_path(settings, "payload_ref", str(path.resolve()))
        return path.resolve()
    except PathNotAllowed:
        pass
    folder = settings.paths.payload_files_dir
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".", suffix=PARTIAL_SUFFIX) as name:
        fresh = Path(name)
        for source in (path, _template(path)):
            if source is not None:
                _copy(source, fresh / source.name)
        digest = _digest(fresh)
        FolderStore(folder).add_folder(digest, {copy.name: copy for copy in fresh.iterdir()}, {})
    return folder / digest / path.name


def _template(path: Path) -> Path | None:
    """`<name>.json` beside a data file; None where there is none."""
    stem = next((path.name[: -len(end)] for end in SUFFIXES if path.name.lower().endswith(end)), None)
    beside = path.with_name(f"{stem}.json")
    return beside if stem is not None and beside.is_file() else None


def _copy(source: Path, target: Path) -> None:
    """Copy a file; a database through SQLite, which includes the content still in its journal."""
    with source.open("rb") as stream:
        is_database = stream.read(len(_SQLITE_HEADER)) == _SQLITE_HEADER
    if not is_database:
        shutil.copyfile(source, target)
        return
    with (
        closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as before,
        closing(sqlite3.connect(target)) as copy,
    ):
        before.backup(copy)


def _digest(folder: Path) -> str:
    """SHA-256 over the names and the contents of a folder's files."""
    digest = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        digest.update(path.name.encode("utf-8", "surrogateescape") + b"\0")
        with path.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
