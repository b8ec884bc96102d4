"""Routes of campaigns: the chains of experiments and plates in the WORKDIR of the Master's machine."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response
from fastapi.responses import HTMLResponse

from proteinx_pipelines.master import campaigns
from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.http.downloads import REPORT, RangedFile
from proteinx_pipelines.master.http.lists import LARGEST, Page, Size, page_of

router = APIRouter(tags=["campaigns"])
Round = Annotated[int, Path(ge=1, le=10_000)]
_CSV: dict[int | str, dict[str, Any]] = {200: {"content": {"text/csv": {}}}}
_HTML: dict[int | str, dict[str, Any]] = {200: {"content": {"text/html": {}}}}


@router.get("/campaigns", summary="All campaigns")
def get_campaigns(master: MasterOf, _caller: Reader, page: Page = 1, size: Size = LARGEST) -> dict[str, Any]:
    """Each campaign with the number of its rounds, and what the open one waits for."""
    return page_of(campaigns.all_campaigns(master), page, size)


@router.get("/campaigns/{campaign_id}", summary="One campaign")
def get_campaign(campaign_id: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """The campaign with its rounds: data, plate, what was measured of it, and whether the promise was kept."""
    return campaigns.describe_campaign(master, campaign_id)


@router.get(
    "/campaigns/{campaign_id}/rounds/{number}/plate",
    summary="The plate of a round",
    response_class=Response,
    responses=_CSV,
)
def get_plate(campaign_id: str, number: Round, master: MasterOf, _caller: Reader) -> Response:
    """The table to order from, with a column for what will be measured."""
    place = campaigns.plate_of_round(master, campaign_id, number)
    return RangedFile(place, media_type="text/csv", filename=f"{campaign_id}-round-{number}.csv")


@router.get(
    "/campaigns/{campaign_id}/rounds/{number}/page",
    summary="The page of a round",
    response_class=Response,
    responses=_HTML,
)
def get_page(campaign_id: str, number: Round, master: MasterOf, _caller: Reader) -> Response:
    """Predicted then, measured now: a page of its own."""
    text = campaigns.page_of_round(master, campaign_id, number)
    return HTMLResponse(text, headers={"Content-Security-Policy": REPORT})
