"""Layout of stage store entries on this machine: folders of linked files.

    <stage>/<first two of key>/<key>/   entry.json, files/<names as in the experiment directory>

A folder appears whole, by a rename. `shared_stages` has the layout of those that machines share.
"""

import contextlib
import os
import secrets
from collections.abc import Callable
from pathlib import Path

from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.files.blobs.folder import FolderStore, place
from proteinx_pipelines.pipeline.entries import StageEntry

ENTRY = "entry.json"
FETCHED = "fetched"
"""Name below the store's folder: fetched files that are not in place yet."""
_QUARANTINE = "quarantine"


class EntryFolders:
    """Entries with their files, in a folder of this machine. Parsing them is `store.StageStore`'s."""

    def __init__(self, blobs: FolderStore) -> None:
        self._blobs = blobs

    def read(self, stage: str, key: str) -> bytes:
        """The text of an entry."""
        return self._blobs.read(f"{_folder(stage, key)}/{ENTRY}")

    def add(self, stage: str, entry: StageEntry, text: bytes, where: Callable[[str], Path]) -> bool:
        """Link the files that `where` finds, and rename their folder into place; false when another is there."""
        name = _folder(stage, entry.key)
        files = {f"files/{file}": where(file) for file in entry.files}
        return self._blobs.add_folder(name, files, {ENTRY: text})

    def has_whole(self, stage: str, entry: StageEntry) -> bool:
        """Read every byte."""
        return is_whole(self._blobs.path(_folder(stage, entry.key)), entry)

    def place(self, stage: str, entry: StageEntry, directory: ExperimentDir) -> None:
        """Link the files, and note that the entry is in use."""
        folder = self._blobs.path(_folder(stage, entry.key))
        os.utime(folder)  # housekeeping collects only entries not touched for long
        for name in entry.files:
            place(folder / "files" / name, directory.path(name))

    def file(self, stage: str, entry: StageEntry, name: str) -> Path | None:
        """One file, unverified."""
        path = self._blobs.path(f"{_folder(stage, entry.key)}/files/{name}")
        return path if path.is_file() else None

    def set_aside(self, stage: str, key: str) -> Path:
        """Rename the entry's folder into `quarantine/`."""
        target = self._blobs.path(f"{_QUARANTINE}/{_aside(stage, key)}")
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process has set it aside already
            self._blobs.path(_folder(stage, key)).rename(target)
            os.utime(target)  # its age counts from now: housekeeping leaves time to inspect it
        return target


def is_whole(folder: Path, entry: StageEntry) -> bool:
    """True if every file of a stored stage has the recorded bytes; reads all of them."""
    return all(
        (path := folder / "files" / name).is_file() and file_sha256(path) == str(fact["sha256"])
        for name, fact in entry.files.items()
    )


def _folder(stage: str, key: str) -> str:
    return f"{stage}/{key[:2]}/{key}"


def _aside(stage: str, key: str) -> str:
    return f"{stage}-{key}-{secrets.token_hex(4)}"


def entry_files(root: Path, stage: str, entry: StageEntry) -> dict[str, Path]:
    """Name -> file of a kept entry, below the local store's folder."""
    folder = root / _folder(stage, entry.key) / "files"
    return {name: folder / name for name in entry.files}
