"""The pages of models: may I use it, on what, how good; predict, download, names."""

from fastapi import APIRouter, Request, Response

from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.jobs.listing import JobFilter
from proteinx_pipelines.master.models.listing import describe_model, list_models
from proteinx_pipelines.master.models.predicting import AT_ONCE
from proteinx_pipelines.master.pages.frame import PageRoute, page, page_number
from proteinx_pipelines.master.pages.outcome import outcome_of_job

router = APIRouter(route_class=PageRoute)
SIZE = 50


@router.get("/models")
def show(
    request: Request, master: MasterOf, caller: Reader, sort: str = "-created_at", alias: str | None = None
) -> Response:
    """All models, newest first unless `sort` says otherwise."""
    given = {name: value for name, value in request.query_params.items() if name not in ("alias", "state")}
    found = list_models(
        master, JobFilter.parse(given), alias=alias or None, sort=sort, page=page_number(request), size=SIZE
    )
    pages = max(1, -(-found["total"] // SIZE))
    return page(request, caller, "models.html", found=found, pages=pages, sort=sort, q=given.get("q", ""))


@router.get("/models/{model_id}")
def one(model_id: str, request: Request, master: MasterOf, caller: Reader) -> Response:
    """One model."""
    model = describe_model(master, model_id)
    return page(
        request,
        caller,
        "model.html",
        model=model,
        outcome=outcome_of_job(master, model["job_id"]),
        at_once=AT_ONCE,
    )
