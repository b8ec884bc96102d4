"""One verb on many jobs: ids, or a filter. What fails for one job is told, and the others go on."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from proteinx_pipelines.errors import ProteinxError
from proteinx_pipelines.master.jobs import trash, verbs
from proteinx_pipelines.master.jobs.listing import BadQuery, JobFilter, ids_of

Value = str | int | float | bool
Verb = Literal["cancel", "hold", "release", "priority", "move", "retry", "clone", "delete", "restore"]


class Action(BaseModel):
    """A verb, and the jobs it is for."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={
            "examples": [
                {"action": "cancel", "ids": ["j-3fa9c1d27b40e6a8"]},
                {"action": "priority", "filter": {"state": "WAITING", "source": "GB1"}, "priority": 10},
            ]
        },
    )

    action: Verb
    """What to do."""
    ids: list[str] | None = Field(default=None, max_length=100_000)
    """The jobs; or"""
    filter: dict[str, Value | list[Value]] | None = None
    """the filter that finds them, with the names that `GET /api/jobs` takes; `state` may have a list."""
    priority: int | None = Field(default=None, ge=-100, le=100)
    """For `priority`."""
    before: str | None = None
    """For `move`: the job they are to go before, in their order; or"""
    after: str | None = None
    """the job they are to go behind."""
    flags: dict[str, Any] | None = None
    """For `clone`: changed flags."""


@dataclass
class Outcome:
    """What a verb did to each job."""

    done: list[str] = field(default_factory=list)
    """Jobs it was done to."""
    created: list[str] = field(default_factory=list)
    """New jobs, of `retry` and `clone`."""
    refused: list[dict[str, str]] = field(default_factory=list)
    """`job_id`, `code` and `detail` of the others."""

    def document(self) -> dict[str, Any]:
        """The outcome as plain JSON types."""
        return {"done": self.done, "created": self.created, "refused": self.refused}


def act(connection: Connection, action: Action, *, caller: str) -> Outcome:
    """Do a verb to many jobs.

    Raises:
        BadQuery: neither ids nor a filter are given, or both; or what the verb needs is missing.
    """
    if (action.ids is None) == (action.filter is None):
        raise BadQuery("Give either `ids` or `filter`.")
    if action.action == "priority" and action.priority is None:
        raise BadQuery("`priority` needs a `priority` from -100 to 100.")
    if action.action == "move" and (action.before is None) == (action.after is None):
        raise BadQuery("`move` needs either `before` or `after`: the id of another job.")
    ids = list(dict.fromkeys(action.ids or ()))
    if action.filter is not None:
        ids = ids_of(connection, JobFilter.of_query(_pairs(action.filter)))
    outcome = Outcome()
    for job_id in _in_order(ids, action):
        try:
            with connection.begin_nested():
                made = _do(connection, job_id, action, caller)
        except ProteinxError as error:
            outcome.refused.append({"job_id": job_id, "code": error.code, "detail": str(error)})
        else:
            outcome.done.append(job_id)
            outcome.created += [made] if made is not None else []
    return outcome


def _pairs(given: Mapping[str, Value | list[Value]]) -> Iterator[tuple[str, str]]:
    """A filter in JSON as the pairs of an address; one without a value would find every job."""
    for name, found in given.items():
        values = found if isinstance(found, list) else [found]
        if not values or "" in values:
            raise BadQuery(f"`filter` has {name[:100]!r} without a value. Leave it out to find every job.")
        for value in values:
            yield name, value if isinstance(value, str) else json.dumps(value)


def _in_order(ids: Sequence[str], action: Action) -> Sequence[str]:
    """Jobs that move behind another one go there last first, so that their order stays."""
    return list(reversed(ids)) if action.action == "move" and action.after is not None else ids


def _do(connection: Connection, job_id: str, action: Action, caller: str) -> str | None:
    simple: dict[str, Callable[[], None]] = {
        "cancel": lambda: verbs.cancel(connection, job_id, caller=caller),
        "hold": lambda: verbs.hold(connection, job_id, caller=caller),
        "release": lambda: verbs.release(connection, job_id),
        "priority": lambda: verbs.set_priority(connection, job_id, action.priority or 0),
        "move": lambda: verbs.move(connection, job_id, before=action.before, after=action.after),
        "delete": lambda: trash.put(connection, job_id, caller=caller),
        "restore": lambda: trash.restore(connection, job_id),
    }
    if action.action in simple:
        simple[action.action]()
        return None
    if action.action == "retry":
        return verbs.retry(connection, job_id, caller=caller)
    return verbs.clone(connection, job_id, caller=caller, flags=action.flags)
