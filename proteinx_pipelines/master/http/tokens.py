"""Routes of tokens: make, list, revoke."""

from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from proteinx_pipelines.master import tokens
from proteinx_pipelines.master.http.access import Admin, MasterOf, Reader
from proteinx_pipelines.master.http.lists import LARGEST, Page, Size, page_of
from proteinx_pipelines.master.http.once import once

router = APIRouter(tags=["tokens"])


class TokenRequest(BaseModel):
    """A token to make."""

    model_config = ConfigDict(
        extra="forbid",
        use_attribute_docstrings=True,
        json_schema_extra={"examples": [{"name": "lab-robot", "scopes": ["submit"]}]},
    )

    name: str = Field(min_length=1, max_length=100)
    """Whoever will use it."""
    scopes: list[Literal["read", "submit", "node", "admin"]] = Field(min_length=1)
    """What it allows."""


@router.post("/tokens", status_code=201, summary="Make a token")
async def make_token(asked: TokenRequest, master: MasterOf, _caller: Admin) -> dict[str, Any]:
    """The answer has the token, which is not shown again. An `Idempotency-Key` is ignored: no answer is kept."""
    return await master.database.awrite(lambda c: tokens.make(c, asked.name, asked.scopes))


@router.get("/caller", summary="Who asks, and what the token allows")
def get_caller(caller: Reader) -> dict[str, Any]:
    """Name of the token, and its scopes with those that they include."""
    return {"name": caller.name, "scopes": sorted(caller.scopes), "has_token": caller.has_token}


@router.get("/tokens", summary="All tokens, without their secrets")
def get_tokens(master: MasterOf, _caller: Admin, page: Page = 1, size: Size = LARGEST) -> dict[str, Any]:
    """Name, scopes, and when it was made and revoked."""
    with master.database.reading() as connection:
        return page_of(tokens.known(connection), page, size)


@router.delete("/tokens/{token_id}", summary="Revoke a token")
async def revoke_token(token_id: str, request: Request, master: MasterOf, caller: Admin) -> Response:
    """The token is refused from now on."""

    def change(connection: Connection) -> dict[str, Any]:
        tokens.revoke(connection, token_id)
        return {"revoked": token_id}

    try:
        return await once(request, caller, change)
    finally:
        master.callers.forget()
