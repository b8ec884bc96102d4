"""Limits on reading users' files: in bytes, packed or not, in the length of a cell, and in time.

A few kilobytes can unpack to gigabytes, a view can be an endless query, and a cell of a user's own database can have
hundreds of megabytes. Whatever exceeds a limit is refused in a sentence that names the limit.
"""

import sqlite3
import stat
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from proteinx_pipelines.catalog.where import Query
from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.variant_files.container import MOST_TIMES, SMALL_BYTES

MOST_BYTES = 20_000_000_000
"""Size of a data file, as it is and unpacked, where no setting says otherwise."""
LONGEST_CELL = {"mutant": 100_000, "DMS_score_bin": 500, "source_text": 500, "template": 100_000}
"""Characters of a cell; the longest known protein has 35,000 residues."""
VIEW_SECONDS = 60.0
"""Time limit of a query on a view; on a table, the size of the file is the limit."""
_STEPS = 100_000  # of SQLite's machine between two looks at the clock: about a millisecond
_BLOCK = 1 << 22
_GZIP, _ZIP, _PARQUET = b"\x1f\x8b", b"PK\x03\x04", b"PAR1"


def refuse_endless_file(path: Path, most_bytes: int = MOST_BYTES) -> None:
    """Check that a data file is a file, and that it and what is packed in it have no more than `most_bytes`.

    Raises:
        CatalogError: it is something else (a pipe, a device, a folder), or too large; the message says how large.
    """
    try:
        facts = path.stat()
    except OSError:
        return  # missing: opening it raises the error
    if not stat.S_ISREG(facts.st_mode):
        raise CatalogError(
            f"{path} is not a file: {_KINDS.get(stat.S_IFMT(facts.st_mode), 'something else')}."
        )
    if facts.st_size > most_bytes:
        raise CatalogError(f"{path} has {facts.st_size:,} bytes; {_allowed(most_bytes)}")
    with path.open("rb") as stream:
        begin = stream.read(4)
    if begin.startswith(_GZIP):
        _refuse_endless_gzip(path, facts.st_size, most_bytes)
    elif begin == _ZIP:
        _refuse_endless_zip(path, facts.st_size, most_bytes)
    elif begin == _PARQUET:
        _refuse_endless_parquet(path, most_bytes)


class CatalogConnection(sqlite3.Connection):
    """Connection that records whether its queries may be endless."""

    has_views = False
    """True if `sources` or `mutations` is a view or a virtual table: a query may then compute, not only read."""


def bound_queries(connection: CatalogConnection) -> None:
    """Limit every query of a connection if a table of the catalog is a view; call before the authorizer is set."""
    found = connection.execute(_COMPUTED).fetchone()
    connection.has_views = bool(found and found[0])
    if connection.has_views:
        end = time.monotonic() + VIEW_SECONDS
        connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 2 * max(LONGEST_CELL.values()))
        connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS)


def try_query(connection: CatalogConnection, query: Query) -> None:
    """Run a query on views once, reading all values, under the limits of `bound_queries`: the next reader has none.

    Raises:
        sqlite3.Error: it does not end in time, or makes a cell that is too long (see `database.explained`).
    """
    if connection.has_views:
        sql = f"SELECT count(*), max(mutant), max(DMS_score_bin) FROM ({query.sql})"  # noqa: S608  # our own statement
        connection.execute(sql, query.parameters).fetchone()
        connection.execute("SELECT count(*), max(source_text), max(template) FROM sources").fetchone()


def endless(database: Path) -> CatalogError:
    """Error for a query that `bound_queries` has ended."""
    return CatalogError(
        f"{database}: `sources` or `mutations` is a view, and reading it has not ended after {VIEW_SECONDS:.0f} s. "
        "Write its rows into a table (CREATE TABLE ... AS SELECT ...)."
    )


def refuse_long_cells(where: Path, columns: Mapping[str, pa.ChunkedArray | pa.Array]) -> None:
    """Check the lengths of texts in the columns of `LONGEST_CELL`.

    Raises:
        CatalogError: a cell is longer; the message names the column, the row and the length.
    """
    problems = []
    for name, most in LONGEST_CELL.items():
        column = columns.get(name)
        if column is None or not _holds_text(column.type):
            continue
        lengths = pc.binary_length(column)
        longest = pc.max(lengths).as_py() or 0
        if longest > most:
            row = pc.index(lengths, longest).as_py() + 1
            problems.append(
                f"`{name}` of row {row:,} has {longest:,} characters; at most {most:,} are expected"
            )
    if problems:
        raise CatalogError(f"{where} has cells that are no measurements:", problems)


_COMPUTED = (
    "SELECT count(*) FROM sqlite_master WHERE lower(name) IN ('sources', 'mutations') AND rootpage = 0"
)
_KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}  # fmt: skip


def _holds_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind))


def _allowed(most_bytes: int) -> str:
    return f"at most {most_bytes:,} are read on this node (PROTEINX_MAX_DATA_GB)."


def _check_unpacked(path: Path, size: int, unpacked: int, most_bytes: int) -> None:
    if unpacked > most_bytes:
        raise CatalogError(f"{path} unpacks to more than {most_bytes:,} bytes; {_allowed(most_bytes)}")
    if unpacked > SMALL_BYTES and unpacked > MOST_TIMES * size:
        raise CatalogError(
            f"{path} has {size:,} bytes and unpacks to more than {MOST_TIMES} times as many, which no measurements do. "
            "Unpack it and send the file itself."
        )


def _refuse_endless_gzip(path: Path, size: int, most_bytes: int) -> None:
    unpacked = 0
    try:
        with pa.input_stream(path, compression="gzip") as stream:
            while block := stream.read(_BLOCK):
                unpacked += len(block)
                _check_unpacked(path, size, unpacked, most_bytes)
    except (pa.ArrowException, OSError, EOFError):
        return  # damaged: reading it raises the error


def _refuse_endless_zip(path: Path, size: int, most_bytes: int) -> None:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(member.file_size for member in archive.infolist())
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return
    _check_unpacked(path, size, unpacked, most_bytes)


def _refuse_endless_parquet(path: Path, most_bytes: int) -> None:
    """Refuse Parquet files with endless rows: a column of one repeated value takes no space, for any number of rows."""
    try:
        facts = pq.read_metadata(path)
    except (pa.ArrowException, OSError):
        return
    least = facts.num_rows * facts.num_columns
    if least > most_bytes:
        raise CatalogError(f"{path} has {least:,} cells; {_allowed(most_bytes)}")
