"""Pages of jobs: filters, order, and the whole number.

state=RUNNING,WAITING  q=gb1  source=  model=  group=  node=  kind=  experiment_id=  since=  until=
flag.split.folds=5     metric.test/spearman.min=0.5           sort=-created_at
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isfinite
from typing import Any

from sqlalchemy import ColumnElement, Connection, select

from proteinx_pipelines.clock import now_utc
from proteinx_pipelines.errors import InputError
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import groups
from proteinx_pipelines.master.jobs.flag_rows import has_flag
from proteinx_pipelines.master.jobs.metric_rows import within
from proteinx_pipelines.master.jobs.ordering import MOST, SORTABLE, BadQuery, count, numbers_of, rows_of
from proteinx_pipelines.master.jobs.source_lists import has_source
from proteinx_pipelines.master.jobs.standing import Line
from proteinx_pipelines.master.jobs.states import ALL
from proteinx_pipelines.master.jobs.text_search import has_text
from proteinx_pipelines.services.usage import since_of

__all__ = ["SORTABLE", "BadQuery", "JobFilter", "JobPage", "ids_of", "list_jobs"]
LARGEST_PAGE = 1000
_EQUAL = {
    "model": jobs.c.model, "unit": jobs.c.unit_id, "node": jobs.c.node,
    "kind": jobs.c.kind, "experiment_id": jobs.c.experiment_id, "created_by": jobs.c.created_by,
}  # fmt: skip


@dataclass(frozen=True)
class JobFilter:
    """Which jobs; everything given has to hold."""

    states: tuple[str, ...] = ()
    """Any of these; empty: every state."""
    source: str | None = None
    """A source of the job, alone or among others."""
    q: str | None = None
    """Text within id, experiment, source, model, node or group."""
    equal: Mapping[str, str] = field(default_factory=dict)
    """`model`, `unit`, `node`, `kind`, `experiment_id`, `created_by` -> value."""
    group: str | None = None
    """Id or name of the group that they are in."""
    since: str | None = None
    """Created at or after this time, as rows have it."""
    until: str | None = None
    """Created before this time, as rows have it."""
    flags: Mapping[str, str] = field(default_factory=dict)
    """Dotted flag -> value, as text."""
    metrics: Mapping[tuple[str, str], float] = field(default_factory=dict)
    """(metric, `min` or `max`) -> bound."""

    @classmethod
    def of_query(cls, given: Iterable[tuple[str, str]]) -> "JobFilter":
        """Read the parameters of a query, in which `state` may stand several times.

        Raises:
            BadQuery: another parameter is there twice; or as `parse` does.
        """
        once: dict[str, str] = {}
        for name, value in given:
            if name == "state" and name in once:
                value = f"{once[name]},{value}"
            elif once.get(name, value) != value:
                raise BadQuery(
                    f"`{name[:100]}` is given twice, as {once[name][:50]!r} and as {value[:50]!r}; one is expected."
                )
            once[name] = value
        return cls.parse(once)

    @classmethod
    def parse(cls, given: Mapping[str, str]) -> "JobFilter":
        """Read the parameters of a query; those of paging and order are ignored.

        Raises:
            BadQuery: a state, a bound or a parameter is not known.
        """
        rest = {name: value for name, value in given.items() if value != ""}
        for name in ("page", "size", "sort", "lang", "columns", "view"):
            rest.pop(name, None)
        states = tuple(filter(None, rest.pop("state", "").upper().replace(" ", "").split(",")))
        unknown = [state for state in states if state not in ALL]
        if unknown:
            raise BadQuery(f"`state` has {', '.join(unknown)[:200]}; the states are {', '.join(ALL)}.")
        flags, metrics, equal = {}, {}, {}
        q, group, source = (rest.pop(name, None) for name in ("q", "group", "source"))
        since, until = (_time(name, rest.pop(name, None)) for name in ("since", "until"))
        for name, value in rest.items():
            if name.startswith("flag."):
                flags[name.removeprefix("flag.")] = value
            elif name.startswith("metric.") and name.rsplit(".", 1)[-1] in ("min", "max"):
                metrics[_metric(name)] = _number(name, value)
            elif name in _EQUAL:
                equal[name] = value
            else:
                raise BadQuery(
                    f"`{name[:100]}` is not a filter; the filters are state, q, since, until, group, source, "
                    f"{', '.join(_EQUAL)}, flag.<name>, metric.<name>.min and metric.<name>.max."
                )
        return cls(states, source, q, equal, group, since, until, flags, metrics)

    def conditions(self, connection: Connection) -> list[ColumnElement[bool]]:
        """The filter as conditions on `jobs`; none: every job.

        Args:
            connection: to read with, in the database that is filtered.
        """
        parts: list[ColumnElement[bool]] = []
        if self.states:
            parts.append(jobs.c.state.in_(self.states))
        if self.q:
            parts.append(has_text(self.q, connection.dialect.name))
        if self.group is not None:
            is_named = (groups.c.group_id == self.group) | (groups.c.name == self.group)
            parts.append(jobs.c.group_id.in_(select(groups.c.group_id).where(is_named)))
        if self.source is not None:
            parts.append(has_source(connection, self.source))
        parts += [_EQUAL[name] == value for name, value in self.equal.items()]
        if self.since:
            parts.append(jobs.c.created_at >= self.since)
        if self.until:
            parts.append(jobs.c.created_at < self.until)
        parts += [has_flag(name, value) for name, value in self.flags.items()]
        for name in dict.fromkeys(name for name, _side in self.metrics):
            parts.append(within(name, self.metrics.get((name, "min")), self.metrics.get((name, "max"))))
        return parts


@dataclass(frozen=True)
class JobPage:
    """One page of jobs."""

    items: Sequence[dict[str, Any]]
    total: int
    page: int
    size: int

    def document(self) -> dict[str, Any]:
        """The page as plain JSON types."""
        return {"items": list(self.items), "total": self.total, "page": self.page, "size": self.size}


def list_jobs(
    connection: Connection, wanted: JobFilter, *, sort: str = "-created_at", page: int = 1, size: int = 50
) -> JobPage:
    """A page of jobs.

    Args:
        connection: to read with.
        wanted: which jobs.
        sort: a name of `SORTABLE` or `metric.<name>`, `-` in front for descending.
        page: from 1.
        size: jobs on a page, at most `LARGEST_PAGE`.

    Raises:
        BadQuery: the order or the page cannot be used.
    """
    if not 1 <= size <= LARGEST_PAGE or page < 1:
        raise BadQuery(
            f"`page` counts from 1 and `size` is from 1 to {LARGEST_PAGE}; found {page} and {size}."
        )
    conditions, offset = wanted.conditions(connection), (page - 1) * size
    if wanted.q and len(conditions) > 1:  # every job is looked at: once, not for their number too
        found = numbers_of(connection, conditions, sort, 0, MOST)
        total, numbers = len(found), found[offset : offset + size]
    else:
        total = count(connection, conditions)
        numbers = numbers_of(connection, conditions, sort, offset, size)
    rows = rows_of(connection, numbers)
    line = Line(connection)
    line.look_at(rows)
    return JobPage([line.document(row) for row in rows], total, page, size)


def ids_of(connection: Connection, wanted: JobFilter, limit: int = 100_000) -> list[str]:
    """Ids of the jobs that a filter finds, in order of arrival."""
    query = select(jobs.c.job_id).where(*wanted.conditions(connection)).order_by(jobs.c.number).limit(limit)
    return list(connection.execute(query).scalars())


def _metric(name: str) -> tuple[str, str]:
    inner, side = name.removeprefix("metric.").rsplit(".", 1)
    return inner, side


def _number(name: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not isfinite(number):
        raise BadQuery(f"`{name[:100]}` is {value[:50]!r}; a number is expected.")
    return number


def _time(name: str, value: str | None) -> str | None:
    """A time as rows have it; a `+` that was sent in an address without being quoted has become a space."""
    for text in (value, None if value is None else value.replace(" ", "+")):
        try:
            return since_of(text, now_utc())
        except InputError as error:
            problem = error
    raise BadQuery(f"`{name}`: {problem}")
