"""Routes of groups and units: sweeps."""

import csv
import io
from typing import Any, Literal

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import Connection

from proteinx_pipelines.csv_cells import safe_cell
from proteinx_pipelines.master.groups import keeping, searching
from proteinx_pipelines.master.groups.expanding import UnitRequest
from proteinx_pipelines.master.http.access import MasterOf, Reader, Submitter
from proteinx_pipelines.master.http.lists import LARGEST, Page, Size, page_of
from proteinx_pipelines.master.http.once import once

router = APIRouter(tags=["groups"])
_TABLE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {}, "text/csv": {}}}}


class GroupRequest(BaseModel):
    """A group to make."""

    model_config = ConfigDict(
        extra="forbid", use_attribute_docstrings=True, json_schema_extra={"examples": [{"name": "seeds"}]}
    )

    name: str = Field(min_length=1, max_length=200)
    """Its name; a group of the same name is given back."""
    description: str | None = Field(default=None, max_length=2000)
    """What it is for."""


@router.post("/groups", status_code=201, summary="Make a group")
async def make_group(asked: GroupRequest, request: Request, caller: Submitter) -> Response:
    """A group of experiments that belong together."""

    def change(connection: Connection) -> dict[str, Any]:
        return keeping.make_group(connection, asked.name, asked.description, caller.name)

    return await once(request, caller, change, status=201)


@router.get("/groups", summary="All groups")
def get_groups(master: MasterOf, _caller: Reader, page: Page = 1, size: Size = LARGEST) -> dict[str, Any]:
    """Every group with the count of its jobs by state, newest first."""
    with master.database.reading() as connection:
        return page_of(keeping.all_groups(connection), page, size)


@router.get("/groups/{group_id}", summary="One group")
def get_group(group_id: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """A group, by id or name, with its units and counts."""
    with master.database.reading() as connection:
        return keeping.group_document(connection, group_id)


@router.get("/groups/{group_id}/results", summary="What varied and what came of it", responses=_TABLE)
def get_results(
    group_id: str,
    master: MasterOf,
    _caller: Reader,
    format: Literal["json", "csv"] = "json",  # noqa: A002  # the parameter's public name
) -> Response:
    """A row a job: the flags that differ within the group, the state, and the summary metrics; as JSON or CSV."""
    from fastapi.responses import JSONResponse

    from proteinx_pipelines.master.groups.results import table_of

    with master.database.reading() as connection:
        columns, rows = table_of(connection, keeping.group_row(connection, group_id)["group_id"])
    if format != "csv":
        return JSONResponse({"columns": columns, "items": rows, "total": len(rows)})
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(map(safe_cell, columns))
    writer.writerows([safe_cell(row.get(name)) for name in columns] for row in rows)
    return Response(text.getvalue(), media_type="text/csv")


@router.post("/groups/{group_id}/units", status_code=201, summary="Add a unit to a group")
async def make_unit(group_id: str, unit: UnitRequest, request: Request, caller: Submitter) -> Response:
    """A base set of flags, with a grid, list, draw or search over some; every experiment is checked now."""
    if unit.search is not None:
        searching.refuse_without_optuna()
    return await once(request, caller, lambda c: keeping.make_unit(c, group_id, unit), status=201)


@router.get("/units/{unit_id}", summary="One unit")
def get_unit(unit_id: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """A unit with the count of its jobs."""
    with master.database.reading() as connection:
        return keeping.unit_document(connection, keeping.unit_row(connection, unit_id))


@router.post("/units/{unit_id}/submit", summary="Submit a unit")
async def submit_unit(unit_id: str, request: Request, caller: Submitter) -> Response:
    """Create its jobs, once; asked again, it answers as it stands."""

    def change(connection: Connection) -> dict[str, Any]:
        keeping.submit_unit(connection, unit_id, caller=caller.name)
        searching.go_on(connection)
        return keeping.unit_document(connection, keeping.unit_row(connection, unit_id))

    return await once(request, caller, change)
