"""SQLite-specific parts of the ledger: opening a file, its version, its inserts.

Rollback journal rather than WAL: SQLite before 3.51.3 (3.44.6, 3.50.7) can corrupt a WAL database that two
connections write and checkpoint, and Debian 12 ships 3.40. `synchronous=FULL`: a commit survives a power loss.
"""

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, text
from sqlalchemy.dialects import sqlite

NOCASE = "NOCASE"
"""Collation that takes `A` and `a` for equal."""
BUSY_TIMEOUT_MS = 30_000
"""Milliseconds that a writer waits for another one before it gives up."""


def create(path: Path) -> Engine:
    """An engine on a file, which is created where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    return engine


def prepare(_connection: Connection) -> None:
    """Do nothing: the tables need nothing before them."""


def version(connection: Connection) -> int:
    """Version of the tables' shape; 0 in a new file."""
    return int(connection.execute(text("PRAGMA user_version")).scalar_one())


def set_version(connection: Connection, number: int) -> None:
    """Write the version of the tables' shape."""
    connection.execute(text(f"PRAGMA user_version = {number:d}"))


def insert_new(table: Table) -> Any:
    """An INSERT that does nothing where the row exists already."""
    return sqlite.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def continue_numbers(connection: Connection, old: str, new: str) -> None:
    """Continue the row numbers of another table, even where its last rows were removed."""
    last = connection.execute(
        text("SELECT seq FROM sqlite_sequence WHERE name = :name"), {"name": old}
    ).scalar()
    if last is not None:
        connection.execute(text("DELETE FROM sqlite_sequence WHERE name = :name"), {"name": new})
        values = {"name": new, "last": last}
        connection.execute(text("INSERT INTO sqlite_sequence (name, seq) VALUES (:name, :last)"), values)


def _begin(connection: Connection) -> None:
    # Taking the write lock at once avoids the deadlock of two readers that both want to become writers.
    deferred = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")


def _prepare_connection(raw: Any, _record: object) -> None:
    raw.isolation_level = None  # SQLAlchemy sends BEGIN IMMEDIATE itself, above
    cursor = raw.cursor()
    cursor.execute("PRAGMA journal_mode=DELETE")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
