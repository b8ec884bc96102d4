"""Opens the ledger's database, and gives the two ways to use it: a writing transaction, and reading."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Connection, CursorResult, Engine
from sqlalchemy.exc import DatabaseError, IntegrityError, OperationalError, ProgrammingError

from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.ledger import postgres, sqlite

_DIALECTS: dict[str, ModuleType] = {"sqlite": sqlite, "postgresql": postgres}


class StateError(BackendError):
    """`state.db` cannot be used; the message says why and what to do."""

    code = "state_unusable"
    retryable = False


def create(place: Path | str) -> Engine:
    """An engine on a SQLite file, or on a PostgreSQL database by its URL; nothing is opened yet."""
    return sqlite.create(place) if isinstance(place, Path) else postgres.create(place)


def dialect_of(engine: Engine) -> ModuleType:
    """Module for the database in use: `sqlite` or `postgres`."""
    return _DIALECTS[engine.dialect.name]


@contextmanager
def transaction(engine: Engine) -> Iterator[Connection]:
    """One transaction with the write lock from its beginning: committed at the end, rolled back on an exception.

    Raises:
        StateError: the disk is full, another process kept the database locked, or the file is damaged; nothing was
            changed.
    """
    with as_our_error(engine, "written"), engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """A connection that only reads: it does not wait for other readers, nor make them wait.

    Raises:
        StateError: the file is damaged, or another process kept the database locked.
    """
    with as_our_error(engine, "read"), engine.connect().execution_options(reading=True) as connection:
        yield connection


@contextmanager
def as_our_error(engine: Engine, what: str) -> Iterator[None]:
    """Turn the database's own errors into `StateError`; a duplicate row is left for the caller to handle."""
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


def new_id(result: CursorResult[Any]) -> int:
    """Number that the database has given to the row just inserted."""
    key = result.inserted_primary_key
    assert key is not None  # an INSERT of one row
    return int(key[0])
