"""Tries a store: writes, reads and removes a small blob."""

import secrets
import time

from proteinx_pipelines.errors import BackendError, CorruptArtifact
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.shared.names import PROBE


def probe(blobs: BlobStore) -> float:
    """Seconds that a store took to write, read and remove a blob.

    Raises:
        BackendError: it does not answer, or refuses one of the three.
        CorruptArtifact: it gives back other bytes than were written.
    """
    name, content = f"{PROBE}/{secrets.token_hex(8)}", secrets.token_bytes(64)
    began = time.monotonic()
    try:
        blobs.write(name, content)
        came = blobs.read(name)
        blobs.remove(name)
    except FileNotFoundError as error:
        raise BackendError(f"What was written a moment ago is not there: {error}") from error
    if came != content:
        raise CorruptArtifact("The store gives back other bytes than were written.")
    return time.monotonic() - began
