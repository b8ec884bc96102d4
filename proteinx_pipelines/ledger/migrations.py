"""Migrates an older database to the present shape, in one transaction.

before 5   no record of every attempt
before 8   both halves of a generation were one table, `generations`; it is a view now
"""

from pathlib import Path

from sqlalchemy import Connection, Engine, column, insert, inspect, select, table, text

from proteinx_pipelines.ledger.attempts import record_earlier
from proteinx_pipelines.ledger.engine import StateError, as_our_error, create, dialect_of
from proteinx_pipelines.ledger.tables import HERE, SCHEMA_VERSION, executed_lives, executions, lives, metadata

_KEEPS_ATTEMPTS = 5
"""First version with a record of every attempt."""
_WHOLE = "generations"
_OLD = "generations_before"


def open_engine(place: Path | str) -> Engine:
    """Open or create the ledger's database, in its present shape.

    Args:
        place: a SQLite file, or the URL of a PostgreSQL database.

    Raises:
        StateError: the file was written by a newer version, is damaged, or is no database.
    """
    engine = create(place)
    migrate(engine)
    return engine


def migrate(engine: Engine) -> None:
    """Bring the tables up to `SCHEMA_VERSION`, all or nothing.

    Raises:
        StateError: as `open_engine` says.
    """
    dialect = dialect_of(engine)
    with as_our_error(engine, "opened"), engine.connect() as connection:
        version = dialect.version(connection)
        if version > SCHEMA_VERSION:
            raise StateError(
                f"{engine.url.database} has schema version {version}; this program knows up to {SCHEMA_VERSION}. "
                "Install the newer proteinx-infra, or move the file away to start an empty history."
            )
        if version == SCHEMA_VERSION:
            return
        dialect.prepare(connection)
        is_whole = _WHOLE in inspect(connection).get_table_names()
        if is_whole:
            connection.execute(text(f"ALTER TABLE {_WHOLE} RENAME TO {_OLD}"))
        metadata.create_all(connection)
        _add_missing(connection)
        if is_whole:
            _split(connection)
            dialect.continue_numbers(connection, _OLD, lives.name)
            connection.execute(text(f"DROP TABLE {_OLD}"))
        if version < _KEEPS_ATTEMPTS:
            record_earlier(connection)
        _show_whole(connection)
        dialect.set_version(connection, SCHEMA_VERSION)
        connection.commit()


def _add_missing(connection: Connection) -> None:
    """Add missing columns: `create_all` adds nothing to an existing table."""
    present = inspect(connection)
    for each in metadata.sorted_tables:
        known = {found["name"] for found in present.get_columns(each.name)}
        for missing in (found for found in each.columns if found.name not in known):
            kind = missing.type.compile(connection.dialect)
            connection.execute(text(f"ALTER TABLE {each.name} ADD COLUMN {missing.name} {kind}"))
        for index in each.indexes:
            index.create(connection, checkfirst=True)


def _split(connection: Connection) -> None:
    """Copy both halves of every generation; columns that the older version did not have are empty."""
    known = [found["name"] for found in inspect(connection).get_columns(_OLD)]
    old = table(_OLD, *(column(name) for name in known))
    anywhere = [name for name in known if name in lives.c]
    connection.execute(insert(lives).from_select(anywhere, select(*(old.c[name] for name in anywhere))))
    here = [name for name in HERE if name in known]
    rows = select(old.c.sequence, *(old.c[name] for name in here))
    connection.execute(insert(executions).from_select(["life", *here], rows))


def _show_whole(connection: Connection) -> None:
    """Create the view that shows both halves as one row, for people and their queries."""
    whole = select(*lives.c, *(executions.c[name] for name in HERE)).select_from(executed_lives)
    query = whole.compile(connection.engine, compile_kwargs={"literal_binds": True})
    connection.execute(text(f"DROP VIEW IF EXISTS {_WHOLE}"))
    connection.execute(text(f"CREATE VIEW {_WHOLE} AS {query}"))
