"""Open `database.db` for an import: one transaction on a catalog that is created or migrated first.

Uses the ADBC driver, which accepts Arrow columns directly: 2.5 million rows in half the time of `sqlite3`, without a
Python object per cell. `importing` decides what to write; `tables` defines the tables.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from sqlalchemy.dialects import sqlite
from sqlalchemy.schema import CreateTable

from proteinx_pipelines.catalog.database import BUSY_TIMEOUT_S, check_tables, explained
from proteinx_pipelines.catalog.tables import MUTATIONS, SOURCES
from proteinx_pipelines.errors import CatalogError

if TYPE_CHECKING:
    import adbc_driver_sqlite.dbapi as adbc

_ADD_TO_SOURCES = "ALTER TABLE sources ADD COLUMN "
MIGRATIONS = (
    # 1: the rows of a source lie behind an index, in the order of their ids.
    ("CREATE INDEX IF NOT EXISTS idx_mutations_source ON mutations(source)",),
    # 2: a source stores the user's numbering and the interpretation of its file.
    (
        f"{_ADD_TO_SOURCES}offset INTEGER NOT NULL DEFAULT 0",
        f"{_ADD_TO_SOURCES}understood TEXT",
    ),
    # 3: further measured columns.
    (
        "CREATE TABLE IF NOT EXISTS further_scores(mutation INTEGER NOT NULL REFERENCES mutations(id), source INTEGER "  # noqa: ISC004
        "NOT NULL REFERENCES sources(id), name TEXT NOT NULL, kind TEXT NOT NULL, value REAL NOT NULL)",
        "CREATE INDEX IF NOT EXISTS idx_further_scores_source ON further_scores(source, name, mutation)",
    ),
    # 4: structures and alignments of sources, with their content.
    (
        "CREATE TABLE IF NOT EXISTS attachments(source INTEGER NOT NULL REFERENCES sources(id), kind TEXT NOT NULL, "  # noqa: ISC004
        "name TEXT NOT NULL, chain TEXT, sha256 TEXT NOT NULL, content BLOB NOT NULL, PRIMARY KEY(source, kind))",
    ),
)
"""Statements that lead from version n to n + 1. Existing entries never change."""
SCHEMA_VERSION = len(MIGRATIONS)
_PRAGMAS = {"busy_timeout": int(BUSY_TIMEOUT_S * 1000), "cache_size": -(64 << 10)}


class CatalogWriter:
    """The one open transaction of an import."""

    def __init__(self, cursor: "adbc.Cursor") -> None:
        self._cursor = cursor

    def run(self, sql: str, *values: str | int | bytes | None) -> list[tuple[Any, ...]]:
        """Run a statement with its `?` bound; returns its rows, if any."""
        self._cursor.execute(sql, values or None)
        return self._cursor.fetchall()

    def append(self, table: str, rows: pa.Table) -> None:
        """Insert rows whose columns have the names of the table's."""
        self._cursor.adbc_ingest(table, rows, mode="append")


@contextmanager
def open_for_import(database: Path) -> Iterator[CatalogWriter]:
    """One transaction on a catalog that is created or migrated first; an exception leaves it as it was.

    Raises:
        CatalogError: the file is not a catalog, or was made by a newer version of this program.
        BackendError: another import held the file for more than a minute; try again later.
    """
    import adbc_driver_sqlite.dbapi as adbc  # slow: imports pandas

    database.parent.mkdir(parents=True, exist_ok=True)
    is_new = not database.exists()
    try:
        with explained(database), adbc.connect(_uri(database), autocommit=False) as connection:
            with connection.cursor() as cursor:
                writer = CatalogWriter(cursor)
                _begin(writer)
                _migrate(database, writer)
                yield writer
            connection.commit()
    except BaseException:
        if is_new and database.is_file() and not database.stat().st_size:
            database.unlink()  # opening made it; an empty file would look like a broken catalog
        raise


def _uri(database: Path) -> str:
    return f"{database.resolve().as_uri()}?mode=rwc"


def _begin(writer: CatalogWriter) -> None:
    """Take the write lock at once; the driver's own transaction would take it only at the first write.

    A transaction that has read before another import wrote could not write any more.
    """
    writer.run("ROLLBACK")
    for name, value in _PRAGMAS.items():
        writer.run(f"PRAGMA {name} = {value}")
    writer.run("BEGIN IMMEDIATE")


def _migrate(database: Path, writer: CatalogWriter) -> None:
    ((version,),) = writer.run("PRAGMA user_version")
    if version > SCHEMA_VERSION:
        raise CatalogError(
            f"{database} has schema version {version}; this program knows {SCHEMA_VERSION} at most. Install "
            "the newer version that made it."
        )
    if writer.run("SELECT count(*) FROM sqlite_master") == [(0,)]:
        for table in (SOURCES, MUTATIONS):
            writer.run(str(CreateTable(table).compile(dialect=sqlite.dialect())))
    check_tables(database, writer.run)
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            if not _is_there(writer, statement):
                writer.run(statement)
    if version != SCHEMA_VERSION:
        writer.run(f"PRAGMA user_version = {SCHEMA_VERSION}")


def _is_there(writer: CatalogWriter, statement: str) -> bool:
    """True if a statement adds a column to `sources` that exists already, from the table's creation or by its owner."""
    column = statement.removeprefix(_ADD_TO_SOURCES).split(" ")[0]
    rows = writer.run("SELECT name FROM pragma_table_info('sources')")
    return statement.startswith(_ADD_TO_SOURCES) and column in {name.casefold() for (name,) in rows}
