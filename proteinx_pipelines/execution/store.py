"""The content-addressed stage store under WORKDIR: a stage that any experiment computed, by its key.

    <WORKDIR>/store/<stage>/<first two of key>/<key>/   entry.json, files/<names as in the experiment directory>

Files are hard links where the file system has them and copies elsewhere. Nothing is trusted because its name
exists: every file is hashed before it is taken over, and an entry that fails is moved to `quarantine/`.
"""

import contextlib
import os
import secrets
import shutil
from dataclasses import replace
from pathlib import Path

from proteinx_pipelines.contract.pipeline import StageDocument
from proteinx_pipelines.execution.pipeline_file import check_entry, document_of, entry_of
from proteinx_pipelines.experiment_dir.files import (
    PARTIAL_SUFFIX,
    file_sha256,
    sync_folder,
    write_atomic,
    write_json,
)
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.pipeline.entries import StageEntry

ENTRY = "entry.json"


class StageStore:
    """The store of one WORKDIR. Two processes may put and take the same key at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def sequences_dir(self) -> Path:
        """Where vectors of single sequences are kept, whatever experiment they were computed for."""
        return self.root / "sequences"

    @property
    def self_tests_dir(self) -> Path:
        """Where the outcomes of `embedding.precision` auto are kept, so that all experiments get the same format."""
        return self.root / "self_tests"

    def lookup(self, stage: str, key: str) -> StageEntry | None:
        """The entry with this key, unverified, or None."""
        return read_entry(self._folder(stage, key))

    def put(self, stage: str, entry: StageEntry, directory: ExperimentDir) -> None:
        """Keep a stage that `directory` holds, as computed; a key that is there already stays as it is."""
        target = self._folder(stage, entry.key)
        if self.lookup(stage, entry.key) is not None:
            return
        if target.exists():  # without a readable entry: nobody could ever take it
            self.quarantine(stage, entry.key)
        building = target.parent / f".{entry.key}-{secrets.token_hex(4)}.partial"
        try:
            for name in entry.files:
                place(directory.path(name), building / "files" / name)
            write_json(building / ENTRY, document_of(replace(entry, action="computed")).document())
            sync_folder(building)
            # Whoever renames first wins; the loser's copy is the same by its key.
            with contextlib.suppress(OSError):
                building.rename(target)
                sync_folder(target.parent)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def file(self, stage: str, key: str, name: str) -> Path | None:
        """One file of a stored stage, unverified; None when it is not there."""
        path = self._folder(stage, key) / "files" / name
        return path if path.is_file() else None

    def verified(self, stage: str, key: str) -> StageEntry | None:
        """The entry with this key, every byte of it checked; None when it is not there or was found damaged."""
        folder = self._folder(stage, key)
        entry = self.lookup(stage, key)
        if entry is None:
            return None
        if not is_whole(folder, entry):
            self.quarantine(stage, key)
            return None
        return replace(entry, action="taken")

    def place(self, stage: str, entry: StageEntry, directory: ExperimentDir) -> bool:
        """Put a verified entry's files into `directory`; false when housekeeping has just collected it."""
        folder = self._folder(stage, entry.key)
        try:
            os.utime(folder)  # in use: what housekeeping collects has not been touched for long
            for name in entry.files:
                place(folder / "files" / name, directory.path(name))
        except FileNotFoundError:
            return False
        return True

    def quarantine(self, stage: str, key: str) -> Path:
        """Move a damaged entry out of the way, so that it is computed again; where it went."""
        target = self.root / "quarantine" / f"{stage}-{key}-{secrets.token_hex(4)}"
        target.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(FileNotFoundError):  # another process has found the same
            self._folder(stage, key).rename(target)
            os.utime(target)  # from now on it is old: housekeeping leaves time to look at it
        return target

    def _folder(self, stage: str, key: str) -> Path:
        return self.root / stage / key[:2] / key


def place(source: Path, target: Path) -> None:
    """Put `source` at `target` atomically: a hard link, or a copy across file systems."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
    try:
        os.link(source, partial)
    except OSError:
        write_atomic(target, lambda copy: _copy(source, copy))
        return
    try:
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)  # where the target is the same file already, renaming does nothing


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)


def read_entry(folder: Path) -> StageEntry | None:
    """What a stored stage says of itself; None when it is not there or cannot be read."""
    try:
        entry = entry_of(StageDocument.model_validate_json((folder / ENTRY).read_bytes()))
        check_entry(entry)
    except (FileNotFoundError, NotADirectoryError, ValueError, TypeError):
        return None
    return entry


def is_whole(folder: Path, entry: StageEntry) -> bool:
    """Whether every file of a stored stage has the bytes that were recorded; reads all of them."""
    return all(
        (path := folder / "files" / name).is_file() and file_sha256(path) == str(fact["sha256"])
        for name, fact in entry.files.items()
    )
