"""Layout of stage store entries in a blob store: as folders of linked files here, by digest anywhere else.

    folders   <stage>/<first two of key>/<key>/   entry.json, files/<names as in the experiment directory>
    objects   <stage>/<first two of key>/<key>/entry.json, objects/<sha256 of a file>

A folder appears whole, by a rename. Elsewhere the files come first and the entry last, and a file's name is its digest,
so two processes that keep the same stage at once, with different files, cannot mix them up.
"""

import contextlib
import os
import secrets
import shutil
from pathlib import Path
from typing import Protocol

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.files.blobs.folder import FolderStore, place
from proteinx_pipelines.files.blobs.interface import BlobStore, object_name
from proteinx_pipelines.pipeline.entries import StageEntry

ENTRY = "entry.json"
FETCHED = "fetched"
"""Name below the store's folder: fetched files that are not in place yet."""
_QUARANTINE = "quarantine"


class KeptEntries(Protocol):
    """Entries with their files. Parsing an entry and deciding about it are `store.StageStore`'s."""

    def read(self, stage: str, key: str) -> bytes:
        """The text of an entry; FileNotFoundError when there is none."""

    def add(self, stage: str, entry: StageEntry, text: bytes, directory: ExperimentDir) -> bool:
        """Keep the stage whose files are in `directory`; false when its place is taken, which is not changed."""

    def has_whole(self, stage: str, entry: StageEntry) -> bool:
        """True if every file is on this machine with the recorded bytes; missing files are fetched."""

    def place(self, stage: str, entry: StageEntry, directory: ExperimentDir) -> None:
        """Put the files into `directory`, behind `has_whole`; FileNotFoundError when a file has vanished since."""

    def file(self, stage: str, entry: StageEntry, name: str) -> Path | None:
        """One file on this machine; None when it is not there."""

    def set_aside(self, stage: str, key: str) -> Path:
        """Move a damaged entry out of the way; returns its new place."""


class EntryFolders:
    """Entries in a folder of this machine: nothing is copied, and nothing fetched."""

    def __init__(self, blobs: FolderStore) -> None:
        self._blobs = blobs

    def read(self, stage: str, key: str) -> bytes:
        """The text of an entry."""
        return self._blobs.read(f"{_folder(stage, key)}/{ENTRY}")

    def add(self, stage: str, entry: StageEntry, text: bytes, directory: ExperimentDir) -> bool:
        """Link the files and rename their folder into place; false when another entry is there."""
        name = _folder(stage, entry.key)
        files = {f"files/{file}": directory.path(file) for file in entry.files}
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


class EntryObjects:
    """Entries in a store of another kind; files are fetched below `scratch` before they are put in place."""

    def __init__(self, blobs: BlobStore, scratch: Path) -> None:
        self._blobs = blobs
        self._scratch = scratch / secrets.token_hex(4)

    def read(self, stage: str, key: str) -> bytes:
        """The text of an entry."""
        return self._blobs.read(f"{_folder(stage, key)}/{ENTRY}")

    def add(self, stage: str, entry: StageEntry, text: bytes, directory: ExperimentDir) -> bool:
        """Send the files that are missing, then the entry."""
        for name, fact in entry.files.items():
            wanted = object_name(str(fact["sha256"]))
            if self._blobs.size(wanted) != fact["size"]:
                self._blobs.put(wanted, directory.path(name))
        self._blobs.write(f"{_folder(stage, entry.key)}/{ENTRY}", text)
        return True

    def has_whole(self, stage: str, entry: StageEntry) -> bool:  # noqa: ARG002
        """Fetch every file; each is hashed on arrival. A damaged file is removed, to be sent again."""
        for name in entry.files:
            if self._fetch(entry, name, self._scratch / entry.key / name) is None:
                shutil.rmtree(self._scratch / entry.key, ignore_errors=True)
                return False
        return True

    def place(self, stage: str, entry: StageEntry, directory: ExperimentDir) -> None:  # noqa: ARG002
        """Link the fetched files, and remove their temporary names."""
        for name in entry.files:
            place(self._scratch / entry.key / name, directory.path(name))
        shutil.rmtree(self._scratch, ignore_errors=True)

    def file(self, stage: str, entry: StageEntry, name: str) -> Path | None:  # noqa: ARG002
        """One file, fetched by its digest; it stays until housekeeping collects it."""
        if name not in entry.files:
            return None
        path = self._scratch.parent / str(entry.files[name]["sha256"])
        return path if path.is_file() else self._fetch(entry, name, path)

    def set_aside(self, stage: str, key: str) -> Path:
        """Rename the entry within the store; its files have their digests for names and stay."""
        target = f"{_QUARANTINE}/{_aside(stage, key)}.json"
        with contextlib.suppress(FileNotFoundError):  # another process has set it aside already
            self._blobs.write(target, self.read(stage, key))
            self._blobs.remove(f"{_folder(stage, key)}/{ENTRY}")
        return Path(target)

    def _fetch(self, entry: StageEntry, name: str, target: Path) -> Path | None:
        digest = str(entry.files[name]["sha256"])
        try:
            self._blobs.get(object_name(digest), target, sha256=digest)
        except FileNotFoundError:
            return None
        except CorruptArtifact:
            self._blobs.remove(object_name(digest))
            return None
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
