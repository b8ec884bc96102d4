"""Opens `database.db`: to read (nothing can change it) or to import (created and migrated as needed).

A user's own file with the two tables has no version (0) and is read as it is. Importing into it brings it
to the newest version. What the tables are is `tables`; which rows are chosen is `where`.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa

from proteinx_pipelines.catalog.tables import MUTATIONS, SOURCES, Base
from proteinx_pipelines.errors import BackendError, CatalogError

MIGRATIONS = (
    # 1: the rows of a source lie behind an index, in the order of their ids.
    ("CREATE INDEX IF NOT EXISTS idx_mutations_source ON mutations(source)",),
)
"""Statements that lead from version n to n + 1. Existing entries never change."""
SCHEMA_VERSION = len(MIGRATIONS)
BUSY_TIMEOUT_S = 60.0
"""How long a connection waits for an import that holds the file."""
TABLES = (SOURCES, MUTATIONS)
_FUNCTIONS = frozenset({"count", "like", "max", "min"})
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE})


def read_uri(database: Path) -> str:
    """The address under which SQLite opens a file and cannot change it."""
    return f"{database.resolve().as_uri()}?mode=ro"


@contextmanager
def open_for_reading(database: Path) -> Iterator[sqlite3.Connection]:
    """Connect to a catalog such that only SELECT on its two tables can run.

    Three locks, each of which would do: the file is opened read-only, `query_only` is set, and an authorizer
    refuses to prepare anything but SELECT, columns of the two tables and a few functions.

    Raises:
        CatalogError: there is no such file, or it is not a catalog; the message says what it lacks.
        BackendError: an import held the file for more than a minute; try again later.
    """
    if not database.is_file():
        raise CatalogError(f"{database} is not there. `proteinx db import FILE...` makes a catalog.")
    with explained(database), closing(_connect_read_only(database)) as connection:
        _check_tables(database, connection)
        connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(_authorize)
        yield connection


@contextmanager
def open_for_import(database: Path) -> Iterator[sa.Connection]:
    """One transaction on a catalog that is created or migrated first; an exception leaves it as it was.

    Raises:
        CatalogError: the file is not a catalog, or was made by a newer version of this program.
        BackendError: another import held the file for more than a minute; try again later.
    """
    database.parent.mkdir(parents=True, exist_ok=True)
    is_new = not database.exists()
    engine = sa.create_engine(
        sa.URL.create("sqlite", database=str(database)),
        connect_args={"timeout": BUSY_TIMEOUT_S, "isolation_level": None},
        poolclass=sa.NullPool,
    )
    # The driver's own idea of when a transaction begins would leave CREATE TABLE outside of it.
    sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    try:
        with explained(database), engine.begin() as connection:
            _migrate(database, connection)
            yield connection
    except BaseException:
        if is_new and database.is_file() and not database.stat().st_size:
            database.unlink()  # opening made it; an empty file would look like a broken catalog
        raise
    finally:
        engine.dispose()


@contextmanager
def explained(database: Path) -> Iterator[None]:
    """Turn SQLite's errors about a file into ours."""
    try:
        yield
    except (sqlite3.Error, sa.exc.DBAPIError) as error:
        reason = str(getattr(error, "orig", None) or error)
        if "locked" in reason or "busy" in reason:
            raise busy(database) from error
        raise CatalogError(f"{database} cannot be used as a catalog: SQLite says {reason!r}.") from error


def busy(database: Path) -> BackendError:
    """The error for a file that somebody held for longer than `BUSY_TIMEOUT_S`."""
    return BackendError(
        f"{database} is held by another program, such as an import. Try again when it has ended."
    )


def _connect_read_only(database: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(read_uri(database), uri=True, timeout=BUSY_TIMEOUT_S)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError as error:
        connection.close()
        if "readonly" not in str(error):
            raise
        # An import was killed and left its journal: only a writer may put the old pages back.
        with closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT_S)) as writer:
            writer.execute("SELECT count(*) FROM sqlite_master")
        connection = sqlite3.connect(read_uri(database), uri=True, timeout=BUSY_TIMEOUT_S)
    return connection


def _check_tables(database: Path, connection: sqlite3.Connection) -> None:
    problems = []
    for table in TABLES:
        rows = connection.execute("SELECT name FROM pragma_table_info(?)", (table.name,))
        found = {name.casefold() for (name,) in rows}
        missing = [column.name for column in table.columns if column.name.casefold() not in found]
        if not found:
            problems.append(f"the table `{table.name}` is missing")
        elif missing:
            problems.append(f"the table `{table.name}` has no column {', '.join(missing)}")
    if problems:
        raise CatalogError(
            f"{database} is not a catalog. It needs sources(id, source_text, template) and mutations(id, "
            "mutant, DMS_score, DMS_score_bin, mut_num, source):",
            problems,
        )


def _authorize(action: int, first: str | None, second: str | None, *_: str | None) -> int:
    """Say yes to what choosing rows takes, and no to everything else."""
    if action == sqlite3.SQLITE_READ:
        allowed = first in {table.name for table in TABLES}
    elif action == sqlite3.SQLITE_FUNCTION:
        allowed = (second or "").casefold() in _FUNCTIONS
    else:
        allowed = action in _ALLOWED
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY


def _migrate(database: Path, connection: sa.Connection) -> None:
    version = connection.exec_driver_sql("PRAGMA user_version").scalar_one()
    if version > SCHEMA_VERSION:
        raise CatalogError(
            f"{database} has schema version {version}; this program knows {SCHEMA_VERSION} at most. Install "
            "the newer version that made it."
        )
    is_empty = not connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one()
    if is_empty:
        Base.metadata.create_all(connection)
    driver = connection.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    _check_tables(database, driver)
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.exec_driver_sql(statement)
    if version != SCHEMA_VERSION:
        connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION}")
