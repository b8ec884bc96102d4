"""Small files of a job that come together: all are put in place below their digests, or none."""

import hashlib
import secrets

from proteinx_pipelines.contract.bundle import unpack
from proteinx_pipelines.master.artifacts.paths import checked_path
from proteinx_pipelines.master.artifacts.uploads import Upload, check_digest
from proteinx_pipelines.master.settings import MasterSettings


def place_bundle(
    settings: MasterSettings, job_id: str, body: bytes, sha256: str | None
) -> dict[str, tuple[int, str]]:
    """Put the files of a bundle of a job in place; path -> size and SHA-256.

    Args:
        settings: of the Master.
        job_id: whose files they are.
        body: the bundle.
        sha256: of the body that is expected, in hexadecimal; None believes what came.

    Raises:
        WrongDigest: other bytes came; nothing is written, as with the next two.
        BadBundle: it cannot be read.
        PathNotAllowed: an entry has a path that no file of a job has.
    """
    check_digest(hashlib.sha256(body).hexdigest(), sha256)
    files = unpack(body)
    for path in files:
        checked_path(path)
    request = secrets.token_hex(8)  # the same bundle may come again while this one is written
    placed = {}
    for path, content in files.items():
        upload = Upload.of(settings, job_id, "bundle", request, path)
        try:
            upload.begin(0)
            upload.append(content)
            placed[path] = upload.finish()
        finally:
            upload.discard()
    return placed
