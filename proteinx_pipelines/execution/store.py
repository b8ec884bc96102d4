"""The content-addressed stage store under WORKDIR: a stage that any experiment computed, by its key.

    <WORKDIR>/store/<stage>/<first two of key>/<key>/   entry.json, files/<names as in the experiment directory>

Files are hard links where the file system has them and copies elsewhere. Nothing is trusted because its name
exists: every file is hashed before it is taken over, and an entry that fails is moved to `quarantine/`.
"""

import contextlib
import os
import secrets
import shutil
from dataclasses import asdict, replace
from pathlib import Path

from proteinx_pipelines.execution.pipeline_file import StageEntry
from proteinx_pipelines.experiment_dir.files import file_sha256, read_json, sync_folder, write_json
from proteinx_pipelines.experiment_dir.layout import ExperimentDir

ENTRY = "entry.json"


class StageStore:
    """The store of one WORKDIR. Two processes may put and take the same key at once."""

    def __init__(self, root: Path) -> None:
        self.root = root

    @property
    def sequences_dir(self) -> Path:
        """Where vectors of single sequences are kept, whatever experiment they were computed for."""
        return self.root / "sequences"

    def lookup(self, stage: str, key: str) -> StageEntry | None:
        """The entry with this key, unverified, or None."""
        path = self._folder(stage, key) / ENTRY
        return StageEntry(**read_json(path)) if path.is_file() else None

    def put(self, stage: str, entry: StageEntry, directory: ExperimentDir) -> None:
        """Keep a stage that `directory` holds; a key that is there already stays as it is."""
        target = self._folder(stage, entry.key)
        if target.exists():
            return
        building = target.parent / f".{entry.key}-{secrets.token_hex(4)}.partial"
        try:
            for name in entry.files:
                place(directory.path(name), building / "files" / name)
            write_json(building / ENTRY, asdict(entry))
            sync_folder(building)
            # Whoever renames first wins; the loser's copy is the same by its key.
            with contextlib.suppress(OSError):
                building.rename(target)
                sync_folder(target.parent)
        finally:
            shutil.rmtree(building, ignore_errors=True)

    def take(self, stage: str, key: str, directory: ExperimentDir) -> StageEntry | None:
        """Place a stored stage into `directory`, verified; None when it is not there or was found damaged."""
        entry = self.lookup(stage, key)
        if entry is None:
            return None
        files = self._folder(stage, key) / "files"
        if not all(_is_intact(files / name, str(fact["sha256"])) for name, fact in entry.files.items()):
            self.quarantine(stage, key)
            return None
        for name in entry.files:
            place(files / name, directory.path(name))
        return replace(entry, action="taken")

    def quarantine(self, stage: str, key: str) -> Path:
        """Move a damaged entry out of the way, so that it is computed again; where it went."""
        target = self.root / "quarantine" / f"{stage}-{key}-{secrets.token_hex(4)}"
        target.parent.mkdir(parents=True, exist_ok=True)
        self._folder(stage, key).rename(target)
        return target

    def _folder(self, stage: str, key: str) -> Path:
        return self.root / stage / key[:2] / key


def place(source: Path, target: Path) -> None:
    """Put `source` at `target` atomically: a hard link, or a copy across file systems."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}-{secrets.token_hex(4)}.partial"
    try:
        os.link(source, partial)
    except OSError:
        shutil.copyfile(source, partial)
    partial.replace(target)


def _is_intact(path: Path, sha256: str) -> bool:
    return path.is_file() and file_sha256(path) == sha256
