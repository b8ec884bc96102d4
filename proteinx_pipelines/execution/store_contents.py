"""Lists the contents of the stage store and the sequence store, and checks every byte. Changes nothing."""

import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.execution.kept_entries import is_whole
from proteinx_pipelines.execution.references import References
from proteinx_pipelines.execution.store import SHARD, StageStore, read_entry
from proteinx_pipelines.experiment_dir.files import read_json
from proteinx_pipelines.pipeline.entries import StageEntry
from proteinx_pipelines.pipeline.stages import STAGES
from proteinx_pipelines.stages.embedding.sequence_store import POLICY_FILE
from proteinx_pipelines.stages.embedding.shards import SUFFIX, open_shard


@dataclass(frozen=True)
class StoredStage:
    """One entry of the stage store."""

    stage: str
    key: str
    folder: Path
    entry: StageEntry | None
    """None when it cannot be read."""
    n_bytes: int
    used_at: float
    """Time when it was last put or taken, in seconds since the epoch."""


@dataclass(frozen=True)
class StoredVectors:
    """The vectors of one policy."""

    folder: Path
    policy: dict[str, object]
    """Embedder, layer, pooling, ...; empty when its file cannot be read."""
    n_rows: int
    """Equal rows in several shards are each counted."""
    n_bytes: int
    used_at: float


@dataclass(frozen=True)
class Damage:
    """An item that differs from the stored original."""

    what: str
    experiments: tuple[str, ...]
    """Experiments that refer to it; those with linked files hold the same damaged bytes."""
    path: Path
    """The entry's folder, or the shard."""
    stage: str | None = None
    """Its stage; None for a shard of vectors."""


def stored_stages(store: StageStore) -> Iterator[StoredStage]:
    """Every entry of the stage store, stage by stage; finished shards last."""
    for stage in (*STAGES, SHARD):
        for folder in sorted((store.root / stage).glob("??/*")):
            if folder.is_dir() and not folder.name.startswith("."):
                try:
                    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                    used_at = folder.stat().st_mtime
                except FileNotFoundError:  # collected or moved aside by another process
                    continue
                yield StoredStage(stage, folder.name, folder, read_entry(folder), size, used_at)


def stored_vectors(store: StageStore) -> Iterator[StoredVectors]:
    """Every policy of the sequence store."""
    for folder in sorted(store.sequences_dir.glob("*")):
        shards = list(folder.glob(f"*{SUFFIX}"))
        facts = [found for path in (folder, *shards) if (found := _stat(path)) is not None]
        if not facts:
            continue
        size = sum(found.st_size for found in facts if not stat.S_ISDIR(found.st_mode))
        used_at = max(found.st_mtime for found in facts)
        yield StoredVectors(folder, _policy(folder), sum(map(_rows, shards)), size, used_at)


def _stat(path: Path) -> os.stat_result | None:
    """File status of a path; None when another process has merged, collected or moved it."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def verify_store(store: StageStore, references: References) -> list[Damage]:
    """Read every stored byte and name what is damaged; nothing is changed. `repair` repairs it."""
    found = []
    for stored in stored_stages(store):
        if (stored.entry is None or not is_whole(stored.folder, stored.entry)) and stored.folder.is_dir():
            users = tuple(sorted(references.stages.get((stored.stage, stored.key), set())))
            found.append(Damage(f"{stored.stage} {stored.key[:12]}", users, stored.folder, stored.stage))
    for path in sorted(store.sequences_dir.glob(f"*/*{SUFFIX}")):
        if not _is_intact(path):
            users = tuple(sorted(references.policies.get(path.parent.name, set())))
            found.append(Damage(f"sequences {path.parent.name[:12]}/{path.stem[:12]}", users, path))
    return found


def _is_intact(path: Path) -> bool:
    try:
        return open_shard(path).is_intact
    except CorruptArtifact:
        return False
    except FileNotFoundError:
        return True  # merged by another process a moment ago


def _rows(path: Path) -> int:
    try:
        return len(open_shard(path).keys)
    except (CorruptArtifact, FileNotFoundError):
        return 0


def _policy(folder: Path) -> dict[str, object]:
    try:
        return dict(read_json(folder / POLICY_FILE))
    except (OSError, ValueError, TypeError):
        return {}
