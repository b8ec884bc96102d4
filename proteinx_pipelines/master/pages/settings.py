"""The settings page: tokens, limits of this Master, language."""

from fastapi import APIRouter, Request, Response

from proteinx_pipelines.master import tokens
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.jobs import trash
from proteinx_pipelines.master.pages.frame import PageRoute, page
from proteinx_pipelines.master.tokens import SCOPES

router = APIRouter(route_class=PageRoute)


@router.get("/settings")
def show(request: Request, master: MasterOf, caller: Reader) -> Response:
    """Tokens (for an administrator), limits and where each is set, language."""
    settings = master.settings
    with master.database.reading() as connection:
        known = tokens.known(connection) if "admin" in caller.scopes else None
        deleted = trash.listed(connection) if "admin" in caller.scopes else []
    limits = (
        ("upload", settings.max_upload_bytes, "PROTEINX_MASTER_MAX_UPLOAD_MB"),
        ("requests", settings.requests_per_minute, "PROTEINX_MASTER_REQUESTS_PER_MINUTE"),
        ("lease", settings.lease_s, "PROTEINX_MASTER_LEASE_S"),
        ("slots", settings.slots, "PROTEINX_MASTER_SLOTS"),
    )
    return page(
        request,
        caller,
        "settings.html",
        tokens=known,
        deleted=deleted,
        scopes=SCOPES,
        limits=limits,
        is_open=settings.is_open,
        is_postgres=settings.database_url is not None,
    )
