"""The content-addressed stage store: a stage that any experiment computed, by its key.

An existing name proves nothing: every file is hashed before it is taken over, and an entry that fails is moved aside.
Entries are in `<WORKDIR>/store` (`kept_entries`). With a shared store (`shared_stages`), an entry that is missing here
is fetched from there, and a new one is noted to be sent.
"""

import secrets
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Self

from proteinx_pipelines.execution.kept_entries import EntryFolders
from proteinx_pipelines.execution.shared_stages import FETCHED, SharedStages, open_shared_stages
from proteinx_pipelines.experiment_dir.layout import ExperimentDir
from proteinx_pipelines.experiment_dir.pipeline_file import entry_text, parse_entry
from proteinx_pipelines.files.blobs.folder import FolderStore
from proteinx_pipelines.files.blobs.watching import Watch
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.settings import Settings

SHARD = "shard"
"""Name, beside those of the stages, of entries that are finished parts of a stage (`shards.kept`)."""


class StageStore:
    """The store of one WORKDIR. Two processes may put and take the same key at once.

    Args:
        root: `<WORKDIR>/store`: holds entries, vectors and the remembered digests of files.
        shared: stages of other machines; None where there are none.
    """

    def __init__(self, root: Path, shared: SharedStages | None = None) -> None:
        self.root = root
        self.shared = shared
        self._kept = EntryFolders(FolderStore(root))

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """The store of a node, with the shared one if its settings name one that can be opened."""
        return cls(settings.paths.store_dir, open_shared_stages(settings))

    @property
    def sequences_dir(self) -> Path:
        """Folder of the vectors of single sequences, shared by all experiments."""
        return self.root / "sequences"

    @property
    def self_tests_dir(self) -> Path:
        """Folder of the outcomes of `embedding.precision` auto, so that all experiments get the same format."""
        return self.root / "self_tests"

    def lookup(self, stage: str, key: str) -> StageEntry | None:
        """The entry with this key on this machine, unverified, or None."""
        try:
            return parse_entry(self._kept.read(stage, key))
        except FileNotFoundError:
            return None

    def put(self, stage: str, entry: StageEntry, directory: ExperimentDir) -> None:
        """Keep the computed stage whose files are in `directory`; an existing key stays unchanged."""
        if self.lookup(stage, entry.key) is None:
            self._add(stage, entry, directory.path)
            if self.shared is not None:
                self.shared.offer(stage, entry.key)

    def _add(self, stage: str, entry: StageEntry, where: Callable[[str], Path]) -> None:
        text = entry_text(entry)
        added = self._kept.add(stage, entry, text, where)
        # The folder there was added by another process since the look, or is unusable for everyone.
        if not added and self.lookup(stage, entry.key) is None:
            self.quarantine(stage, entry.key)
            self._kept.add(stage, entry, text, where)

    def file(self, stage: str, key: str, name: str) -> Path | None:
        """One file of a stored stage, on this machine; None when it is not there."""
        entry = self.lookup(stage, key)
        return self._kept.file(stage, entry, name) if entry is not None else None

    def verified(self, stage: str, key: str, alive: Watch | None = None) -> StageEntry | None:
        """The entry with this key, every byte of it checked; None when it is not there or was found damaged.

        An entry that this machine does not have is fetched from the shared store, in a time that is worth it, while
        `alive` is called.
        """
        entry = self.lookup(stage, key)
        if entry is not None and not self._kept.has_whole(stage, entry):
            self.quarantine(stage, key)
            entry = None
        if entry is None:
            entry = self._fetch(stage, key, alive)
        return None if entry is None else replace(entry, action="taken")

    def _fetch(self, stage: str, key: str, alive: Watch | None) -> StageEntry | None:
        if self.shared is None:
            return None
        scratch = self.root / FETCHED / f"{stage}-{key[:16]}-{secrets.token_hex(4)}"
        try:
            entry = self.shared.fetch(stage, key, scratch, alive)
            if entry is not None:
                self._add(stage, entry, scratch.joinpath)
            return entry
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

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
