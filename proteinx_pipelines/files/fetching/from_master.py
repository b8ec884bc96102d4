"""References to data sets of the configured Master: `<PROTEINX_MASTER>/api/datasets/<id>/content`, and files by digest.

Only that Master's own addresses are fetched, with this node's token, and no redirect leads elsewhere. A file by its
digest may also be taken from the folder of a Master that runs on this machine.
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

from proteinx_pipelines.contract.references import is_content_path, is_file_name, web_problem
from proteinx_pipelines.errors import BackendError, CorruptArtifact, MissingFile, PathNotAllowed
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.files.blobs.folder import place
from proteinx_pipelines.files.blobs.watching import Watch
from proteinx_pipelines.files.fetching.interface import RemoteFile, by_address
from proteinx_pipelines.redaction import redact
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.workdir import objects_dir

TOKEN = "PROTEINX_TOKEN"  # noqa: S105  # the name of a variable
SILENCE_S = 30.0
_DIGEST = re.compile("[0-9a-f]{64}")
_BLOCK_BYTES = 1 << 18


def master_dataset(settings: Settings, reference: str, shown: str) -> RemoteFile:
    """A data set of the configured Master.

    Raises:
        PathNotAllowed: it is an address of another server, or no data set's content.
    """
    master = (settings.master or "").rstrip("/")
    path = reference.removeprefix(master)
    if not master or path == reference or not is_content_path(path):
        raise PathNotAllowed(web_problem(shown, master or None))

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


def has_master(settings: Settings) -> bool:
    """True if a Master is configured, or works in this WORKDIR."""
    return settings.master is not None or _objects_dir(settings).is_dir()


def object_here(settings: Settings, sha256: str, name: str, folder: Path) -> str | None:
    """Put a file that the Master on this machine holds into a folder; its name, or None where it holds no such file.

    Raises:
        CorruptArtifact: its bytes are others.
    """
    source = _objects_dir(settings) / sha256[:2] / sha256
    if not source.is_file():
        return None
    target = folder / (name or sha256[:12])
    place(source, target)
    _check(target, sha256)
    return target.name


def object_of_master(
    settings: Settings, reference: str, sha256: str, name: str, folder: Path, watch: Watch | None
) -> str:
    """Fetch a file by its digest from the configured Master into a folder; its name.

    Raises:
        MissingFile: no Master is configured, or it has no such file.
        CorruptArtifact: other bytes came.
        BackendError: it did not answer.
    """
    if settings.master is None:
        raise MissingFile(f"{reference} is not among the files of the Master on this machine.")
    target = folder / (name or sha256[:12])
    with _asked(f"{settings.master.rstrip('/')}/api/objects/{sha256}", "GET") as answer:
        _save(answer, target, watch)
    _check(target, sha256)
    return target.name


def _check(path: Path, sha256: str) -> None:
    found = file_sha256(path)
    if found != sha256:
        raise CorruptArtifact(
            f"{path.name} came with the SHA-256 {found[:12]}..., expected is {sha256[:12]}..."
        )


def _objects_dir(settings: Settings) -> Path:
    """Folder in which a Master on this machine keeps files by digest."""
    folder = os.environ.get("PROTEINX_MASTER_DIR")
    return objects_dir(Path(folder).expanduser().resolve() if folder else settings.paths.master_dir)


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
