"""The router of all pages, files below `/static`, and unknown addresses as a page."""

from fastapi import APIRouter, FastAPI, Request, Response
from starlette.exceptions import HTTPException

from proteinx_pipelines.master.http.problems import NotFound, problem_response
from proteinx_pipelines.master.pages import (
    api,
    campaigns,
    comparison,
    datasets,
    groups,
    job,
    jobs,
    lineage,
    login,
    models,
    nodes,
    plate,
    settings,
    static,
    submit,
    webhooks,
)  # fmt: skip
from proteinx_pipelines.master.pages.frame import error_page

PAGES = (
    jobs.router, job.router, lineage.router, plate.router, comparison.router, nodes.router, datasets.router,
    models.router, campaigns.router, groups.router, webhooks.router, submit.router, settings.router, login.router,
    api.router,
)  # fmt: skip
"""One router for each page; none of them is in the OpenAPI document."""
_KEPT = "public, max-age=31536000, immutable"


def install(app: FastAPI) -> None:
    """Add the pages to an application."""
    files = APIRouter()

    @files.get("/static/{version}/{name}")
    def served(version: str, name: str) -> Response:
        content, kind = static.files().get(name, (None, ""))
        if content is None:
            raise NotFound("file", name)
        is_current = version == static.digest()
        return Response(
            content, media_type=kind, headers={"Cache-Control": _KEPT if is_current else "no-cache"}
        )

    for router in (files, *PAGES):
        app.include_router(router, include_in_schema=False)

    @app.exception_handler(404)
    async def _unknown(request: Request, error: Exception) -> Response:
        detail = str(error.detail) if isinstance(error, HTTPException) else str(error)
        if request.url.path.startswith("/api/") or "text/html" not in request.headers.get("accept", ""):
            return problem_response(404, "not_found", detail)
        return error_page(request, NotFound("page", request.url.path))
