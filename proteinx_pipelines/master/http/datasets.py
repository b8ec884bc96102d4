"""Routes of data sets: upload and check, list, describe, download, remove."""

import asyncio
import errno
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import Field, ValidationError
from starlette.requests import ClientDisconnect

from proteinx_pipelines.errors import CatalogError
from proteinx_pipelines.master.datasets.accepting import Arriving, accept, file_name_of
from proteinx_pipelines.master.datasets.listing import (
    content_of,
    dataset_document,
    find_dataset,
    list_datasets,
    remove_dataset,
    remove_files,
)
from proteinx_pipelines.master.datasets.reading import ReadingWishes
from proteinx_pipelines.master.http.access import Caller, MasterOf, Reader, Submitter
from proteinx_pipelines.master.http.bodies import Bounds, blocks
from proteinx_pipelines.master.http.downloads import file_answer
from proteinx_pipelines.master.http.forms import Form, boundary_of
from proteinx_pipelines.master.http.lists import Page, Size
from proteinx_pipelines.master.http.problems import HttpProblem
from proteinx_pipelines.master.http.slow import slow_work_of
from proteinx_pipelines.master.master import Master

router = APIRouter(tags=["data sets"])
_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}
_BODY: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "text/csv": {"schema": {"type": "string"}, "example": "mutant,DMS_score\nV39L,0.5\n"},
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {
                        "file": {"type": "string", "format": "binary"}, "name": {"type": "string"},
                        "template": {"type": "string"},
                    },
                    "required": ["file"],
                }
            },
        },
    }
}  # fmt: skip


class UploadWishes(ReadingWishes):
    """What the sender states about an upload: in the query, or in the fields of a form."""

    name: Annotated[str, Field(max_length=200)] | None = None
    """Name of the data set and of its source; that of the file without its ending when absent."""
    file_name: Annotated[str, Field(max_length=500)] | None = None
    """Name of the file that is the body; a form says it itself."""

    def reading(self) -> ReadingWishes:
        """Those about the file's content."""
        return ReadingWishes.model_validate(self.model_dump(exclude={"name", "file_name"}))


@router.post("/datasets", status_code=201, summary="Upload a data set", openapi_extra=_BODY)
async def create_dataset(
    request: Request,
    master: MasterOf,
    caller: Submitter,
    wishes: Annotated[UploadWishes, Query()],
) -> Response:
    """Take a file of measured variants in any form that `proteinx db import` reads, check it, keep it.

    The body is the file, or a multipart form with the file and perhaps `name` and options as fields. 201 with what was
    understood; the same file under the same name is answered with 200 and the version that is there. A file that
    cannot be used is refused with every problem, and nothing is kept.
    """
    boundary = boundary_of(request.headers.get("content-type", ""))
    body = blocks(request, _bounds(master, caller, is_form=boundary is not None), _do(caller, boundary))
    form = Form(boundary) if boundary is not None else None
    arriving = await asyncio.to_thread(Arriving.begin, master.settings)
    try:
        async for block in form.file_of(body) if form is not None else body:
            await asyncio.to_thread(arriving.append, block)
        if form is not None:
            wishes = _with_fields(wishes, form)
        name = _name(wishes)
        kind = "" if form is not None else request.headers.get("content-type", "")
        row, is_new = await slow_work_of(request).do(
            accept,
            master,
            arriving,
            name=name,
            file_name=file_name_of(wishes.file_name, kind, name),
            wishes=wishes.reading(),
            caller=caller.name,
        )
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise HttpProblem(507, "disk_full", "The Master's disk is full; nothing was kept.") from error
    except ClientDisconnect:
        return Response(status_code=400)
    finally:
        await asyncio.to_thread(arriving.discard)
    return JSONResponse(dataset_document(row), 201 if is_new else 200)


@router.get("/datasets", summary="A page of data sets")
def get_datasets(
    master: MasterOf,
    _caller: Reader,
    q: Annotated[str, Query(max_length=200, description="Part of the name")] = "",
    page: Page = 1,
    size: Size = 50,
) -> dict[str, Any]:
    """Data sets, newest first; every version of a name is one."""
    with master.database.reading() as connection:
        return list_datasets(connection, q=q, page=page, size=size)


@router.get("/datasets/{dataset_id}", summary="One data set")
def get_dataset(dataset_id: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """What was understood of it, by its id, or by its name: the newest version."""
    with master.database.reading() as connection:
        return dataset_document(find_dataset(connection, dataset_id))


@router.api_route(
    "/datasets/{dataset_id}/content",
    methods=["GET"],
    summary="The file of a data set",
    response_class=Response,
    responses=_FILE,
)
@router.api_route("/datasets/{dataset_id}/content", methods=["HEAD"], include_in_schema=False)
def get_content(dataset_id: str, request: Request, master: MasterOf, _caller: Reader) -> Response:
    """The bytes as they were uploaded. `Range` and `If-None-Match` are understood; the `ETag` is the SHA-256."""
    with master.database.reading() as connection:
        row = find_dataset(connection, dataset_id)
    return file_answer(
        request,
        content_of(master.settings, row),
        row["file_name"],
        row["sha256"],
        is_fixed=True,
        copies=master.settings.uploads_dir,
        as_download=True,
    )


@router.delete("/datasets/{dataset_id}", status_code=204, summary="Remove a data set")
async def delete_dataset(dataset_id: str, master: MasterOf, _caller: Submitter) -> Response:
    """Remove one version; refused while a job that has not ended needs it."""
    row = await master.database.awrite(lambda connection: remove_dataset(connection, dataset_id))
    await asyncio.to_thread(remove_files, master.settings, row)
    return Response(status_code=204)


def _bounds(master: Master, caller: Caller, *, is_form: bool) -> Bounds:
    """A form without a token is what any page and any person can send: it is small."""
    most = (
        master.settings.max_form_bytes
        if is_form and not caller.has_token
        else master.settings.max_upload_bytes
    )
    return Bounds(most)


def _do(caller: Caller, boundary: bytes | None) -> str:
    if boundary is not None and not caller.has_token:
        return (
            "Send the file itself as the body (`POST /api/datasets?name=NAME`), or use a token. "
            "An administrator can raise PROTEINX_MASTER_MAX_FORM_MB."
        )
    return "An administrator can raise PROTEINX_MASTER_MAX_UPLOAD_MB."


def _with_fields(wishes: UploadWishes, form: Form) -> UploadWishes:
    """Options in the form's fields, and those in the query, which count where both are.

    Raises:
        HttpProblem: 422; a field is no option, or has an unusable value.
    """
    given: dict[str, Any] = {name: value for name, value in form.fields.items() if value != ""}
    if "further_column" in given:
        given["further_column"] = [part.strip() for part in given["further_column"].split(",")]
    try:
        return UploadWishes.model_validate({"file_name": form.file_name, **given, **wishes.stated()})
    except ValidationError as error:
        problems = [f"`{'.'.join(map(str, each['loc']))}`: {each['msg']}" for each in error.errors()]
        raise HttpProblem(
            422, "bad_request", f"The form's fields: {'; '.join(problems)}", problems
        ) from error


def _name(wishes: UploadWishes) -> str:
    """The name of the data set.

    Raises:
        CatalogError: there is none, or it cannot be typed.
    """
    from proteinx_pipelines.variant_files.forms import stem_of

    given = (wishes.name or stem_of(wishes.file_name or "")).strip()
    if not given:
        raise CatalogError("The data set needs a name: `POST /api/datasets?name=NAME`.")
    if not given.isprintable() or len(given) > 200 or "/" in given:
        raise CatalogError(
            f"{given[:100]!r} cannot name a data set: 1 to 200 printable characters without `/` are expected."
        )
    return given
