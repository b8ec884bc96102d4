"""Numbers of the jobs on a page: filtered, in order, fast at any depth.

Without a filter, or with one value of one column, an index has the order and the page is walked to in it. With other
filters the narrow copy of the table (`idx_jobs_list`) is read: in its own order, that of arrival, up to the end of the
page, and whole where another order is asked for. `_read` keeps SQLite from choosing an index that leads to a row of
4 kB for each job that is looked at.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, Select, func, literal_column, select
from sqlalchemy.sql.operators import eq, in_op
from sqlalchemy.sql.visitors import replacement_traverse

from proteinx_pipelines.errors import InputError
from proteinx_pipelines.master.database.job_tables import job_metrics, jobs
from proteinx_pipelines.master.jobs.flag_rows import key_of

SORTABLE = (
    "created_at", "updated_at", "started_at", "finished_at", "priority", "state", "source", "model", "node",
    "experiment_id", "progress", "group", "order",
)  # fmt: skip
"""What `sort` takes, with `-` in front for descending, and `metric.<name>`; `order` is the order of the line."""

MOST = 2**31 - 1
"""As the size of a page: all jobs."""


class BadQuery(InputError):
    """A filter or order cannot be used; the message says what can."""

    code = "bad_query"


def count(connection: Connection, conditions: Sequence[ColumnElement[bool]]) -> int:
    """Number of jobs that meet all conditions on `jobs`."""
    found = _rows_of_one(conditions)
    if found is not None:
        query = select(func.count()).select_from(found.subquery())
    else:
        query = _Page(connection, conditions, "").filtered(select(func.count()).select_from(jobs))
    return int(connection.execute(query).scalar_one())


def numbers_of(
    connection: Connection, conditions: Sequence[ColumnElement[bool]], sort: str, offset: int, size: int
) -> list[int]:
    """Numbers of the jobs on a page, in order; what has no value comes last.

    Args:
        connection: to read with.
        conditions: on `jobs`; all hold.
        sort: a name of `SORTABLE` or `metric.<name>`, `-` in front for descending.
        offset: jobs before the page.
        size: jobs on it.

    Raises:
        BadQuery: the order cannot be used.
    """
    found: list[int] = []
    for query in _Page(connection, conditions, sort).parts():
        numbers = list(connection.execute(query.limit(size - len(found)).offset(offset)).scalars())
        found += numbers
        if len(found) == size:
            break
        if numbers:
            offset = 0
        elif offset:  # the page begins behind this part
            length = select(func.count()).select_from(query.order_by(None).subquery())
            offset = max(0, offset - int(connection.execute(length).scalar_one()))
    return found


def rows_of(connection: Connection, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """The rows of jobs, in the order of their numbers as given."""
    found = connection.execute(select(jobs).where(jobs.c.number.in_(numbers))).mappings()
    by_number = {row["number"]: dict(row) for row in found}
    return [by_number[number] for number in numbers]


class _Page:
    """The queries of one list; `sort` is empty where only their number is asked for."""

    def __init__(self, connection: Connection, conditions: Sequence[ColumnElement[bool]], sort: str) -> None:
        self._conditions, self._sort = conditions, sort
        serves = _is_one_value if sort else _is_indexed
        is_one_index = len(conditions) <= 1 and all(map(serves, conditions))
        is_in_order = not conditions or sort.removeprefix("-") in ("", "created_at")
        self._reads_all = connection.dialect.name == "sqlite" and not (is_one_index and is_in_order)

    def filtered(self, query: Select[Any], *more: ColumnElement[bool]) -> Select[Any]:
        """The query with the filter."""
        return query.where(*(self._read(condition) for condition in (*self._conditions, *more)))

    def parts(self) -> list[Select[Any]]:
        """Queries of numbers; their answers, one behind the other, are the whole list.

        Raises:
            BadQuery: the order cannot be used.
        """
        name = self._sort.removeprefix("-")
        numbers = self.filtered(select(jobs.c.number))
        if name == "created_at":  # the order of arrival, which the numbers have
            found = _rows_of_one(self._conditions)
            # Not hidden from SQLite: the copy has this order.
            number = jobs.c.number if found is None else found.selected_columns[0]
            ordered = number.desc() if self._sort.startswith("-") else number
            return [(numbers if found is None else found).order_by(ordered)]
        if name == "order":
            line = (jobs.c.priority.desc(), jobs.c.latest_start, jobs.c.place)
            return [numbers.order_by(*map(self._read, line))]
        if name.startswith("metric."):
            return self._by_metric(key_of(name.removeprefix("metric.")), numbers)
        if name not in SORTABLE:
            raise BadQuery(
                f"`sort` is {self._sort[:100]!r}; {', '.join(SORTABLE)} or metric.<name> are expected."
            )
        column = jobs.c["group_id" if name == "group" else name]
        order = self._by(column, jobs.c.number)
        if not column.nullable:
            return [numbers.order_by(*order)]
        there = self.filtered(select(jobs.c.number), column.is_not(None)).order_by(*order)
        return [there, self.filtered(select(jobs.c.number), column.is_(None)).order_by(jobs.c.number.desc())]

    def _by_metric(self, metric: str, numbers: Select[Any]) -> list[Select[Any]]:
        with_it = select(job_metrics.c.number).where(job_metrics.c.name == metric)
        there = with_it.where(job_metrics.c.number.in_(numbers)) if self._conditions else with_it
        order = (job_metrics.c.value, job_metrics.c.number)
        is_down = self._sort.startswith("-")
        others = self.filtered(select(jobs.c.number), jobs.c.number.not_in(with_it))
        return [
            there.order_by(*(column.desc() if is_down else column for column in order)),
            others.order_by(jobs.c.number.desc()),
        ]

    def _by(self, *columns: Column[Any]) -> list[ColumnElement[Any]]:
        is_down = self._sort.startswith("-")
        return [self._read(column.desc() if is_down else column) for column in columns]

    def _read(self, expression: Any) -> Any:
        """An expression on `jobs` in which no index of one column is used: `+column` in SQLite."""
        if not self._reads_all:
            return expression
        return replacement_traverse(expression, {}, _without_index)


def _without_index(element: Any, **_more: Any) -> Any:
    is_listed = isinstance(element, Column) and element.table is jobs
    return literal_column(f"+jobs.{element.name}", element.type) if is_listed else None


def _rows_of_one(conditions: Sequence[ColumnElement[bool]]) -> Select[Any] | None:
    """The rows of a flag or metric, where they are the whole filter: each stands for a job, and is in order."""
    if len(conditions) != 1:
        return None
    left, right = (getattr(conditions[0], name, None) for name in ("left", "right"))
    is_in = getattr(conditions[0], "operator", None) is in_op
    rows = getattr(right, "element", None)
    return rows if is_in and left is jobs.c.number and isinstance(rows, Select) else None


def _is_indexed(condition: ColumnElement[bool]) -> bool:
    """True if one index of two columns finds the jobs of a condition: it is about one column."""
    left = getattr(condition, "left", None)
    return isinstance(left, Column) and left.table is jobs and left is not jobs.c.number


def _is_one_value(condition: ColumnElement[bool]) -> bool:
    """True if that index has them in order of arrival too: the column has one value, or those of one group."""
    values = getattr(getattr(condition, "right", None), "value", None)
    is_several = isinstance(values, list | tuple) and len(values) > 1
    return _is_indexed(condition) and getattr(condition, "operator", None) in (eq, in_op) and not is_several
