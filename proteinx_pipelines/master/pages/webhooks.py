"""The pages of webhooks: who hears of what, what was sent, and what did not arrive."""

from fastapi import APIRouter, Request, Response

from proteinx_pipelines.master.http.access import Admin, MasterOf
from proteinx_pipelines.master.pages.frame import PageRoute, page
from proteinx_pipelines.master.webhooks.subscribing import EVENTS, deliveries, subscribers

router = APIRouter(route_class=PageRoute)


@router.get("/webhooks")
def show(request: Request, master: MasterOf, caller: Admin) -> Response:
    """All subscribers, each with its newest deliveries."""
    with master.database.reading() as connection:
        found = [
            {**each, "deliveries": deliveries(connection, each["webhook_id"], limit=20)}
            for each in subscribers(connection)
        ]
    commands = sorted(master.settings.webhook_commands)
    return page(request, caller, "webhooks.html", webhooks=found, events=EVENTS, commands=commands)
