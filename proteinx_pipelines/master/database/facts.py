"""Single values: whether the queue is paused."""

from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select

from proteinx_pipelines.master.database.tables import facts

_PAUSED = "queue.paused"
_VALUE = select(facts.c.value).where(facts.c.name == bindparam("wanted"))


def fact(connection: Connection, name: str) -> Any:
    """A value; None where it was never set."""
    return connection.execute(_VALUE, {"wanted": name}).scalar()


def set_fact(connection: Connection, name: str, value: Any) -> None:
    """Set a value."""
    connection.execute(delete(facts).where(facts.c.name == name))
    connection.execute(insert(facts).values(name=name, value=value))


def is_paused(connection: Connection) -> bool:
    """True if no job may go to a node."""
    return bool(fact(connection, _PAUSED))


def set_paused(connection: Connection, *, paused: bool) -> None:
    """Pause or resume the queue."""
    set_fact(connection, _PAUSED, paused)
