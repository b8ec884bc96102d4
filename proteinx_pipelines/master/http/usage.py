"""`/api/usage`: what became of jobs, by node and model, and why they failed."""

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.responses import JSONResponse, Response

from proteinx_pipelines.clock import now_utc, timestamp
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.jobs.used import uses_of_jobs
from proteinx_pipelines.services.usage import since_of, usage_report
from proteinx_pipelines.services.usage_files import report_file

router = APIRouter(tags=["jobs"])
KINDS = {"html": "text/html; charset=utf-8", "parquet": "application/vnd.apache.parquet"}
PAGE_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'self'; sandbox allow-scripts allow-downloads"
)
"""The page has a stricter one of its own, which names its script and style by digest; both hold."""


@router.get(
    "/usage",
    summary="Success by node and model, reasons of failure, seconds",
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in ("application/json", *KINDS.values())}}},
)
def get_usage(
    master: MasterOf,
    _caller: Reader,
    since: Annotated[str | None, Query(max_length=40, examples=["7d", "2026-03-01"])] = None,
    form: Annotated[Literal["json", "html", "parquet"], Query(alias="format")] = "json",
    rows: Annotated[bool, Query(description="JSON has the jobs, too.")] = False,
) -> Response:
    """The report as JSON or a page, or its rows as Parquet."""
    begin = since_of(since, now_utc())
    with master.database.reading() as connection:
        uses = uses_of_jobs(connection, begin)
    report = usage_report(uses, begin, timestamp())
    if form == "json":
        document: dict[str, Any] = report.document()
        return JSONResponse({**document, "rows": [asdict(use) for use in uses]} if rows else document)
    headers = {"Content-Security-Policy": PAGE_POLICY} if form == "html" else {
        "Content-Disposition": 'attachment; filename="usage.parquet"'
    }  # fmt: skip
    return Response(
        report_file(report, uses, f".{form}", "the Master"), headers=headers, media_type=KINDS[form]
    )
