"""Routes of webhooks: subscribe, list, delete, deliveries, send again."""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from proteinx_pipelines.master.http.access import Admin, MasterOf
from proteinx_pipelines.master.http.lists import LARGEST, Page, Size, page_of
from proteinx_pipelines.master.http.once import once
from proteinx_pipelines.master.webhooks import subscribing

router = APIRouter(tags=["webhooks"])


class WebhookRequest(BaseModel):
    """A subscriber to make."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"url": "https://lab.example/hooks", "events": ["job.state"]}]},
    )

    url: str = Field(min_length=1, max_length=2000)
    """Address that events are posted to; for the kind `command`, the name of one of the operator's commands."""
    events: list[str] = Field(default=["job.state"], min_length=1, max_length=50)
    """Events, or patterns such as `job.*`."""
    kind: Literal["http", "command"] = "http"
    """`http`, or `command`: a process for each event, the document on its standard input."""


@router.post("/webhooks", status_code=201, summary="Subscribe to events")
async def make_webhook(asked: WebhookRequest, request: Request, master: MasterOf, caller: Admin) -> Response:
    """The answer has the secret that signs, which is shown again only for the same `Idempotency-Key`, for 7 days."""

    def change(connection: Connection) -> dict[str, Any]:
        return subscribing.subscribe(
            connection, asked.url, asked.events, caller=caller.name, kind=asked.kind,
            allowed_hosts=master.settings.webhook_hosts, commands=tuple(master.settings.webhook_commands),
        )  # fmt: skip

    return await once(request, caller, change, status=201)


@router.get("/webhooks", summary="All subscribers")
def get_webhooks(master: MasterOf, _caller: Admin, page: Page = 1, size: Size = LARGEST) -> dict[str, Any]:
    """Subscribers without their secrets, with the state of the last delivery."""
    with master.database.reading() as connection:
        return page_of(subscribing.subscribers(connection), page, size)


@router.delete("/webhooks/{webhook_id}", summary="Unsubscribe")
async def delete_webhook(webhook_id: str, request: Request, caller: Admin) -> Response:
    """Delete a subscriber, and what was still to be sent to it."""

    def change(connection: Connection) -> dict[str, Any]:
        subscribing.unsubscribe(connection, webhook_id)
        return {"deleted": webhook_id}

    return await once(request, caller, change)


@router.get("/webhooks/{webhook_id}/deliveries", summary="What was sent to a subscriber")
def get_deliveries(
    webhook_id: str, master: MasterOf, _caller: Admin, page: Page = 1, size: Size = 100
) -> dict[str, Any]:
    """Deliveries, the newest first: waiting, sent or dead, with attempts and the last answer."""
    with master.database.reading() as connection:
        items = subscribing.deliveries(connection, webhook_id, size, (page - 1) * size)
        total = subscribing.count_deliveries(connection, webhook_id)
    return {"items": items, "total": total, "page": page, "size": size}


@router.post("/webhooks/deliveries/{outbox_id}/send", summary="Send a delivery again")
async def send_again(outbox_id: str, request: Request, caller: Admin) -> Response:
    """Make it due now, with its old id: the receiver knows it again."""

    def change(connection: Connection) -> dict[str, Any]:
        subscribing.send_again(connection, outbox_id)
        return {"due": outbox_id}

    return await once(request, caller, change)
