"""Routes of a job's files: the index, downloads, resumable uploads, and bundles of small files."""

import asyncio
import errno
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import JSONResponse

from proteinx_pipelines.contract.bundle import MEDIA_TYPE, MOST_BODY_BYTES
from proteinx_pipelines.errors import MissingArtifact
from proteinx_pipelines.master.artifacts.bundles import place_bundle
from proteinx_pipelines.master.artifacts.index import JobFile, file_of, files_of
from proteinx_pipelines.master.artifacts.paths import checked_path
from proteinx_pipelines.master.artifacts.uploads import TakenOver, Upload, WrongOffset, record
from proteinx_pipelines.master.http.access import MasterOf, Reader, Sender
from proteinx_pipelines.master.http.bodies import Bounds, blocks
from proteinx_pipelines.master.http.downloads import file_answer
from proteinx_pipelines.master.http.forms import Form, boundary_of
from proteinx_pipelines.master.http.problems import HttpProblem
from proteinx_pipelines.master.http.sending import check_sender
from proteinx_pipelines.master.jobs.finding import find_job
from proteinx_pipelines.master.master import Master

router = APIRouter(tags=["artifacts"])
OFFSET, LENGTH, SHA256 = "upload-offset", "upload-length", "upload-sha256"
"""Headers of an upload: where its first byte belongs, the size of the whole file, and the whole file's digest."""
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_DIGEST: dict[str, Any] = {
    "in": "header", "name": SHA256, "schema": {"type": "string", "pattern": "^[0-9a-fA-F]{64}$"},
}  # fmt: skip
_BYTES: dict[str, Any] = {
    "requestBody": {"required": True, "content": {"application/octet-stream": _BINARY}},
    "parameters": [
        {"in": "header", "name": OFFSET, "schema": {"type": "integer", "minimum": 0}},
        {"in": "header", "name": LENGTH, "schema": {"type": "integer", "minimum": 0}},
        _DIGEST,
    ],
}
_PARTS: dict[str, Any] = {"file": _BINARY["schema"], "path": {"type": "string"}}
_FORM: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {"schema": {"type": "object", "properties": _PARTS, "required": ["file"]}},
            "application/octet-stream": _BINARY,
        },
    }
}
_BUNDLE: dict[str, Any] = {
    "requestBody": {"required": True, "content": {MEDIA_TYPE: _BINARY}},
    "parameters": [_DIGEST],
}
_FILE: dict[int | str, dict[str, Any]] = {200: {"content": {"application/octet-stream": {}}}}


@router.get("/jobs/{job_id}/artifacts", summary="Files of a job")
def list_artifacts(job_id: str, master: MasterOf, _caller: Reader) -> dict[str, Any]:
    """Every file with its size in bytes and its SHA-256, while the job runs and afterwards."""
    return {"files": [each.as_document() for each in files_of(master, find_job(master.database, job_id))]}


@router.get(
    "/jobs/{job_id}/artifacts/{path:path}",
    summary="A file of a job",
    response_class=Response,
    responses=_FILE,
)
def get_artifact(
    job_id: str,
    path: str,
    request: Request,
    master: MasterOf,
    _caller: Reader,
    download: Annotated[bool, Query(description="Have a browser save it")] = False,
) -> Response:
    """The file. `Range` and `If-None-Match` are understood; the `ETag` is the SHA-256."""
    return _answer(
        request, master, file_of(master, find_job(master.database, job_id), path), as_download=download
    )


@router.head("/jobs/{job_id}/artifacts/{path:path}", summary="Whether a file is there, and how much of it")
def head_artifact(job_id: str, path: str, request: Request, master: MasterOf, _caller: Reader) -> Response:
    """The headers of the file; of one that is on its way in, 204 with `upload-offset`."""
    job = find_job(master.database, job_id)
    checked_path(path)
    reached = Upload.of(master.settings, job_id, path).reached
    try:
        found = file_of(master, job, path)
    except MissingArtifact:
        if reached:
            return Response(status_code=204, headers={OFFSET: str(reached)})
        raise
    answer = _answer(request, master, found, as_download=False)
    answer.headers[OFFSET] = str(reached or found.size)
    return answer


@router.put(
    "/jobs/{job_id}/artifacts/{path:path}",
    status_code=201,
    summary="Send a file of a job",
    openapi_extra=_BYTES,
)
async def put_artifact(
    job_id: str, path: str, request: Request, master: MasterOf, caller: Sender
) -> Response:
    """Append the body at `upload-offset` (0 when absent).

    With `upload-length`, the file is complete when so many bytes have arrived; until then the answer is 204 with the
    offset that was reached, and nothing is shown. Without it, the file is complete at the end of the body. With
    `upload-sha256`, other bytes are refused. Another offset is answered with 409 and the true one.
    """
    job = await asyncio.to_thread(find_job, master.database, job_id)
    check_sender(caller, job)
    checked_path(path)
    length = _number(request, LENGTH)
    bounds = Bounds(master.settings.max_upload_bytes - _number(request, OFFSET, 0))
    upload = _taking_over(Upload.of(master.settings, job_id, path))
    complete = await asyncio.to_thread(_stored_or_none, master, job, path)
    await _fill(upload, _number(request, OFFSET, 0), blocks(request, bounds), complete)
    if length is not None and upload.reached < length:
        return Response(status_code=204, headers={OFFSET: str(upload.reached)})
    if length is not None and upload.reached > length:
        reached = upload.reached
        upload.discard()
        raise HttpProblem(
            422, "wrong_length", f"`{LENGTH}` is {length:,}, and {reached:,} bytes came; they are removed."
        )
    return await _finish(master, upload, job_id, path, request.headers.get(SHA256))


@router.post(
    "/jobs/{job_id}/artifacts", status_code=201, summary="Send a file of a job as a form, or by name"
)
async def post_artifact(
    job_id: str,
    request: Request,
    master: MasterOf,
    caller: Sender,
    path: Annotated[str | None, Query(description="Of the file; otherwise the form says it")] = None,
) -> Response:
    """A multipart form with one file and perhaps a field `path`; or the file itself as the body, with `?path=`."""
    job = await asyncio.to_thread(find_job, master.database, job_id)
    check_sender(caller, job)
    body = blocks(request, Bounds(master.settings.max_upload_bytes))
    boundary = boundary_of(request.headers.get("content-type", ""))
    form = Form(boundary) if boundary is not None else None
    upload = Upload.of(master.settings, job_id, "form", str(id(request)))
    try:
        await _fill(upload, 0, form.file_of(body) if form is not None else body, None)
        if form is not None:
            path = path or form.fields.get("path") or form.file_name
        return await _finish(master, upload, job_id, checked_path(path or ""), request.headers.get(SHA256))
    finally:
        upload.discard()


@router.put(
    "/jobs/{job_id}/artifacts",
    status_code=201,
    summary="Send small files of a job together",
    openapi_extra=_BUNDLE,
)
async def put_bundle(job_id: str, request: Request, master: MasterOf, caller: Sender) -> dict[str, Any]:
    """A tar archive of at most 500 files of together 8 MB: all are taken, or none.

    With `upload-sha256`, other bytes than those of this body are refused. Larger files are sent one by one.
    """
    job = await asyncio.to_thread(find_job, master.database, job_id)
    check_sender(caller, job)
    most = min(MOST_BODY_BYTES, master.settings.max_upload_bytes)
    body = b"".join([block async for block in blocks(request, Bounds(most), "Send its files one by one.")])
    with _telling_full_disk():
        sha256 = request.headers.get(SHA256)
        placed = await asyncio.to_thread(place_bundle, master.settings, job_id, body, sha256)
    files = await master.database.awrite(lambda connection: record(connection, job_id, placed))
    return {"files": files}


_running: dict[str, Upload] = {}
"""Uploads that a request of this process fills."""


def _taking_over(upload: Upload) -> Upload:
    """The newest request of a file counts: the one before it may hang on a lost connection."""
    before = _running.get(str(upload.part))
    if before is not None:
        before.give_up()
    _running[str(upload.part)] = upload
    return upload


async def _fill(upload: Upload, offset: int, body: AsyncIterator[bytes], complete: JobFile | None) -> None:
    """Write a body to an upload; what has arrived stays when it breaks off."""
    try:
        await asyncio.to_thread(upload.begin, offset, complete.place if complete is not None else None)
    except WrongOffset as error:
        raise HttpProblem(409, error.code, str(error), headers={OFFSET: str(error.reached)}) from error
    try:
        with _telling_full_disk():
            async for block in body:
                await asyncio.to_thread(upload.append, block)
    except TakenOver as error:
        raise HttpProblem(409, error.code, str(error)) from error
    finally:
        upload.pause()
        if _running.get(str(upload.part)) is upload:
            del _running[str(upload.part)]


@contextmanager
def _telling_full_disk() -> Iterator[None]:
    """Have a full disk told as what it is.

    Raises:
        HttpProblem: 507; there is no room.
    """
    try:
        yield
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise HttpProblem(
            507, "disk_full", "The Master's disk is full; the rest can be sent later."
        ) from error


async def _finish(master: Master, upload: Upload, job_id: str, path: str, sha256: str | None) -> Response:
    size, found = await asyncio.to_thread(upload.finish, sha256)
    documents = await master.database.awrite(
        lambda connection: record(connection, job_id, {path: (size, found)})
    )
    return JSONResponse(documents[0], 201, headers={OFFSET: str(size), "ETag": f'"{found}"'})


def _stored_or_none(master: Master, job: Any, path: str) -> JobFile | None:
    try:
        found = file_of(master, job, path)
    except MissingArtifact:
        return None
    return found if found.is_stored else None


def _answer(request: Request, master: Master, found: JobFile, *, as_download: bool) -> Response:
    return file_answer(
        request,
        found.place,
        found.path,
        found.sha256,
        is_fixed=found.is_stored,
        copies=master.settings.uploads_dir,
        as_download=as_download,
    )


def _number(request: Request, name: str, default: int | None = None) -> Any:
    """A header with a whole number.

    Raises:
        HttpProblem: 400; it is none.
    """
    text = request.headers.get(name)
    if text is None:
        return default
    if not text.isdecimal() or len(text) > 15:
        raise HttpProblem(400, "bad_header", f"`{name}` is {text[:40]!r}; a whole number is expected.")
    return int(text)
