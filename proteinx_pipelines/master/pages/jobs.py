"""The jobs page: what runs, what waits and why, what failed. Its state is in its address.

`columns` names the columns shown; every other parameter is a filter, order or page of `GET /api/jobs`.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request, Response
from sqlalchemy import Connection, select

from proteinx_pipelines.master.database.facts import is_paused
from proteinx_pipelines.master.database.job_tables import jobs
from proteinx_pipelines.master.database.tables import groups
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.jobs.listing import BadQuery, JobFilter, list_jobs
from proteinx_pipelines.master.jobs.standing import Line, counts
from proteinx_pipelines.master.jobs.states import ALL
from proteinx_pipelines.master.pages.frame import FRAGMENT, PageRoute, page

router = APIRouter(route_class=PageRoute)
SIZE = 100
"""Jobs on a page."""
NEWEST = "-updated_at"


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    name: str
    sort: str = ""
    """What `sort` is called with; empty where it cannot be sorted."""
    numeric: bool = False
    minor: bool = True
    """Left out on a narrow screen."""
    shown: bool = True
    """Shown unless the address says otherwise."""


COLUMNS = (
    Column("job", "experiment_id", minor=False),
    Column("state", "state", minor=False),
    Column("standing", "progress", minor=False),
    Column("source", "source"),
    Column("model", "model"),
    Column("score", "metric.test/spearman", numeric=True),
    Column("priority", "priority", numeric=True),
    Column("node", "node"),
    Column("group", "group", shown=False),
    Column("kind", shown=False),
    Column("created", "created_at"),
    Column("finished", "finished_at", shown=False),
    Column("created_by", shown=False),
)
"""The first one is always shown."""


@router.get("/")
@router.get("/jobs")
def show(request: Request, master: MasterOf, caller: Reader) -> Response:
    """The page, or the part of it that changes with filter, order and page."""
    given = defaultdict(str, request.query_params)
    sort = given.get("sort") or ("order" if given.get("state") == "WAITING" else NEWEST)
    with master.database.reading() as connection:
        found = list_jobs(
            connection,
            JobFilter.of_query(request.query_params.multi_items()),
            sort=sort,
            page=_whole(given, "page", 1),
            size=_whole(given, "size", SIZE),
        )
        context: dict[str, Any] = {
            "by_state": counts(connection),
            "is_paused": is_paused(connection),
            "named": group_names(connection, found.items),
        }
    return page(
        request,
        caller,
        "jobs_list.html" if request.headers.get(FRAGMENT) == "list" else "jobs.html",
        found=found,
        pages=max(1, -(-found.total // found.size)),
        columns=chosen(given.get("columns")),
        all_columns=COLUMNS,
        states=ALL,
        sort=sort,
        given=given,
        more_filters={name: value for name, value in given.items() if name.startswith(("flag.", "metric."))},
        **context,
    )


@router.get("/jobs/rows")
def rows(
    request: Request, master: MasterOf, caller: Reader, ids: str, columns: str | None = None
) -> Response:
    """Rows of some jobs and the counts by state, for a page that hears of their change."""
    with master.database.reading() as connection:
        found = documents(connection, ids.split(",")[:1000])
        by_state, named = counts(connection), group_names(connection, found)
    return page(
        request,
        caller,
        "jobs_changed.html",
        items=found,
        columns=chosen(columns),
        by_state=by_state,
        named=named,
        states=ALL,
        given=defaultdict(str),
    )


def group_names(connection: Connection, items: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """Name of each group that these jobs belong to."""
    ids = {each["group"] for each in items if each["group"] is not None}
    query = select(groups.c.group_id, groups.c.name).where(groups.c.group_id.in_(ids))
    return {row.group_id: row.name for row in connection.execute(query)} if ids else {}


def documents(connection: Connection, ids: Sequence[str]) -> list[dict[str, Any]]:
    """Jobs by their ids, those that exist."""
    line = Line(connection)
    query = select(jobs).where(jobs.c.job_id.in_(ids))
    return [line.document(dict(row)) for row in connection.execute(query).mappings()]


def chosen(names: str | None) -> tuple[Column, ...]:
    """Columns by the address's `columns`, in the table's order; the usual ones where it says nothing."""
    wanted = {name for name in (names or "").split(",") if name}
    return tuple(
        column
        for place, column in enumerate(COLUMNS)
        if place == 0 or (column.name in wanted if wanted else column.shown)
    )


def _whole(given: Mapping[str, str], name: str, default: int) -> int:
    text = given.get(name) or str(default)
    if not text.isdecimal():
        raise BadQuery(f"`{name}` is {text[:50]!r}; a whole number is expected.")
    return int(text[:9])
