"""Open `database.db` strictly read-only, and convert SQLite's errors.

A user's own file with the two tables has no version (0) and is read unchanged. An import into it (`writing`) migrates
it to the newest version. `tables` defines the tables; `where` selects rows.
"""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import adbc_driver_manager

from proteinx_pipelines.catalog.limits import CatalogConnection, bound_queries, endless
from proteinx_pipelines.catalog.tables import (
    ATTACHMENTS,
    FURTHER_COLUMNS,
    FURTHER_SCORES,
    MUTATIONS,
    SOURCES,
)
from proteinx_pipelines.errors import BackendError, CatalogError

BUSY_TIMEOUT_S = 60.0
"""Seconds that a connection waits for an import that locks the file."""
TABLES = (SOURCES, MUTATIONS)
_FUNCTIONS = frozenset({"count", "like", "max", "min"})
_ALLOWED = frozenset({sqlite3.SQLITE_SELECT, sqlite3.SQLITE_RECURSIVE})


def read_uri(database: Path) -> str:
    """URI with which SQLite opens a file read-only."""
    return f"{database.resolve().as_uri()}?mode=ro"


@contextmanager
def open_for_reading(database: Path) -> Iterator[CatalogConnection]:
    """Connect to a catalog such that only SELECT on its two tables can run.

    Three independent safeguards: the file is opened read-only, `query_only` is set, and an authorizer
    refuses to prepare anything but SELECT, columns of the two tables and a few functions. A view, which may compute
    without end, has a limit of time (`limits`).

    Raises:
        CatalogError: the file does not exist, or is not a catalog; the message names what is missing.
        BackendError: an import held the file for more than a minute; try again later.
    """
    if not database.is_file():
        raise CatalogError(f"{database} is not there. `proteinx db import FILE...` makes a catalog.")
    with explained(database), closing(_connect_read_only(database)) as connection:
        check_tables(database, lambda sql, *values: connection.execute(sql, values).fetchall())
        bound_queries(connection)
        connection.execute("PRAGMA query_only = ON")
        connection.set_authorizer(_authorize)
        yield connection


@contextmanager
def explained(database: Path) -> Iterator[None]:
    """Convert SQLite's errors about a file to this package's."""
    try:
        yield
    except (sqlite3.Error, adbc_driver_manager.Error) as error:
        reason = str(error)
        if "locked" in reason or "busy" in reason:
            raise busy(database) from error
        if "interrupted" in reason:
            raise endless(database) from None
        raise CatalogError(f"{database} cannot be used as a catalog: SQLite says {reason!r}.") from error


def busy(database: Path) -> BackendError:
    """Error for a file that was locked for longer than `BUSY_TIMEOUT_S`."""
    return BackendError(
        f"{database} is held by another program, such as an import. Try again when it has ended."
    )


def _connect_read_only(database: Path) -> CatalogConnection:
    connection = _connect(database)
    try:
        connection.execute("SELECT count(*) FROM sqlite_master")
    except sqlite3.OperationalError as error:
        connection.close()
        if "readonly" not in str(error):
            raise
        # An import was killed and left its journal: only a writer can restore the old pages.
        with closing(sqlite3.connect(database, timeout=BUSY_TIMEOUT_S)) as writer:
            writer.execute("SELECT count(*) FROM sqlite_master")
        connection = _connect(database)
    return connection


def _connect(database: Path) -> CatalogConnection:
    return sqlite3.connect(read_uri(database), uri=True, timeout=BUSY_TIMEOUT_S, factory=CatalogConnection)


def check_tables(database: Path, run: Callable[..., list[tuple[Any, ...]]]) -> None:
    """Check that the file has both tables with their columns; `run` runs a statement with its values.

    Raises:
        CatalogError: tables or columns are missing; the message names all of them.
    """
    problems = []
    for table in TABLES:
        rows = run("SELECT name FROM pragma_table_info(?)", table.name)
        found = {name.casefold() for (name,) in rows}
        required = [column.name for column in table.columns if column.name not in FURTHER_COLUMNS]
        missing = [name for name in required if name.casefold() not in found]
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
    """Allow the actions needed to select rows, and deny all others."""
    if action == sqlite3.SQLITE_READ:
        allowed = first in {*(table.name for table in TABLES), FURTHER_SCORES, ATTACHMENTS}
    elif action == sqlite3.SQLITE_FUNCTION:
        allowed = (second or "").casefold() in _FUNCTIONS
    else:
        allowed = action in _ALLOWED
    return sqlite3.SQLITE_OK if allowed else sqlite3.SQLITE_DENY
