"""A model's files as one archive (ZIP, not compressed: weights do not get smaller)."""

import hashlib
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path

from proteinx_pipelines.experiment_dir.files import PARTIAL_SUFFIX
from proteinx_pipelines.master.artifacts.index import JobFile

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""Time of every file: the same model gives the same bytes."""


def digest_of(files: Sequence[JobFile]) -> str:
    """What tells one version of a model from another, without packing it."""
    text = "\n".join(f"{each.path} {each.sha256}" for each in files)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def pack(files: Sequence[JobFile], root: str, name: str, folder: Path) -> Path:
    """Write the archive to a new file, which the caller removes.

    Args:
        files: of the model.
        root: folder of the job's files that they are named relative to.
        name: folder inside the archive.
        folder: where to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(dir=folder, suffix=PARTIAL_SUFFIX, delete=False) as stream:
        place = Path(stream.name)
        try:
            with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
                for each in files:
                    _add(archive, each, f"{name}/{each.path.removeprefix(root)}")
        except BaseException:
            place.unlink(missing_ok=True)
            raise
    return place


def _add(archive: zipfile.ZipFile, file: JobFile, name: str) -> None:
    entry = zipfile.ZipInfo(name, _EPOCH)
    entry.external_attr = 0o644 << 16
    entry.file_size = file.size
    with file.place.open("rb") as source, archive.open(entry, "w", force_zip64=file.size > 1 << 31) as target:
        while block := source.read(1 << 20):
            target.write(block)
