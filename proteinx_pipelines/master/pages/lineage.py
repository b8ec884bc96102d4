"""The page of a job's lineage: can the number be traced to the measured rows."""

import json

from fastapi import APIRouter, Request, Response

from proteinx_pipelines.master.artifacts.lineage import lineage_of
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.jobs.finding import find_job
from proteinx_pipelines.master.pages.frame import PageRoute, page

router = APIRouter(route_class=PageRoute)


@router.get("/jobs/{job_id}/lineage")
def show(job_id: str, request: Request, master: MasterOf, caller: Reader) -> Response:
    """Stages from the metric back to the rows, the query that chose them, earlier rounds, and breaks."""
    row = find_job(master.database, job_id)
    found = lineage_of(master, row)
    return page(
        request,
        caller,
        "lineage.html",
        job=row,
        lineage=found,
        experiments={each.stage: each.computed_by.partition(",")[0] for each in found.ancestors},
        parameters=json.dumps((found.query or {}).get("parameters"), ensure_ascii=False),
    )
