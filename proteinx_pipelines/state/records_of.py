"""All rows of one experiment in `state.db`: taking them out, putting them back, removing them.

For archives and for removing an experiment; nothing here changes what a row says.
"""

import base64
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from sqlalchemy import Connection, Table, delete, func, insert, select

from proteinx_pipelines.state.archived import row_problems
from proteinx_pipelines.state.engine import reading
from proteinx_pipelines.state.questions import StateQuestions
from proteinx_pipelines.state.tables import attempts, generations, inbox, outbox, transitions

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
"""Table -> rows, as JSON types."""

_NUMBERED = {"generations": "sequence", "transitions": "id", "attempts": "id", "outbox": "sequence"}
"""Columns that number rows in one database and mean nothing in another."""
_TABLES: Mapping[str, Table] = {
    table.name: table for table in (generations, transitions, attempts, inbox, outbox)
}


def rows_of(state: StateQuestions, experiment_id: str) -> dict[str, list[dict[str, Any]]]:
    """Every row of an experiment: generations, transitions, attempts, messages and results."""
    found = {}
    with reading(state.engine) as connection:
        for name, table in _TABLES.items():
            rows = connection.execute(select(table).where(_is_of(table, experiment_id)))
            found[name] = [_as_json(name, row._asdict()) for row in rows]
    return found


def problems_of_rows(experiment_id: str, rows: Any) -> list[str]:
    """What keeps archived rows from being put back, the first twenty."""
    return list(islice(row_problems(_TABLES, experiment_id, rows), 20))


def put_back(connection: Connection, experiment_id: str, rows: Rows) -> int:
    """Insert the rows of an experiment that has none. Part of the caller's transaction.

    Results count as delivered: they were sent by the node that computed them.

    Args:
        connection: of the transaction.
        experiment_id: of the experiment.
        rows: those in which `problems_of_rows` finds nothing.

    Returns:
        How many rows were inserted; 0 when the experiment has a history here.
    """
    count = select(func.count()).select_from(generations).where(_is_of(generations, experiment_id))
    if connection.execute(count).scalar_one():
        return 0
    inserted = 0
    for name, table in _TABLES.items():
        for row in rows.get(name, ()):
            values = {column: _from_json(value) for column, value in row.items() if column in table.c}
            if name == "outbox":
                wanted = values.get("wanted", 1)
                values["delivered"], values["delivered_at"] = wanted, None  # not to this node's Redis
            inserted += connection.execute(insert(table).prefix_with("OR IGNORE").values(values)).rowcount
    return inserted


def forget(connection: Connection, experiment_id: str) -> int:
    """Remove every row of an experiment, but results that are still owed. Part of the caller's transaction.

    Returns:
        How many rows are gone.
    """
    removed = 0
    for name, table in _TABLES.items():
        statement = delete(table).where(_is_of(table, experiment_id))
        if name == "outbox":
            statement = statement.where(outbox.c.delivered >= outbox.c.wanted)
        removed += connection.execute(statement).rowcount
    return removed


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
