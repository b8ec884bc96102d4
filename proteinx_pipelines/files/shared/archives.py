"""Archives in the shared store: `experiments/<id>/<generation>/archive.tar`, and its digest beside it."""

import json
import re
from pathlib import Path, PurePosixPath

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_id import check_experiment_id
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.shared.names import ARCHIVE, EXPERIMENTS, generation_folder
from proteinx_pipelines.files.shared.store import put_whole

_DIGEST = re.compile("[0-9a-f]{64}")
_FACTS = f"{ARCHIVE}.json"


def send_archive(blobs: BlobStore, experiment_id: str, generation: int, path: Path) -> int:
    """Send an archive, then its digest, which makes it known; returns the bytes sent."""
    below = generation_folder(experiment_id, generation)
    size, sha256 = path.stat().st_size, file_sha256(path)
    put_whole(blobs, f"{below}/{ARCHIVE}", path, size)
    blobs.write(f"{below}/{_FACTS}", json.dumps({"size": size, "sha256": sha256}).encode("utf-8"))
    return size


def get_archive(blobs: BlobStore, experiment_id: str, target: Path) -> bool:
    """Fetch the archive of an experiment's newest archived generation; false where the store has none.

    Raises:
        CorruptArtifact: it came with other bytes than were sent; `target` is as it was.
        BackendError: the store does not answer.
    """
    folder = f"{EXPERIMENTS}/{check_experiment_id(experiment_id)}"
    found = [PurePosixPath(name) for name in blobs.names(folder) if name.endswith(f"/{_FACTS}")]
    known = [
        path.parent
        for path in found
        if path.parent.name.isdigit() and path.parent.parent.as_posix() == folder
    ]
    if not known:
        return False
    newest = max(known, key=lambda path: int(path.name))
    try:
        sha256 = str(json.loads(blobs.read(f"{newest}/{_FACTS}"))["sha256"])
    except (ValueError, KeyError, TypeError) as error:
        raise CorruptArtifact(f"{newest}/{_FACTS} in the shared store cannot be read.") from error
    if not _DIGEST.fullmatch(sha256):
        raise CorruptArtifact(f"{newest}/{_FACTS} in the shared store has no digest.")
    blobs.get(f"{newest}/{ARCHIVE}", target, sha256=sha256)
    return True
