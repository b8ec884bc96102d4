"""Names of models, such as `champion`. One name is one model's; a model may have several."""

import re
from collections.abc import Iterable

from sqlalchemy import Connection, delete, insert, select

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import InputError
from proteinx_pipelines.master import events
from proteinx_pipelines.master.database.tables import aliases

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9._-]{0,62}")


class BadAlias(InputError):
    """A text cannot name a model."""

    code = "bad_alias"


def set_alias(connection: Connection, name: str, model_id: str) -> None:
    """Give a model a name; whoever had it loses it.

    Raises:
        BadAlias: the name cannot be typed, or looks like a job's id.
    """
    if not _NAME.fullmatch(name) or re.fullmatch(r"j-[0-9a-f]+", name):
        raise BadAlias(
            f"{name[:100]!r} cannot name a model: a letter, then up to 62 letters, digits, `.`, `_` or `-` are "
            "expected, and not a job's id."
        )
    connection.execute(delete(aliases).where(aliases.c.name == name))
    connection.execute(insert(aliases).values(name=name, model_id=model_id, set_at=timestamp()))
    events.record(connection, "model.alias", {"name": name, "model_id": model_id}, job_id=model_id)


def drop_alias(connection: Connection, name: str, model_id: str) -> bool:
    """Take a name away from a model; false if it has not got it."""
    statement = delete(aliases).where(aliases.c.name == name, aliases.c.model_id == model_id)
    is_gone = connection.execute(statement).rowcount > 0
    if is_gone:
        events.record(connection, "model.alias", {"name": name, "model_id": None}, job_id=model_id)
    return is_gone


def aliases_of(connection: Connection, model_ids: Iterable[str]) -> dict[str, list[str]]:
    """Model -> its names, sorted."""
    query = select(aliases).where(aliases.c.model_id.in_(list(model_ids))).order_by(aliases.c.name)
    found: dict[str, list[str]] = {}
    for row in connection.execute(query):
        found.setdefault(row.model_id, []).append(row.name)
    return found


def model_named(connection: Connection, name: str) -> str | None:
    """The model that has a name; None if none has it."""
    return connection.execute(select(aliases.c.model_id).where(aliases.c.name == name)).scalar()
