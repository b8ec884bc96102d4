"""References to data sets of the configured Master: `<PROTEINX_MASTER>/api/datasets/<id>/content`.

Only that Master's own addresses are fetched, with this node's token, and no redirect leads elsewhere.
"""

import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import Message
from http.client import HTTPException, HTTPResponse
from pathlib import Path
from urllib.parse import urlsplit

from proteinx_pipelines.errors import BackendError, CorruptArtifact, MissingFile, PathNotAllowed
from proteinx_pipelines.files.blobs.watching import Watch
from proteinx_pipelines.files.fetching.interface import RemoteFile, by_address, is_file_name
from proteinx_pipelines.redaction import redact
from proteinx_pipelines.settings import Settings

TOKEN = "PROTEINX_TOKEN"  # noqa: S105  # the name of a variable
SILENCE_S = 30.0
_CONTENT = re.compile(r"/api/datasets/[A-Za-z0-9][A-Za-z0-9._-]{0,199}/content")
_DIGEST = re.compile("[0-9a-f]{64}")
_BLOCK_BYTES = 1 << 18


def master_dataset(settings: Settings, reference: str, shown: str) -> RemoteFile:
    """A data set of the configured Master.

    Raises:
        PathNotAllowed: it is an address of another server, or no data set's content.
    """
    master = (settings.master or "").rstrip("/")
    path = reference.removeprefix(master)
    if not master or path == reference or not _CONTENT.fullmatch(path):
        known = f"{master}/api/datasets/<id>/content" if master else "none, since PROTEINX_MASTER is not set"
        raise PathNotAllowed(f"{shown} is not fetched; the web addresses that this node fetches: {known}.")

    def fill(folder: Path, watch: Watch | None) -> str:
        with _asked(reference, "GET") as answer:
            name = _name(answer.headers, path)
            digest = _save(answer, folder / name, watch)
            wanted = _etag(answer.headers)
        if wanted is not None and digest != wanted:
            raise CorruptArtifact(
                f"{reference} has the SHA-256 {digest[:12]}..., the Master says {wanted[:12]}..."
            )
        return name

    def version() -> str:
        with _asked(reference, "HEAD") as answer:
            headers = answer.headers
        return f"{headers.get('ETag')} {headers.get('Last-Modified')} {headers.get('Content-Length')}"

    return RemoteFile(reference, by_address(reference), fill, version)


def _save(answer: HTTPResponse, target: Path, watch: Watch | None) -> str:
    """Write an answer to a file; its SHA-256."""
    digest = hashlib.sha256()
    with target.open("wb") as stream:
        while block := answer.read(_BLOCK_BYTES):
            digest.update(block)
            stream.write(block)
            if watch is not None:
                watch(len(block))
    return digest.hexdigest()


@contextmanager
def _asked(address: str, method: str) -> Iterator[HTTPResponse]:
    token = os.environ.get(TOKEN)
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    request = urllib.request.Request(address, headers=headers, method=method)  # noqa: S310  # the Master's own
    try:
        with _opener.open(request, timeout=SILENCE_S) as answer:
            yield answer
    except urllib.error.HTTPError as error:
        if error.code in (404, 410):
            raise MissingFile(f"{address} is not there: the Master has no such data set.") from error
        raise BackendError(
            f"{address}: the Master answered {error.code}. Is {TOKEN} set and valid?"
        ) from error
    except (OSError, HTTPException) as error:
        raise BackendError(redact(f"{address}: the Master did not answer: {error}")) from error


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would send the token elsewhere, or fetch from a server that nobody configured."""

    def redirect_request(self, *_arguments: object, **_options: object) -> None:
        """Follow none: the answer is an error."""


_opener = urllib.request.build_opener(_NoRedirect)


def _name(headers: Message, path: str) -> str:
    """Name of the file: the Master's, or that of the data set."""
    told = headers.get_filename() or ""
    return told if is_file_name(told) else f"{urlsplit(path).path.split('/')[-2]}.csv"


def _etag(headers: Message) -> str | None:
    """SHA-256 of the content, where the Master's ETag is one."""
    text = (headers.get("ETag") or "").removeprefix("W/").strip('"').removeprefix("sha256-")
    return text if _DIGEST.fullmatch(text) else None
