"""PostgreSQL-specific parts of the ledger: opening a database, its version, its inserts.

One writer at a time, as in SQLite: a transaction that writes holds an advisory lock until it ends, so that rows read
in it are unchanged when it commits.
"""

from typing import Any

from sqlalchemy import Connection, Engine, Table, create_engine, event, text

from proteinx_pipelines.errors import BackendError

NOCASE = "proteinx_nocase"
"""Collation that takes `A` and `a` for equal; made by `prepare`."""
_LOCK = 0x70726F74  # any number, the same in every process


def create(url: str) -> Engine:
    """An engine on a database, `postgresql://user:password@host/name`.

    Raises:
        BackendError: the driver is not installed.
    """
    try:
        import psycopg  # noqa: F401  # SQLAlchemy would say it with a traceback
    except ImportError as error:
        raise BackendError(
            "A ledger in PostgreSQL needs the package psycopg: pip install 'proteinx-infra[postgres]'."
        ) from error
    scheme, _, rest = url.partition("://")
    engine = create_engine(f"{scheme.split('+')[0]}+psycopg://{rest}", pool_pre_ping=True)
    event.listen(engine, "begin", _begin)
    return engine


def prepare(connection: Connection) -> None:
    """Create the collation and the version table that the tables need."""
    connection.execute(
        text(
            f"CREATE COLLATION IF NOT EXISTS {NOCASE} "
            "(provider = icu, locale = 'und-u-ks-level2', deterministic = false)"
        )
    )


def version(connection: Connection) -> int:
    """Version of the tables' shape; 0 in a new database."""
    connection.execute(text("CREATE TABLE IF NOT EXISTS ledger_version (number INTEGER NOT NULL)"))
    return int(connection.execute(text("SELECT number FROM ledger_version")).scalar() or 0)


def set_version(connection: Connection, number: int) -> None:
    """Write the version of the tables' shape."""
    connection.execute(text("DELETE FROM ledger_version"))
    connection.execute(text("INSERT INTO ledger_version VALUES (:number)"), {"number": number})


def insert_new(table: Table) -> Any:
    """An INSERT that does nothing where the row exists already."""
    from sqlalchemy.dialects import postgresql  # deferred: only a history in PostgreSQL needs it

    return postgresql.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)


def continue_numbers(_connection: Connection, _old: str, _new: str) -> None:
    """Do nothing: no table of an earlier version has been in PostgreSQL."""


def _begin(connection: Connection) -> None:
    if not connection.get_execution_options().get("reading", False):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_LOCK})")
