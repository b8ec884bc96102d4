"""Opens the Master's database: SQLite in write-ahead mode, or PostgreSQL.

Write-ahead mode lets pages read while jobs come in. SQLite before 3.51.3 may damage such a file when two connections
write and checkpoint at once: only `writer` writes here, on one connection, and a lock keeps a second Master out.
`synchronous=FULL`: an answered request survives a power loss.
"""

from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, DBAPIError

from proteinx_pipelines.errors import MissingPackage
from proteinx_pipelines.master.database.migrating import MasterStateError, migrate
from proteinx_pipelines.redaction import redact

__all__ = [
    "MasterStateError",
    "connection_of_writer",
    "end_transaction",
    "engine_of",
    "for_programs",
    "open_database",
    "take_alone",
]
_SEAT = 0x70786D62  # any number, the same in every process
READERS = 16
"""Connections that read at once."""
WRITER_CACHE_KB = 16_000
"""Pages that the writer keeps, in kB: the ends of thirty indexes, and more than the 2,000 that SQLite would keep."""
CONNECT_S = 10
"""Seconds that PostgreSQL has to take a connection, where its address says nothing else."""


def open_database(place: Path | str) -> Engine:
    """Open or create the database, and bring it to its present shape.

    Args:
        place: a SQLite file, or a PostgreSQL URL.

    Raises:
        MasterStateError: a newer program has written it.
            Or: PostgreSQL does not answer, or its address cannot be read; the message holds no part of a secret.
        MissingPackage: the PostgreSQL driver is not installed.
    """
    engine = engine_of(place)
    with engine.begin() as connection:
        migrate(connection)
    return engine


def engine_of(place: Path | str) -> Engine:
    """An engine on a database as it is; arguments and errors are those of `open_database`."""
    return _sqlite(place) if isinstance(place, Path) else _postgres(place)


def take_alone(engine: Engine) -> Connection | None:
    """Keep a second Master off a PostgreSQL database, as long as the connection that is returned stays open.

    For SQLite, None: a lock beside the file does it.

    Raises:
        MasterStateError: another Master has it.
    """
    if engine.dialect.name != "postgresql":
        return None
    connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    if connection.execute(text(f"SELECT pg_try_advisory_lock({_SEAT})")).scalar_one():
        # A machine that is cut off gives its seat up within a minute, not after the two hours of the system.
        for setting in (
            "tcp_keepalives_idle = 30",
            "tcp_keepalives_interval = 10",
            "tcp_keepalives_count = 3",
        ):
            connection.execute(text(f"SET {setting}"))
        return connection
    connection.close()
    engine.dispose()
    raise MasterStateError(
        "Another Master works on the database that PROTEINX_MASTER_DATABASE_URL names. Stop it, or name another "
        "database: two would give one job to two nodes."
    )


def connection_of_writer(engine: Engine) -> Connection | None:
    """A SQLite connection that the writer keeps: what it has read stays valid, for nobody else writes.

    None for PostgreSQL, whose connections may be cut and are looked at whenever they are taken.
    """
    if engine.dialect.name != "sqlite":
        return None
    connection = engine.connect()
    connection.exec_driver_sql(f"PRAGMA cache_size=-{WRITER_CACHE_KB}")
    connection.commit()
    return connection


def end_transaction(connection: Connection) -> None:
    """Roll back what a failed COMMIT has left open in SQLite: no other transaction could begin on that connection."""
    raw: Any = connection.connection.dbapi_connection
    if raw.in_transaction:
        raw.rollback()


def _sqlite(path: Path) -> Engine:
    path.parent.mkdir(parents=True, exist_ok=True)
    engine = create_engine(
        f"sqlite:///{path}",
        pool_size=READERS,
        max_overflow=READERS,
        pool_use_lifo=True,  # the same few connections: each keeps two megabytes of pages for itself
        connect_args={"timeout": 30, "check_same_thread": False},
        json_serializer=_json,
        json_deserializer=from_json,
    )

    def prepare(raw: Any, _record: object) -> None:
        raw.isolation_level = None  # SQLAlchemy sends BEGIN itself, below
        cursor = raw.cursor()
        cursor.execute("PRAGMA journal_mode=WAL")
        cursor.execute("PRAGMA synchronous=FULL")
        cursor.close()

    event.listen(engine, "connect", prepare)
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine


def _postgres(url: str) -> Engine:
    try:
        import psycopg  # noqa: F401  # SQLAlchemy would say it with a traceback
    except ImportError as error:
        raise MissingPackage(
            "PROTEINX_MASTER_DATABASE_URL names PostgreSQL, whose driver is not installed. "
            "Install it with: pip install 'proteinx-infra[postgres]'"
        ) from error
    address = _address(url)
    waits = {} if "connect_timeout" in address.query else {"connect_timeout": CONNECT_S}
    engine = create_engine(
        address,
        connect_args=waits,
        pool_pre_ping=True,
        pool_size=READERS,
        json_serializer=_json,
        json_deserializer=from_json,
    )
    problem = _problem_of(engine)
    if problem is not None:
        place = f"{address.host or 'this machine'}:{address.port or 5432}"
        raise MasterStateError(
            f"The database of PROTEINX_MASTER_DATABASE_URL ({place}) cannot be used: {problem}"
        )
    return engine


def for_programs(url: str) -> tuple[str, dict[str, str]]:
    """The address for PostgreSQL's own programs, and the environment that holds its password.

    Everybody on a machine can read the arguments of a process.

    Raises:
        MasterStateError: the address cannot be read.
    """
    address = _address(url)
    query = {name: value for name, value in address.query.items() if name != "password"}
    secret = address.password or address.query.get("password")
    plain = URL.create(
        "postgresql", address.username, None, address.host, address.port, address.database, query
    )
    return plain.render_as_string(hide_password=False), {"PGPASSWORD": str(secret)} if secret else {}


def _address(url: str) -> URL:
    address = _read(url)
    if address is None or "@" in (address.host or ""):
        raise MasterStateError(
            "PROTEINX_MASTER_DATABASE_URL is no PostgreSQL address; postgresql://user:password@host:port/name is "
            "expected, with `@ : / # ? %` inside a user or password percent-encoded."
        )
    return address


def _read(url: str) -> URL | None:
    """The address as SQLAlchemy reads it; None where it cannot. Its own words hold a part of the address."""
    scheme, _, rest = url.partition("://")
    if scheme.split("+")[0] not in ("postgresql", "postgres"):
        return None
    try:
        return make_url(f"postgresql+psycopg://{rest}")
    except (ArgumentError, ValueError):
        return None


def _problem_of(engine: Engine) -> str | None:
    """Why no connection can be made, without secrets; None when one can."""
    try:
        with engine.begin() as connection:
            connection.execute(text("SELECT 1"))
    except DBAPIError as error:
        return redact(str(error.orig).strip())
    return None


def _json(value: Any) -> str:
    """JSON as both databases take it: NaN, which is none, is null."""
    return to_json(value, inf_nan_mode="null").decode("utf-8")
