"""The content-addressed stage store: a stage that any experiment computed, by its key.

An existing name proves nothing: every file is hashed before it is taken over, and an entry that fails is moved aside.
A `BlobStore` holds the entries: the folder `<WORKDIR>/store`, unless another is given. `kept_entries` defines their
layout.
"""

from dataclasses import replace
from pathlib import Path

from proteinx_pipelines.contract.pipeline import StageDocument
from proteinx_pipelines.execution.kept_entries import FETCHED, EntryFolders, EntryObjects, KeptEntries
from proteinx_pipelines.execution.pipeline_file import check_entry, document_of, entry_of
from proteinx_pipelines.experiment_dir.files import json_text
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.files.blobs.folder import FolderStore
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.pipeline.entries import StageEntry


class StageStore:
    """The store of one WORKDIR. Two processes may put and take the same key at once.

    Args:
        root: `<WORKDIR>/store`: holds fetched files, vectors and the remembered digests of files.
        blobs: store of the entries; None keeps them below `root`.
    """

    def __init__(self, root: Path, blobs: BlobStore | None = None) -> None:
        self.root = root
        self._kept: KeptEntries
        if blobs is None or isinstance(blobs, FolderStore):
            self._kept = EntryFolders(blobs or FolderStore(root))
        else:
            self._kept = EntryObjects(blobs, root / FETCHED)

    @property
    def sequences_dir(self) -> Path:
        """Folder of the vectors of single sequences, shared by all experiments."""
        return self.root / "sequences"

    @property
    def self_tests_dir(self) -> Path:
        """Folder of the outcomes of `embedding.precision` auto, so that all experiments get the same format."""
        return self.root / "self_tests"

    def lookup(self, stage: str, key: str) -> StageEntry | None:
        """The entry with this key, unverified, or None."""
        try:
            return parse_entry(self._kept.read(stage, key))
        except FileNotFoundError:
            return None

    def put(self, stage: str, entry: StageEntry, directory: ExperimentDir) -> None:
        """Keep the computed stage whose files are in `directory`; an existing key stays unchanged."""
        if self.lookup(stage, entry.key) is None:
            text = json_text(document_of(replace(entry, action="computed")).document()).encode("utf-8")
            added = self._kept.add(stage, entry, text, directory)
            # The folder there was added by another process since the look, or is unusable for everyone.
            if not added and self.lookup(stage, entry.key) is None:
                self.quarantine(stage, entry.key)
                self._kept.add(stage, entry, text, directory)

    def file(self, stage: str, key: str, name: str) -> Path | None:
        """One file of a stored stage, on this machine; None when it is not there."""
        entry = self.lookup(stage, key)
        return self._kept.file(stage, entry, name) if entry is not None else None

    def verified(self, stage: str, key: str) -> StageEntry | None:
        """The entry with this key, every byte of it checked; None when it is not there or was found damaged."""
        entry = self.lookup(stage, key)
        if entry is None:
            return None
        if not self._kept.has_whole(stage, entry):
            self.quarantine(stage, key)
            return None
        return replace(entry, action="taken")

    def place(self, stage: str, entry: StageEntry, directory: ExperimentDir) -> bool:
        """Put a verified entry's files into `directory`; false when housekeeping has just collected it."""
        try:
            self._kept.place(stage, entry, directory)
        except FileNotFoundError:
            return False
        return True

    def quarantine(self, stage: str, key: str) -> Path:
        """Move a damaged entry out of the way, so that it is computed again; returns its new place."""
        return self._kept.set_aside(stage, key)


def read_entry(folder: Path) -> StageEntry | None:
    """Entry of the stage stored in a folder; None when it is missing or cannot be read."""
    try:
        return parse_entry((folder / "entry.json").read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None


def parse_entry(text: bytes) -> StageEntry | None:
    """Parse a stored entry; None when it is not usable."""
    try:
        entry = entry_of(StageDocument.model_validate_json(text))
        check_entry(entry)
    except (ValueError, TypeError):
        return None
    return entry
