"""Brings the Master's database to its present shape, in one transaction, and refuses one of a newer program.

A new database gets the tables as they are. An older one is migrated by Alembic, which is imported only then; one from
before there were revisions begins at the first.
"""

from pathlib import Path

from sqlalchemy import Column, Connection, MetaData, Table, Text, delete, insert, inspect, select, text

from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import REVISION, SCHEMA

_versions = Table("alembic_version", MetaData(), Column("version_num", Text, primary_key=True))
_LOCK = 0x70786D61  # any number, the same in every process
_FOLDER = Path(__file__).with_name("migrations")


class MasterStateError(BackendError):
    """The Master's database cannot be used; the message says why and what to do."""

    code = "master_state_unusable"


def revision_of(connection: Connection) -> str | None:
    """Revision of a database; None for a new one, and for one from before there were revisions."""
    if not inspect(connection).has_table(_versions.name):
        return None
    return connection.execute(select(_versions.c.version_num)).scalar()


def migrate(connection: Connection) -> str | None:
    """Bring the database to the present revision; returns the one that it had, None for a new database.

    Args:
        connection: within a transaction, which the caller commits.

    Raises:
        MasterStateError: a newer program has written it.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"SELECT pg_advisory_xact_lock({_LOCK})"))
    found = revision_of(connection)
    if found == REVISION:
        return found
    if found is None and not inspect(connection).has_table(jobs.name):
        SCHEMA.create_all(connection)
        _stamp(connection, REVISION)
        return None
    _upgrade(connection, found)
    return found or "0000"


def _upgrade(connection: Connection, found: str | None) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_FOLDER).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = [script.revision for script in ScriptDirectory.from_config(config).walk_revisions()]
    if found is not None and found not in known:
        raise MasterStateError(
            f"The Master's database has the revision {found}, written by a newer program; this one knows up to "
            f"{REVISION}. Install the newer proteinx-infra, or name another folder in PROTEINX_MASTER_DIR (another "
            "database in PROTEINX_MASTER_DATABASE_URL)."
        )
    command.upgrade(config, "head")


def _stamp(connection: Connection, revision: str) -> None:
    _versions.create(connection, checkfirst=True)
    connection.execute(delete(_versions))
    connection.execute(insert(_versions).values(version_num=revision))
