"""Finds removable entries of the store, and removes them beside a running worker.

An entry goes when no experiment refers to it, no other name links to its files, and no process has used it for a
while. It is renamed out of the store before it is deleted, so a worker sees it whole or not at all; a worker that
needed it computes it again. No removed entry is the only copy of a result.
"""

import os
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.execution.outside_inputs import stale_digests
from proteinx_pipelines.execution.references import References
from proteinx_pipelines.execution.shared_stages import FETCHED
from proteinx_pipelines.execution.store import StageStore
from proteinx_pipelines.execution.store_contents import StoredStage, stored_stages, stored_vectors
from proteinx_pipelines.experiment_dir.files import PARTIAL_SUFFIX, read_json
from proteinx_pipelines.workdir import Workdir

HALF_WRITTEN_S = 3600.0
"""Age in seconds at which a half-written entry counts as left by a dead process."""
_TRASH = "trash"
_ROWS = "rows"
_QUARANTINE = "quarantine"


@dataclass(frozen=True)
class Garbage:
    """An unneeded item of the store."""

    path: Path
    what: str
    n_bytes: int
    used_at: float
    """Its time of last use when it was found: the item is kept when that has changed."""


def find_garbage(store: StageStore, references: References, *, unused_since: float) -> list[Garbage]:
    """Find all items that may be removed.

    Args:
        store: the store of a WORKDIR.
        references: the items that its experiments refer to, found before.
        unused_since: seconds since the epoch; items used later stay, even without a reference.
    """
    found = [
        *_stages(store, references),
        *_vectors(store, references),
        *_memos(store, references),
        *_left_behind(store),
    ]
    return [garbage for garbage in found if garbage.used_at < unused_since]


def remove_garbage(store: StageStore, found: list[Garbage]) -> list[Garbage]:
    """Remove garbage; items used since they were found are kept.

    Returns:
        The removed items.
    """
    removed = []
    for garbage in found:
        trash = store.root / _TRASH / f"{garbage.path.name}-{secrets.token_hex(4)}"
        trash.parent.mkdir(parents=True, exist_ok=True)
        try:
            if garbage.path.stat().st_mtime > garbage.used_at:
                continue
            garbage.path.rename(trash)
        except OSError:
            continue  # gone already, or open on Windows
        _delete(trash)
        removed.append(garbage)
    return removed


def _stages(store: StageStore, references: References) -> Iterator[Garbage]:
    for stored in stored_stages(store):
        if (stored.stage, stored.key) not in references.stages and not _is_linked(stored):
            what = f"{stored.stage} {stored.key[:12]}: no experiment refers to it"
            yield Garbage(stored.folder, what, stored.n_bytes, stored.used_at)


def _is_linked(stored: StoredStage) -> bool:
    """True if a file of the entry has another name somewhere: removing it would free nothing."""
    try:
        files = (path for path in (stored.folder / "files").rglob("*") if path.is_file())
        return any(path.stat().st_nlink > 1 for path in files)
    except FileNotFoundError:
        return False  # gone: the removal ignores it


def _vectors(store: StageStore, references: References) -> Iterator[Garbage]:
    for stored in stored_vectors(store):
        if stored.folder.name not in references.policies:
            name = stored.policy.get("name", "unknown embedder")
            what = f"{stored.n_rows:,} vectors of {name}: no experiment refers to them"
            yield from _found(stored.folder, what)


def _memos(store: StageStore, references: References) -> Iterator[Garbage]:
    for path in (store.root / _ROWS).glob("*.json"):
        try:
            rows = str(read_json(path)["rows"])
        except (OSError, ValueError, KeyError, TypeError):
            rows = ""
        if rows not in references.rows:
            yield from _found(path, "a remembered selection that no experiment has")
    for path in stale_digests(store.root):
        yield from _found(path, "a remembered digest of a file that is gone or has changed")


def _left_behind(store: StageStore) -> Iterator[Garbage]:
    """Items left by a crash or an earlier check: half-written entries, quarantine, trash."""
    workdir = Workdir(store.root.parent)
    roots = (store.root, workdir.outgoing_dir, workdir.fetched_dir)
    for path in (path for root in roots for path in _half_written(root)):
        for found in _found(path, "left behind by a process that died"):
            if found.used_at < time.time() - HALF_WRITTEN_S:
                yield found
    for folder, what in (
        (store.root / _QUARANTINE, "damaged, in quarantine"),
        (store.root / FETCHED, "fetched from another store"),
        (store.root / _TRASH, "half removed"),
        (workdir.trash_dir, "an experiment, half removed"),
    ):
        for path in folder.glob("*"):
            yield from _found(path, what)


def _half_written(root: Path) -> Iterator[Path]:
    """Paths named as half written. Unlike `rglob`, it skips a folder that vanishes meanwhile."""
    for folder, folders, files in os.walk(root):
        found = [
            name for name in (*folders, *files) if name.startswith(".") and name.endswith(PARTIAL_SUFFIX)
        ]
        folders[:] = [name for name in folders if name not in found]
        yield from (Path(folder) / name for name in found)


def _found(path: Path, what: str) -> Iterator[Garbage]:
    """The item with its size and time; nothing when another process has finished, merged or removed it meanwhile."""
    try:
        files = [path] if path.is_file() else [inner for inner in path.rglob("*") if inner.is_file()]
        size, used_at = sum(file.stat().st_size for file in files), path.stat().st_mtime
    except FileNotFoundError:
        return
    yield Garbage(path, what, size, used_at)


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
