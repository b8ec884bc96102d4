"""Rows as plain dictionaries, by column."""

from typing import Any

from sqlalchemy import Connection
from sqlalchemy.sql import Select

Row = dict[str, Any]


def rows(connection: Connection, query: Select[Any]) -> list[Row]:
    """Every row of a query."""
    return [{str(name): value for name, value in row.items()} for row in connection.execute(query).mappings()]


def first(connection: Connection, query: Select[Any]) -> Row | None:
    """The first row of a query; None where there is none."""
    row = connection.execute(query.limit(1)).mappings().first()
    return None if row is None else {str(name): value for name, value in row.items()}
