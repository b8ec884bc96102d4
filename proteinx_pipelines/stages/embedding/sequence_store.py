"""Sequence store on disk: vectors computed by any experiment, so that no sequence is embedded twice.

    <WORKDIR>/store/sequences/<digest of policy>/   policy.json, <sha256>.safetensors ...

Each writer adds files of its own (`shards`), so two at once are safe, and a reader maps what is there. A shard is
hashed before its first vector is used; a damaged one goes to `quarantine/` and its sequences are computed again. A
kill costs the rows of the last two seconds, or of the last fiftieth of the time spent, whichever is more.
"""

import contextlib
import os
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.experiment_dir.files import write_json
from proteinx_pipelines.flags.tree import sha256_of
from proteinx_pipelines.stages.embedding.shards import SUFFIX, Shard, key_prefixes, open_shard, write_shard
from proteinx_pipelines.stages.embedding.shared_vectors import SharedVectors

POLICY_FILE = "policy.json"
WRITE_AFTER_S = 2.0
"""Rows wait in memory for at least this long, in seconds, so that shards are not tiny."""
WRITE_AFTER_FRACTION = 0.02
"""Of the time since the first row, when that is longer: it keeps shards few in a run of hours."""
WRITE_AFTER_BYTES = 64 << 20
SMALL_BYTES = 64 << 20
"""Shards below this size are merged once there are more than `MANY_SHARDS` of them."""
MANY_SHARDS = 16
MERGED_BYTES = 256 << 20
"""Largest shard that merging makes: hashing it before its first use takes a fraction of a second."""


@dataclass
class _Policy:
    """Shards of one policy, and its rows that are not on disk yet."""

    folder: Path
    document: Mapping[str, Any]
    shards: list[tuple[Shard, np.ndarray]] = field(default_factory=list)
    """Each with the prefixes of its keys, uint64, ascending."""
    verified: set[Path | None] = field(default_factory=set)
    waiting: list[Shard] = field(default_factory=list)
    first_put: float = 0.0
    last_write: float = 0.0


class SequenceStore:
    """An `EmbeddingStore`. Use as a context: rows that still wait are written at its end.

    Args:
        root: folder of this machine: shards are written and mapped below it.
        shared: vectors of other machines; None where there are none.
    """

    def __init__(self, root: Path, shared: SharedVectors | None = None) -> None:
        self.root = root
        self._shared = shared
        self.n_found = 0
        """Rows found in the store."""
        self.n_added = 0
        """Rows that were given to the store."""
        self._policies: dict[str, _Policy] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.flush()

    def get_many(self, policy: Mapping[str, Any], keys: np.ndarray, out: np.ndarray) -> np.ndarray:
        """Copy the known vectors into their rows of `out`; see `EmbeddingStore`."""
        opened = self._opened(policy)
        prefixes = key_prefixes(keys)
        known = self._find(opened, keys, prefixes, out)
        if self._shared is not None and not known.all():
            fetched = self._shared.fetch(opened.folder, prefixes[~known])
            if fetched:
                new = [shard for path in fetched for shard in self._readable([path])]
                opened.shards[:0] = [(shard, shard.prefixes()) for shard in new]
                known = self._find(opened, keys, prefixes, out)
        self.n_found += int(known.sum())
        return known

    def _find(self, opened: _Policy, keys: np.ndarray, prefixes: np.ndarray, out: np.ndarray) -> np.ndarray:
        known = np.zeros(len(keys), dtype=bool)
        order = np.argsort(prefixes)  # ascending questions walk through a shard once
        hits: Counter[Path | None] = Counter()
        for shard, there in list(opened.shards):
            unknown = order[~known[order]]
            if len(unknown) == 0:
                break
            rows = _rows_of(keys[unknown], prefixes[unknown], shard, there)
            hit = rows >= 0
            if shard.vectors.shape[1] != out.shape[1] or not hit.any() or not self._verify(opened, shard):
                continue
            out[unknown[hit]] = shard.vectors[rows[hit]]
            known[unknown[hit]] = True
            hits[shard.path] = int(hit.sum())
        # Rows of a library were written together: search the shard of the last hit first.
        opened.shards.sort(key=lambda item: -hits[item[0].path])
        return known

    def put_many(self, policy: Mapping[str, Any], keys: np.ndarray, vectors: np.ndarray) -> None:
        """Keep vectors; stores opened after the rows have reached the disk find them."""
        if len(keys) == 0:
            return
        opened = self._opened(policy)
        now = time.monotonic()
        if not opened.waiting and opened.first_put == 0.0:
            opened.first_put = opened.last_write = now
        opened.waiting.append(Shard(None, keys.copy(), np.array(vectors, dtype=np.float32)))
        self.n_added += len(keys)
        patience = max(WRITE_AFTER_S, WRITE_AFTER_FRACTION * (now - opened.first_put))
        full = sum(shard.n_bytes for shard in opened.waiting) >= WRITE_AFTER_BYTES
        if full or now - opened.last_write > patience:
            self._write_waiting(opened)

    @staticmethod
    def folder_name(policy: Mapping[str, Any]) -> str:
        """The name of a policy's folder."""
        return sha256_of(dict(policy))

    def flush(self) -> None:
        """Write every row that waits."""
        for opened in self._policies.values():
            self._write_waiting(opened)

    def _opened(self, policy: Mapping[str, Any]) -> _Policy:
        name = self.folder_name(policy)
        if name not in self._policies:
            self._policies[name] = _Policy(self.root / name, dict(policy))
            if (self.root / name).is_dir():
                os.utime(self.root / name)  # in use
            self._open_shards(self._policies[name])
        return self._policies[name]

    def _open_shards(self, opened: _Policy) -> None:
        shards = list(self._readable(_shards_in(opened.folder)))
        small = sorted((s for s in shards if s.n_bytes < SMALL_BYTES), key=lambda shard: shard.n_bytes)
        if len(small) > MANY_SHARDS:
            merged = merge_shards(opened.folder, [shard for shard in small if self._verify(opened, shard)])
            if self._shared is not None:
                self._shared.merged([shard.path for shard in small if shard.path is not None], merged)
            shards = list(self._readable(_shards_in(opened.folder)))
        opened.shards = [(shard, shard.prefixes()) for shard in shards]

    def _readable(self, paths: Iterable[Path]) -> Iterator[Shard]:
        for path in paths:
            try:
                yield open_shard(path)
            except FileNotFoundError:
                continue  # merged by another process a moment ago: these rows are computed again, nothing worse
            except CorruptArtifact:
                quarantine_shard(path)

    def _write_waiting(self, opened: _Policy) -> None:
        if not opened.waiting:
            return
        if not (opened.folder / POLICY_FILE).is_file():
            write_json(opened.folder / POLICY_FILE, opened.document)
        written = write_shard(opened.folder, opened.waiting)
        if self._shared is not None:
            self._shared.offer(written)
        opened.waiting.clear()
        opened.last_write = time.monotonic()

    def _verify(self, opened: _Policy, shard: Shard) -> bool:
        """True if a shard is intact; checked once, when its first row is needed."""
        if shard.path in opened.verified:
            return True
        if shard.is_intact:
            opened.verified.add(shard.path)
            return True
        opened.shards = [(other, there) for other, there in opened.shards if other is not shard]
        if shard.path is not None:
            quarantine_shard(shard.path)
        return False


def _shards_in(folder: Path) -> list[Path]:
    return sorted(folder.glob(f"*{SUFFIX}"))


def merge_shards(folder: Path, shards: list[Shard]) -> list[Path]:
    """Write small shards as few large ones, and remove them. Two processes may do this at once.

    Returns:
        The new shards.
    """
    written = []
    while shards:
        group = [shards.pop(0)]
        while shards and sum(shard.n_bytes for shard in group) + shards[0].n_bytes <= MERGED_BYTES:
            group.append(shards.pop(0))
        if len(group) == 1:
            continue
        merged = write_shard(folder, group)
        written.append(merged)
        for shard in group:
            if shard.path is not None and shard.path != merged:
                # Windows keeps a file that is mapped: its rows are there twice then, until the next merge.
                with contextlib.suppress(OSError):
                    shard.path.unlink(missing_ok=True)
    return written


def quarantine_shard(path: Path) -> Path:
    """Move a damaged shard to the quarantine, so that its sequences are embedded again; returns its new path."""
    target = (
        path.parents[2]
        / "quarantine"
        / f"sequences-{path.parent.name}-{path.stem[:16]}-{secrets.token_hex(4)}{SUFFIX}"
    )
    target.parent.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):  # gone already, or mapped by another process on Windows
        path.rename(target)
        os.utime(target)  # from now on it is old: housekeeping leaves time to look at it
    return target


def _rows_of(keys: np.ndarray, prefixes: np.ndarray, shard: Shard, there: np.ndarray) -> np.ndarray:
    """int64 [n]: the row of each key in a shard, -1 where it is not there.

    Two keys of one shard with the same first eight bytes hide one another; that costs one forward pass, with a
    probability of 3 in 10^8 among a million keys.
    """
    places = np.searchsorted(there, prefixes)
    places[places == len(there)] = 0
    if len(there) == 0:
        return np.full(len(keys), -1)
    likely = np.flatnonzero(there[places] == prefixes)
    rows = np.full(len(keys), -1)
    equal = (shard.keys[places[likely]] == keys[likely]).all(axis=1)
    rows[likely[equal]] = places[likely[equal]]
    return rows
