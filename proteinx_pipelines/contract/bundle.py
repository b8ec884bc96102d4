"""A bundle: small files of a job in one body, a plain tar archive.

A node packs (`node/talking/sending_files`), a Master unpacks (`PUT /api/jobs/{id}/artifacts`). An experiment leaves
about thirty files of a few kilobytes: one request for each costs the Master more than all else it does for a job.
Larger files go alone, since only those can be resumed. The digest of the whole body goes with it, as with any upload.
"""

import io
import tarfile
from collections.abc import Mapping

from proteinx_pipelines.errors import InputError

MEDIA_TYPE = "application/x-tar"
MOST_FILE_BYTES = 1_000_000
"""Size of a file from which on it goes alone."""
MOST_BYTES = 8_000_000
"""Bytes of the files of one bundle."""
MOST_FILES = 500
MOST_BODY_BYTES = MOST_BYTES + MOST_FILES * 4_096
"""Largest body: the files, and for each the headers of its entry."""


class BadBundle(InputError):
    """A body is no bundle."""

    code = "bad_bundle"


def pack(files: Mapping[str, bytes]) -> bytes:
    """The bundle of some files.

    Args:
        files: path -> content.
    """
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return body.getvalue()


def unpack(body: bytes) -> dict[str, bytes]:
    """Path -> content of the files of a bundle. Nothing is written, and paths are not judged.

    Raises:
        BadBundle: it cannot be read, has no files or too many, an entry is no file, is cut off or comes twice.
    """
    found: dict[str, bytes] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as tar:
            for entry in tar:
                problem = _problem(entry, found, len(body))
                if problem:
                    raise BadBundle(f"The bundle is refused whole: {entry.name[:100]!r} {problem}.")
                stream = tar.extractfile(entry)
                assert stream is not None  # a plain file has bytes
                found[entry.name] = stream.read()
    except (tarfile.TarError, EOFError, ValueError, OverflowError) as error:
        raise BadBundle(f"The bundle cannot be read as a tar archive: {error}.") from error
    if not found:
        raise BadBundle("The bundle has no files.")
    return found


def _problem(entry: tarfile.TarInfo, before: Mapping[str, bytes], body_bytes: int) -> str:
    if not entry.isreg() or entry.issparse():  # a sparse file announces any size in a few bytes
        return "is no plain file"
    if entry.offset_data + entry.size > body_bytes:
        return f"has {entry.size:,} bytes, and the body ends before them"
    if entry.name in before:
        return "comes twice"
    return f"is one more than the {MOST_FILES} files of a bundle" if len(before) == MOST_FILES else ""
