"""Remembers the rows that a selection would choose, to avoid repeating the query.

The digest of the chosen rows enters the selection's key. Finding it takes a query, so it is remembered beside the stage
store for (version, `data.*` flags, database as it was). The stamp of a database is its path, size, times and
SQLite's own change counter: after a write the stamp differs, and the query runs again. A data file is imported with the
template beside it, so its stamp includes the template's file.
"""

import contextlib
from pathlib import Path
from typing import Any

from proteinx_pipelines.execution.stages import COMPUTATIONS
from proteinx_pipelines.experiment_dir.files import file_sha256, read_json, write_json
from proteinx_pipelines.flags.tree import ExperimentFlags, sha256_of
from proteinx_pipelines.pipeline.stages import STAGES
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.variant_files.forms import stem_of
from proteinx_pipelines.variant_files.template import files_beside

_DATABASE_ENDINGS = (".db", ".sqlite", ".sqlite3")


def database_stamp(path: Path) -> dict[str, Any] | None:
    """Stamp that changes when the file's content may have changed; None when there is no file."""
    if not path.is_file():
        return None
    facts = path.stat()
    with path.open("rb") as stream:
        header = stream.read(100)
    wal = path.with_name(path.name + "-wal")
    return {
        "path": str(path),
        "size": facts.st_size,
        "mtime_ns": facts.st_mtime_ns,
        "inode": facts.st_ino,
        "change_counter": header[24:28].hex(),
        "wal": [wal.stat().st_size, wal.stat().st_mtime_ns] if wal.is_file() else None,
        "template": _template_sha256(path),
    }


def _template_sha256(path: Path) -> str | None:
    """Digest of the template beside a data file; None where there is none, or where `path` is a database."""
    if path.name.lower().endswith(_DATABASE_ENDINGS):
        return None
    for file in files_beside(path, stem_of(path.name)):
        with contextlib.suppress(OSError):
            return file_sha256(file)
    return None


def known_rows(settings: Settings, flags: ExperimentFlags, payload: Path | None) -> dict[str, str] | None:
    """`{"rows": digest}` when this selection has been made from this very database before.

    `payload` is the file to select from, confined where it must be; None is the node's own catalog.
    """
    memo = rows_memo(settings, flags, payload)
    if memo is None:
        return None
    try:
        return {"rows": str(read_json(memo)["rows"])}
    except (OSError, ValueError, KeyError, TypeError):  # never made, damaged, or collected a moment ago
        return None


def rows_memo(settings: Settings, flags: ExperimentFlags, payload: Path | None) -> Path | None:
    """Name of the memo for the digest of this selection from the database as it is now.

    Taken before a query and again after it: a database that was written to in between gives two names, and nothing
    may be remembered then.
    """
    stamp = database_stamp(settings.database_path if payload is None else payload)
    if stamp is None:
        return None
    version = COMPUTATIONS["selection"].version
    digest = sha256_of({"version": version, "flags": STAGES["selection"].document(flags), "stamp": stamp})
    return settings.paths.store_dir / "rows" / f"{digest}.json"


def remember_rows(memo: Path, rows: str) -> None:
    """Remember the rows that a selection has chosen."""
    write_json(memo, {"rows": rows})
