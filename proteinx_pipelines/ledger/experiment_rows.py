"""All rows of one experiment in `state.db`: reads them, restores them, removes them.

For archives, and for the removal of an experiment. Nothing here changes the content of a row.
"""

import base64
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Column, Connection, Table, delete, func, insert, select

from proteinx_pipelines.ledger.archived import row_problems
from proteinx_pipelines.ledger.engine import dialect_of, new_id
from proteinx_pipelines.ledger.queries import whole
from proteinx_pipelines.ledger.tables import HERE, attempts, executions, inbox, lives, outbox, transitions

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Table -> rows, as JSON types."""

_NUMBERED = {"generations": "sequence", "transitions": "id", "attempts": "id", "outbox": "sequence"}
"""Columns that number rows in one database and have no meaning in another."""
_TABLES: Mapping[str, Table] = {table.name: table for table in (transitions, attempts, inbox, outbox)}
_COLUMNS: Mapping[str, Sequence[Column[Any]]] = {
    "generations": [*lives.columns, *(executions.c[name] for name in HERE)],
    **{name: list(table.columns) for name, table in _TABLES.items()},
}


def rows_of(connection: Connection, experiment_id: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of an experiment: generations, transitions, attempts, messages and results."""
    found = {}
    queries = {"generations": whole().where(_is_of(lives, experiment_id))}
    queries |= {name: select(table).where(_is_of(table, experiment_id)) for name, table in _TABLES.items()}
    for name, query in queries.items():
        found[name] = [_as_json(name, row._asdict()) for row in connection.execute(query)]
    return found


def problems_of_rows(experiment_id: str, rows: Any) -> list[str]:
    """Reasons why archived rows cannot be restored, the first twenty."""
    return list(islice(row_problems(_COLUMNS, experiment_id, rows), 20))


def put_back(connection: Connection, experiment_id: str, rows: Rows) -> int:
    """Insert the rows of an experiment that has none. Part of the caller's transaction.

    Results count as delivered: they were sent by the node that computed them.

    Args:
        connection: of the transaction.
        experiment_id: of the experiment.
        rows: rows in which `problems_of_rows` finds no problem.

    Returns:
        How many rows were inserted; 0 when the experiment has a history here.
    """
    count = select(func.count()).select_from(lives).where(_is_of(lives, experiment_id))
    if connection.execute(count).scalar_one():
        return 0
    for row in rows.get("generations", ()):
        _put_back_generation(connection, row)
    inserted = len(rows.get("generations", ()))
    insert_new = dialect_of(connection.engine).insert_new
    for name, table in _TABLES.items():
        for row in rows.get(name, ()):
            values = {column: _from_json(value) for column, value in row.items() if column in table.c}
            if name == "outbox":
                wanted = values.get("wanted", 1)
                values["delivered"], values["delivered_at"] = wanted, None  # not to this node's Redis
            inserted += connection.execute(insert_new(table).values(values)).rowcount
    return inserted


def forget(connection: Connection, experiment_id: str) -> int:
    """Remove every row of an experiment, except results that are still owed. Part of the caller's transaction.

    Returns:
        Number of rows removed.
    """
    removed = connection.execute(delete(lives).where(_is_of(lives, experiment_id))).rowcount
    for name, table in _TABLES.items():
        statement = delete(table).where(_is_of(table, experiment_id))
        if name == "outbox":
            statement = statement.where(outbox.c.delivered >= outbox.c.wanted)
        removed += connection.execute(statement).rowcount
    return removed


def _put_back_generation(connection: Connection, row: Mapping[str, Any]) -> None:
    values = {name: _from_json(value) for name, value in row.items()}
    anywhere = {name: value for name, value in values.items() if name in lives.c}
    life = new_id(connection.execute(insert(lives).values(anywhere)))
    here = {name: value for name, value in values.items() if name in HERE}
    connection.execute(insert(executions).values(life=life, **here))


def _is_of(table: Table, experiment_id: str) -> Any:
    return func.lower(table.c.experiment_id) == experiment_id.lower()


def _as_json(table: str, row: dict[str, Any]) -> dict[str, Any]:
    row.pop(_NUMBERED.get(table, ""), None)
    return {
        name: {"base64": base64.b64encode(value).decode()} if isinstance(value, bytes) else value
        for name, value in row.items()
    }


def _from_json(value: Any) -> Any:
    return base64.b64decode(value["base64"]) if isinstance(value, dict) else value
