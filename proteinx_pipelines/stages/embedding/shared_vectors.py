"""Vectors of single sequences in the shared store: whoever has embedded a sequence, nobody embeds it again.

    sequences/<policy>/<sha256>.safetensors   a shard, named by its digest
    sequences/<policy>/<sha256>.keys          first eight bytes of each key of that shard, ascending, little-endian

The small files of keys say which shards are worth fetching; this machine remembers them. A wrong one costs a fetch or a
forward pass, nothing else: rows are found by the whole key, in a shard that is hashed on arrival.
"""

import contextlib
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.experiment_dir.files import write_bytes
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.blobs.watching import Watch, within
from proteinx_pipelines.files.shared.names import policy_folder
from proteinx_pipelines.files.shared.outgoing import SHARD, USED, Outgoing
from proteinx_pipelines.files.shared.store import SharedStore
from proteinx_pipelines.monitor import StageMonitor
from proteinx_pipelines.stages.embedding.shards import SUFFIX, Shard

log = logging.getLogger(__name__)
KEYS = ".keys"
"""Ending of a shard's file of keys."""
KEYS_S = 10.0
"""Most seconds to wait for the list of shards and their keys."""
SHARD_S = 20.0
"""Most seconds to wait for a shard, besides `S_PER_ROW` for each of its wanted rows."""
S_PER_ROW = 0.005
"""Seconds that a forward pass of the smallest language model takes for a sequence, on a good GPU."""
_AT_ONCE = 8
_PREFIX = np.dtype("<u8")


class SharedVectors:
    """The vectors of the shared store, for one embedding."""

    def __init__(self, store: SharedStore, outgoing: Outgoing, monitor: StageMonitor) -> None:
        self._store, self._outgoing, self._monitor = store, outgoing, monitor
        self._keys: dict[str, dict[str, np.ndarray]] = {}
        """Policy -> digest of a shard elsewhere -> prefixes of its keys, uint64, ascending."""

    def offer(self, shard: Path) -> None:
        """Note that this machine has a shard that others may want."""
        self._outgoing.add(SHARD, shard.parent.name, shard.stem)

    def merged(self, before: Sequence[Path], after: Sequence[Path]) -> None:
        """Note that shards were merged: if one of them has not been sent yet, the merged ones are."""
        gone = [path for path in before if not path.exists()]
        waiting = [path for path in gone if self._outgoing.has(SHARD, path.parent.name, path.stem)]
        for path in after if waiting else ():
            self.offer(path)
        for path in waiting:
            self._outgoing.done(SHARD, path.parent.name, path.stem)

    def fetch(self, folder: Path, wanted: np.ndarray) -> list[Path]:
        """Fetch the shards that have rows of these keys.

        Args:
            folder: of the policy, on this machine.
            wanted: uint64 [n], prefixes of the keys.

        Returns:
            The new shards, in `folder`; empty when the store does not answer.
        """
        policy = folder.name
        if policy not in self._keys:
            found = self._store.ask(lambda blobs: dict(self._read_keys(blobs, folder)))
            self._keys[policy] = found or {}
        wanted, fetched = np.unique(wanted), []
        for digest, there in list(self._keys[policy].items()):
            hits = np.isin(wanted, there, assume_unique=False)
            if not hits.any():
                continue
            del self._keys[policy][digest]  # asked for once, whatever comes
            path = folder / f"{digest}{SUFFIX}"
            if path.is_file() or self._fetch_one(path, int(hits.sum())):
                fetched.append(path)
                wanted = wanted[~hits]
            if len(wanted) == 0:
                break
        return fetched

    def _fetch_one(self, path: Path, n_rows: int) -> bool:
        policy, digest = path.parent.name, path.stem
        name = f"{policy_folder(policy)}/{path.name}"
        watch = within(SHARD_S + S_PER_ROW * n_rows, self._alive())

        def fetch(blobs: BlobStore) -> bool:
            blobs.get(name, path, sha256=digest, watch=watch)
            return True

        try:
            if self._store.ask(fetch):
                self._outgoing.add(USED, policy, digest)
                return True
        except FileNotFoundError:
            return False  # evicted a moment ago: these rows are computed again, nothing worse
        except CorruptArtifact as error:
            log.warning("Shared vectors are not used and are computed again: %s", error)
            self._store.ask(lambda blobs: _remove_shard(blobs, name))
        except OSError as error:
            log.warning("Shared vectors could not be fetched: %s", error)
        return False

    def _alive(self) -> Watch:
        return lambda _n_bytes: self._monitor.progress(0, 1, "vectors are fetched from the shared store")

    def _read_keys(self, blobs: BlobStore, folder: Path) -> Iterator[tuple[str, np.ndarray]]:
        """The keys of each shard elsewhere; remembered in the policy's folder."""
        watch = within(KEYS_S, self._alive())
        names = []
        for name in blobs.names(policy_folder(folder.name)):
            watch(0)
            if name.endswith(KEYS):
                names.append(PurePosixPath(name))

        here = {path.stem for path in folder.glob(f"*{SUFFIX}")}
        unknown = [name for name in names if name.stem not in here]
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            found = pool.map(lambda name: _keys_of(blobs, name, folder), unknown)
            yield from zip([name.stem for name in unknown], found, strict=True)


def _keys_of(blobs: BlobStore, name: PurePosixPath, folder: Path) -> np.ndarray:
    """Prefixes of the keys of one shard elsewhere, uint64, ascending; none when it was evicted a moment ago."""
    kept = folder / name.name
    try:
        content = kept.read_bytes()
    except OSError:
        try:
            content = blobs.read(str(name), watch=within(KEYS_S))
        except FileNotFoundError:
            content = b""
        with contextlib.suppress(OSError):
            write_bytes(kept, content)
    whole = len(content) - len(content) % _PREFIX.itemsize
    return np.frombuffer(content[:whole], dtype=_PREFIX).astype(np.uint64)


def send_shard(blobs: BlobStore, policy: str, shard: Shard) -> int:
    """Send a shard, then its keys, which make it known. Returns the bytes sent."""
    assert shard.path is not None
    name = f"{policy_folder(policy)}/{shard.path.stem}"
    size = shard.path.stat().st_size
    if blobs.size(f"{name}{SUFFIX}") != size:
        blobs.put(f"{name}{SUFFIX}", shard.path)
    blobs.write(f"{name}{KEYS}", shard.prefixes().astype(_PREFIX).tobytes())
    return size


def _remove_shard(blobs: BlobStore, name: str) -> None:
    blobs.remove(f"{name.removesuffix(SUFFIX)}{KEYS}")
    blobs.remove(name)
