"""Opening `state.db`: durable, one writer at a time, migrated.

Rollback journal rather than WAL: SQLite before 3.51.3 (3.44.6, 3.50.7) can corrupt a WAL database that two
connections write and checkpoint, and Debian 12 ships 3.40. `synchronous=FULL`: a commit survives a power loss.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError, ProgrammingError

from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.state.attempts import record_earlier
from proteinx_pipelines.state.tables import SCHEMA_VERSION, metadata

_KEEPS_ATTEMPTS = 5
"""First schema version with a record of every attempt."""
BUSY_TIMEOUT_MS = 30_000
"""How long a writer waits for another one before it gives up, in milliseconds."""


class StateError(BackendError):
    """`state.db` cannot be used; the message says why and what to do."""

    code = "state_unusable"
    retryable = False


def open_engine(path: Path) -> Engine:
    """Open or create the state database.

    Raises:
        StateError: the file was written by a newer version, is damaged, or is no database.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_TIMEOUT_MS / 1000})
    event.listen(engine, "connect", _prepare_connection)
    event.listen(engine, "begin", _begin)
    migrate(engine, path)
    return engine


def migrate(engine: Engine, path: Path) -> None:
    """Bring the tables of `path` up to `SCHEMA_VERSION`; each step is one transaction.

    Raises:
        StateError: as `open_engine` says.
    """
    with _as_our_error(engine, "opened"), engine.connect() as connection:
        version = int(connection.execute(text("PRAGMA user_version")).scalar_one())
        if version > SCHEMA_VERSION:
            raise StateError(
                f"{path} has schema version {version}; this program knows up to {SCHEMA_VERSION}. "
                "Install the newer proteinx-infra, or move the file away to start an empty history."
            )
        if version == SCHEMA_VERSION:
            return
        metadata.create_all(connection)
        for table in metadata.sorted_tables:  # `create_all` adds nothing to a table that is there
            known = {row.name for row in connection.execute(text(f"PRAGMA table_info({table.name})"))}
            for column in table.columns:
                if column.name not in known:
                    kind = column.type.compile(engine.dialect)
                    connection.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {column.name} {kind}"))
            for index in table.indexes:
                index.create(connection, checkfirst=True)
        if version < _KEEPS_ATTEMPTS:
            record_earlier(connection)
        connection.execute(text(f"PRAGMA user_version = {SCHEMA_VERSION:d}"))
        connection.commit()


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One immediate transaction: committed at the end, rolled back on an exception.

    Raises:
        StateError: the disk is full, another process kept the database locked, or the file is damaged; nothing was
            changed.
    """
    with _as_our_error(engine, "written"), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that only reads: it does not wait for other readers, nor make them wait.

    Raises:
        StateError: the file is damaged, or another process kept the database locked.
    """
    with _as_our_error(engine, "read"), engine.connect().execution_options(reading=True) as connection:
        yield connection


@contextmanager
def _as_our_error(engine: Engine, what: str) -> Iterator[None]:
    """Turn SQLite's own errors into `StateError`; a row that exists already is the caller's to know."""
    try:
        yield
    except (IntegrityError, ProgrammingError):
        raise
    except OperationalError as error:
        raise StateError(
            f"{engine.url.database} cannot be {what}: {error.orig}. Make room on the disk, or end the program "
            "that keeps the file locked; the node goes on by itself then."
        ) from error
    except DatabaseError as error:
        raise StateError(
            f"{engine.url.database} cannot be {what}: {error.orig}. Stop the node and put back a copy of the file, "
            "or move it away to start an empty history."
        ) from error


def _begin(connection: Connection) -> None:
    # Taking the write lock at once avoids the deadlock of two readers that both want to become writers.
    deferred = connection.get_execution_options().get("reading", False)
    connection.exec_driver_sql("BEGIN" if deferred else "BEGIN IMMEDIATE")


def _prepare_connection(raw: object, _record: object) -> None:
    raw.isolation_level = None  # type: ignore[attr-defined]  # SQLAlchemy sends BEGIN IMMEDIATE itself, above
    cursor = raw.cursor()  # type: ignore[attr-defined]
    cursor.execute("PRAGMA journal_mode=DELETE")
    cursor.execute("PRAGMA synchronous=FULL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()
