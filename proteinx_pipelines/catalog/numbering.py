"""Offsets of sources: the user's numbering relative to the template.

The catalog has template positions, counted from 1. A source stores the offset of its import: position as written minus
position in the template. `proteinx_pipelines.numbering` converts.
"""

import json
import sqlite3
from pathlib import Path
from typing import Any

from proteinx_pipelines.catalog.database import open_for_reading


def source_offsets(database: Path) -> dict[str, int]:
    """Read the offset of every source by name; 0 if the catalog has none, such as a user's own file.

    Raises:
        CatalogError: the file is not there or not a catalog.
    """
    with open_for_reading(database) as connection:
        return offsets_of(connection)


def offsets_of(connection: sqlite3.Connection) -> dict[str, int]:
    """The same through a connection that is open."""
    column = further_column(connection, "offset")
    found = connection.execute(f"SELECT source_text, {column} FROM sources")  # noqa: S608
    return {str(name): offset if isinstance(offset, int) else 0 for name, offset in found}


def source_understood(database: Path, name: str) -> dict[str, Any] | None:
    """Interpretation of a source's file by its import; None if it was not recorded."""
    with open_for_reading(database) as connection:
        return understood_in(connection, name)


def understood_in(connection: sqlite3.Connection, name: str) -> dict[str, Any] | None:
    """The same through a connection that is open."""
    column = further_column(connection, "understood")
    found = connection.execute(f"SELECT {column} FROM sources WHERE source_text = ?", (name,))  # noqa: S608
    row = found.fetchone()
    try:
        document = json.loads(row[0]) if row and row[0] else None
    except (ValueError, TypeError):  # a user's own column of this name
        return None
    return document if isinstance(document, dict) else None


def further_column(connection: sqlite3.Connection, name: str) -> str:
    """A further column of `sources` as a term of a SELECT: NULL in a catalog without it."""
    # One statement for each: before a SELECT is prepared, only columns that are there may be named.
    try:
        connection.execute(f'EXPLAIN SELECT sources."{name}" FROM sources').close()  # noqa: S608
    except sqlite3.OperationalError:
        return "NULL"
    return f'sources."{name}"'
