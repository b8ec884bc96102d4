"""Puts a file into the shared store, to be referred to as `px://sha256/<digest>` from any machine."""

import json
from pathlib import Path

from proteinx_pipelines.errors import MissingFile
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.shared.names import description_name, object_name
from proteinx_pipelines.files.shared.store import put_whole
from proteinx_pipelines.variant_files.forms import stem_of
from proteinx_pipelines.variant_files.template import files_beside


def push_file(blobs: BlobStore, path: Path) -> str:
    """Put a file into the store, with the template beside it (`<name>.json`, ...); one that is there is not sent again.

    Args:
        blobs: of the store.
        path: a data file, a split file, weights, a checkpoint.

    Returns:
        The reference, `px://sha256/<digest>`.

    Raises:
        MissingFile: there is no such file.
        BackendError: the store does not answer.
    """
    if not path.is_file():
        raise MissingFile(f"{path} is not there: no such file.")
    beside = {
        file.name: _send(blobs, file) for file in files_beside(path, stem_of(path.name)) if file.is_file()
    }
    digest = _send(blobs, path)
    description = {"format": 1, "name": path.name, "size": path.stat().st_size, "beside": beside}
    blobs.write(description_name(digest), json.dumps(description, ensure_ascii=False).encode("utf-8"))
    return f"px://sha256/{digest}"


def _send(blobs: BlobStore, path: Path) -> str:
    digest, size = file_sha256(path), path.stat().st_size
    if blobs.size(object_name(digest)) != size:
        put_whole(blobs, object_name(digest), path, size)
    return digest
