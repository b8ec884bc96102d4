"""Atomic file writing: a reader never sees a partly written file.

Temporary name beside the target, fsync, rename, fsync of the folder: after a crash there is the old file or the new
one. Rename alone may leave an empty file after a power loss (Pillai et al., OSDI 2014).
"""

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa  # read when a table is: the supervisor writes JSON, and holds neither Arrow nor NumPy

PARTIAL_SUFFIX = ".partial"
"""Suffix of temporary files; a crash may leave some, which housekeeping removes."""


def write_atomic(target: Path, write: Callable[[Path], None]) -> Path:
    """Let `write` fill a temporary file beside `target`, then put it in place durably."""
    target.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}-", suffix=PARTIAL_SUFFIX)
    os.close(descriptor)
    partial = Path(name)
    try:
        write(partial)
        _sync(partial)
        partial.chmod(0o644)
        partial.replace(target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise
    sync_folder(target.parent)
    return target


def write_bytes(target: Path, content: bytes) -> Path:
    """Write bytes atomically."""
    return write_atomic(target, lambda partial: _write(partial, content))


def write_text(target: Path, content: str) -> Path:
    """Write UTF-8 text atomically."""
    return write_bytes(target, content.encode("utf-8"))


def write_json(target: Path, document: Any) -> Path:
    """Write a JSON document atomically, in the form of `json_text`."""
    return write_text(target, json_text(document))


def json_text(document: Any) -> str:
    """Serialize a JSON document: keys keep their order, one-space indent, NaN becomes null."""
    return json.dumps(json_ready(document), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def write_parquet(target: Path, table: "pa.Table", *, dictionaries: bool = True) -> Path:
    """Write a table atomically as Parquet (zstd); the same table gives the same bytes.

    Args:
        target: where to.
        table: what.
        dictionaries: try to write columns as dictionaries. Behind zstd that saves few bytes, and for millions of rows
            it takes a tenth of the time.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    numbers = [field.name for field in table.schema if pa.types.is_primitive(field.type)]
    options: dict[str, Any] = {
        "compression": "zstd",
        "use_dictionary": dictionaries,
        # Minimum and maximum of a million texts do not help readers to skip rows; computing them takes a fifth
        # longer.
        "write_statistics": numbers,
    }
    return write_atomic(target, lambda partial: pq.write_table(table, partial, **options))


def read_json(path: Path) -> Any:
    """Read a UTF-8 JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def facts_of(path: Path) -> os.stat_result | None:
    """What the disk knows of a path; None when it has gone, as after a listing in which it still was."""
    try:
        return path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None


def read_parquet(path: Path) -> "pa.Table":
    """Read a Parquet file as plain columns, without dictionaries."""
    import pyarrow.parquet as pq

    # `pq.read_table` loads pandas, a third of a second, and reads `name=value` in a path as a column.
    with pq.ParquetFile(path) as file:
        return file.read()


def file_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def json_ready(value: Any) -> Any:
    """Convert NumPy scalars, arrays, tuples and paths to JSON types; NaN and infinities become None."""
    if isinstance(value, Mapping):
        return {str(key): json_ready(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [json_ready(item) for item in value]
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if hasattr(value, "tolist"):  # NumPy's scalars and arrays, without importing NumPy
        return json_ready(value.tolist())
    return str(value) if isinstance(value, Path) else value


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` survive a power loss. Does nothing on Windows, which cannot open a folder."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        # Some network file systems refuse fsync on folders; the rename itself has succeeded.
        with contextlib.suppress(OSError):
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write(partial: Path, content: bytes) -> None:
    partial.write_bytes(content)


def _sync(path: Path) -> None:
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())
