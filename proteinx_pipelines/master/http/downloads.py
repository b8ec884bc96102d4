"""Answers with a file: ranges, HEAD, `ETag` and 304, and policies under which a browser may show it.

A file of a job is another party's text on the Master's own origin: it may draw, and reaches nothing here.
"""

import mimetypes
import shutil
import tempfile
import time
from pathlib import Path, PurePosixPath

from fastapi import Request, Response
from fastapi.responses import FileResponse
from starlette.background import BackgroundTask
from starlette.types import Message, Receive, Scope, Send

from proteinx_pipelines.experiment_dir.files import PARTIAL_SUFFIX, file_sha256
from proteinx_pipelines.experiment_dir.layout import REPORT_HTML
from proteinx_pipelines.master.http.problems import HttpProblem, response_of

_FROM_ITSELF = "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
SHOWN = f"sandbox; {_FROM_ITSELF}; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
"""Of every file: it is shown without script, as a page of no origin, and loads nothing."""
REPORT = (
    f"sandbox allow-scripts allow-downloads allow-popups; {_FROM_ITSELF}; script-src 'unsafe-inline'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""Of a report, whose tables and pictures need its script. The report's own policy, by digest, holds beside it."""
_TEXTS = {".log", ".txt", ".json", ".jsonl", ".yaml", ".toml", ".md", ".csv", ".tsv"}
_INLINE = {".html", ".htm", ".svg", ".png", ".jpg", ".jpeg", ".gif", ".webp", ".pdf"} | _TEXTS
_TYPES = {".parquet": "application/vnd.apache.parquet", ".jsonl": "application/x-ndjson"}
_SETTLED_S = 10.0
"""A file that was changed within this many seconds may be growing: a copy of it is sent."""


class RangedFile(FileResponse):
    """A file, whose wrong ranges are answered as RFC 9110 says: none that can be read is none; one beyond the end, 416.

    `FileResponse` has texts of its own for both, and forgets its background task.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        refused: list[int] = []

        async def unless_refused(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] in (400, 416):
                refused.append(message["status"])
            if not refused:
                await send(message)

        await super().__call__(scope, receive, unless_refused)
        if refused == [400]:
            others = [(name, value) for name, value in scope["headers"] if name != b"range"]
            await super().__call__({**scope, "headers": others}, receive, send)
        elif refused == [416]:
            await self._beyond(scope, receive, send)
            if self.background is not None:
                await self.background()

    async def _beyond(self, scope: Scope, receive: Receive, send: Send) -> None:
        size = int(self.headers["content-length"])
        text = f"`Range` begins behind the end: the file has {size:,} bytes."
        headers = {"Content-Range": f"bytes */{size}"}
        await response_of(HttpProblem(416, "range_beyond_end", text, headers=headers))(scope, receive, send)


def file_answer(
    request: Request,
    place: Path,
    path: str,
    sha256: str,
    *,
    is_fixed: bool,
    copies: Path,
    as_download: bool = False,
) -> Response:
    """A file, or the part of it that was asked for, or 304.

    Args:
        request: with its conditions and ranges.
        place: where the bytes are.
        path: what the caller calls it; decides how it is shown.
        sha256: of the bytes; the `ETag`.
        is_fixed: whether the bytes at `place` never change.
        copies: folder for a copy of a file that is being written.
        as_download: whether a browser is to save it.
    """
    suffix = PurePosixPath(path).suffix.lower()
    background = None
    if not is_fixed and abs(time.time() - place.stat().st_mtime) < _SETTLED_S:
        place, sha256 = _copied(place, copies)
        background = BackgroundTask(place.unlink, missing_ok=True)
    etag = f'"{sha256}"'
    if is_known(request, etag):
        if background is not None:
            place.unlink(missing_ok=True)
        return Response(status_code=304, headers={"ETag": etag, "Cache-Control": "private, no-cache"})
    is_inline = suffix in _INLINE and not as_download
    return RangedFile(
        place,
        headers={
            "ETag": etag,
            "Cache-Control": "private, no-cache",
            "Content-Security-Policy": REPORT if _is_report(path) else SHOWN,
            "X-Content-Type-Options": "nosniff",
        },
        media_type=_media_type(suffix, path),
        filename=PurePosixPath(path).name,
        content_disposition_type="inline" if is_inline else "attachment",
        stat_result=place.stat(),
        background=background,
    )


def is_known(request: Request, etag: str) -> bool:
    """True if the caller has these bytes."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or etag in (part.strip().removeprefix("W/") for part in given.split(","))


def _is_report(path: str) -> bool:
    return path == REPORT_HTML or (path.startswith("generations/") and path.endswith(f"/{REPORT_HTML}"))


def _media_type(suffix: str, path: str) -> str:
    if suffix in _TYPES:
        return _TYPES[suffix]
    if suffix == ".log":
        return "text/plain; charset=utf-8"
    guessed = mimetypes.guess_type(path)[0] or "application/octet-stream"
    is_text = guessed.startswith("text/") or suffix in _TEXTS
    return f"{guessed}; charset=utf-8" if is_text else guessed


def _copied(place: Path, folder: Path) -> tuple[Path, str]:
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=PARTIAL_SUFFIX, delete=False) as stream:
        copy = Path(stream.name)
    shutil.copyfile(place, copy)
    return copy, file_sha256(copy)
