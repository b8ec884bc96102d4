"""Route of files by digest: what nodes fetch that do not work on the Master's machine."""

import re

from fastapi import APIRouter, Request, Response

from proteinx_pipelines.master.http.access import MasterOf, Reader
from proteinx_pipelines.master.http.downloads import file_answer
from proteinx_pipelines.master.http.problems import NotFound

router = APIRouter(tags=["files by digest"])
_DIGEST = re.compile("[0-9a-f]{64}")


@router.get("/objects/{sha256}", summary="A file by its digest", response_class=Response)
@router.head("/objects/{sha256}", include_in_schema=False)
def get_object(sha256: str, request: Request, master: MasterOf, _caller: Reader) -> Response:
    """A file of a job or the catalog of a data set, by the SHA-256 of its bytes; `Range` is understood."""
    place = master.settings.stored(sha256)
    if not _DIGEST.fullmatch(sha256) or not place.is_file():
        raise NotFound("file", sha256)
    return file_answer(
        request, place, sha256, sha256, is_fixed=True, copies=master.settings.uploads_dir, as_download=True
    )
