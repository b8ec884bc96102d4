"""Opens a store by its address. Credentials come from the environment, as each provider names them.

For S3: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, `AWS_REGION`, and `AWS_ENDPOINT_URL` for a
server of one's own (MinIO, rclone), which may be plain HTTP.
"""

import os
from typing import Any

from proteinx_pipelines.files.blobs.folder import FolderStore
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.blobs.objects import ObjectStore, open_objects
from proteinx_pipelines.store_address import folder_of

CONNECT_S = 2.0
"""Seconds for a connection to the store."""
SILENCE_S = 3.0
"""Seconds without a byte after which a transfer has failed: a stopped server must not hold an experiment up."""
_ENDPOINTS = (
    "AWS_ENDPOINT_URL_S3",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT",
    "AZURE_STORAGE_ENDPOINT",
    "AZURE_ENDPOINT",
)
_in_memory: dict[str, ObjectStore] = {}
"""Stores of this process's memory: the same address is the same store."""


def open_blobs(url: str, *, silence_s: float = SILENCE_S) -> BlobStore:
    """Open the store at an address that `store_address` accepts.

    Args:
        url: such as `s3://bucket/prefix`.
        silence_s: seconds without a byte after which a request fails.

    Raises:
        BackendError: the package for object stores is not installed, or does not know the address.
    """
    folder = folder_of(url)
    if folder is not None:
        return FolderStore(folder, links=False)
    if url.startswith("memory:"):
        return _in_memory.setdefault(url, open_objects("memory://"))
    return open_objects(url, client_options=_client_options(silence_s), retry_config={"max_retries": 0})


def _client_options(silence_s: float) -> dict[str, Any]:
    endpoints = [os.environ.get(name, "") for name in _ENDPOINTS]
    return {
        "allow_http": any(endpoint.startswith("http://") for endpoint in endpoints),
        "connect_timeout": f"{CONNECT_S:g}s",
        "read_timeout": f"{silence_s:g}s",
        "timeout": "1 day",  # bounded by silence and by `within_s` instead: a large blob takes its time
    }
