"""The pages of groups: experiments that belong together, swept over flags, and what came of them."""

import json

from fastapi import APIRouter, Request, Response

from proteinx_pipelines.master.groups.keeping import all_groups, group_document
from proteinx_pipelines.master.groups.results import table_of
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.jobs.states import ALL
from proteinx_pipelines.master.pages.frame import PageRoute, page

router = APIRouter(route_class=PageRoute)
_OWN = ("job_id", "experiment_id", "state")


@router.get("/groups")
def show(request: Request, master: MasterOf, caller: Reader) -> Response:
    """All groups, newest first."""
    with master.database.reading() as connection:
        found = all_groups(connection)
    return page(request, caller, "groups.html", groups=found, states=ALL)


@router.get("/groups/{group_id}")
def one(group_id: str, request: Request, master: MasterOf, caller: Reader) -> Response:
    """One group: its units, and its jobs by the flags that differ and the metrics."""
    with master.database.reading() as connection:
        group = group_document(connection, group_id)
        columns, rows = table_of(connection, group["group_id"])
    metrics = sorted({name for row in rows for name in row if "/" in name})
    return page(
        request,
        caller,
        "group.html",
        group=group,
        rows=rows,
        flags=[name for name in columns if name not in (*_OWN, *metrics)],
        metrics=metrics,
        texts={
            each["unit_id"]: json.dumps(each["definition"], indent=1, ensure_ascii=False)
            for each in group["units"]
        },
        states=ALL,
        done=[row["job_id"] for row in rows if row["state"] == "SUCCEEDED"],
    )
