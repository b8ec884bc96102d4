"""Data file of a message (`payload_ref`): used directly if it is a catalog, else imported once into a cache.

`files.references` has checked that the message may refer to the file.
"""

import contextlib
import hashlib
import tempfile
from pathlib import Path

from proteinx_pipelines.catalog.database import open_for_reading
from proteinx_pipelines.catalog.importing import import_file
from proteinx_pipelines.catalog.limits import MOST_BYTES, refuse_endless_file
from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.forms import stem_of
from proteinx_pipelines.variant_files.template import files_beside

_SQLITE_HEADER = b"SQLite format 3\0"
_PARTIAL_SUFFIX = ".partial"
_IMPORT = b"2"
"""Raise it when an import keeps more of a file: the file is then imported again."""
_NO_OPTIONS = (
    "Payloads take no options: give them to `proteinx db import FILE`, and name the source in `data.source`."
)


def open_payload(path: Path, cache_dir: Path, most_bytes: int = MOST_BYTES) -> Path:
    """Open the catalog of a payload: the file itself if it is a SQLite database, otherwise its import.

    A data file of any form is imported into `<cache_dir>/<SHA-256 of name and content>.db` the first time. Two
    processes may do so at once: each writes its own file, and the last rename replaces an equal one.

    Args:
        path: the file.
        cache_dir: folder of imports.
        most_bytes: size up to which it is read, packed or not.

    Raises:
        CatalogError: the file is neither a catalog nor a data file that can be read, or too large; every problem
            is named.
    """
    refuse_endless_file(path, most_bytes)
    if _is_sqlite(path):
        with open_for_reading(path):
            return path
    cached = cache_dir / f"{_digest(path)}.db"
    if cached.is_file():
        return cached
    cache_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=cache_dir, suffix=_PARTIAL_SUFFIX) as folder:
        fresh = Path(folder) / "imported.db"
        try:
            import_file(fresh, path)
        except CatalogError as error:
            raise error.with_remedy(_NO_OPTIONS) from error
        fresh.replace(cached)
    return cached


def _is_sqlite(path: Path) -> bool:
    # The import raises the error if the file cannot be opened.
    with contextlib.suppress(OSError), path.open("rb") as stream:
        return stream.read(len(_SQLITE_HEADER)) == _SQLITE_HEADER
    return False


def _digest(path: Path) -> str:
    """Digest of everything that the import reads: the name (also that of the source), the rows, the template file."""
    digest = hashlib.sha256(_IMPORT + path.name.encode("utf-8"))
    for file in (path, *files_beside(path, stem_of(path.name))):
        with contextlib.suppress(OSError), file.open("rb") as stream:
            digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
