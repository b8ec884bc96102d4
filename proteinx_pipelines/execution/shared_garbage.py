"""Eviction from the shared store: the least recently used stages and vectors go, until the rest fits a size.

Only what can be computed again is removed: stages, objects that no other stage lists, vectors. Experiments stay, and so
do files that people put there (they have a description). Several machines may evict at once, while others read: a
machine that finds a file gone computes the stage itself.
"""

import contextlib
import json
import logging
from collections import Counter
from dataclasses import dataclass, field

from proteinx_pipelines.files.blobs.interface import BlobFact, BlobStore
from proteinx_pipelines.files.shared.names import (
    EXPERIMENTS,
    OBJECTS,
    SEQUENCES,
    STAGES,
    object_name,
)
from proteinx_pipelines.stages.embedding.shards import SUFFIX
from proteinx_pipelines.stages.embedding.shared_vectors import KEYS

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Evictable:
    """A stage, or a shard of vectors, in the shared store."""

    what: str
    used_at: float
    """Time of the last use, in seconds since the epoch."""
    names: tuple[str, ...]
    """The blobs that make it known, which go first."""
    objects: tuple[str, ...] = ()
    """Blobs that other stages may list too."""


@dataclass
class SharedContents:
    """What the shared store holds."""

    sizes: dict[str, int] = field(default_factory=dict)
    evictable: list[Evictable] = field(default_factory=list)

    def total(self, folder: str) -> int:
        """Bytes below a folder."""
        return sum(size for name, size in self.sizes.items() if name.startswith(f"{folder}/"))

    @property
    def reusable_bytes(self) -> int:
        """Bytes of stages and vectors: what a limit is about."""
        shared = {name for each in self.evictable for name in (*each.names, *each.objects)}
        return sum(self.sizes.get(name, 0) for name in shared)

    def summary(self) -> dict[str, int]:
        """Bytes by folder."""
        return {name: self.total(name) for name in (OBJECTS, STAGES, SEQUENCES, EXPERIMENTS)}


def shared_contents(blobs: BlobStore) -> SharedContents:
    """List the shared store.

    Raises:
        BackendError: it does not answer.
    """
    found = SharedContents()
    for fact in blobs.facts():
        found.sizes[fact.name] = fact.size
        if fact.name.startswith(f"{STAGES}/"):
            found.evictable.append(
                Evictable(_shown(fact.name), fact.modified, (fact.name,), _objects(blobs, fact))
            )
        elif fact.name.startswith(f"{SEQUENCES}/") and fact.name.endswith(KEYS):
            shard = fact.name.removesuffix(KEYS) + SUFFIX
            found.evictable.append(Evictable(_shown(fact.name), fact.modified, (fact.name, shard)))
    return found


def to_evict(contents: SharedContents, limit_bytes: int) -> list[Evictable]:
    """The least recently used stages and vectors, until the others fit into `limit_bytes`."""
    users = Counter(name for each in contents.evictable for name in each.objects)
    kept, gone = contents.reusable_bytes, []
    for each in sorted(contents.evictable, key=lambda item: item.used_at):
        if kept <= limit_bytes:
            break
        gone.append(each)
        kept -= sum(contents.sizes.get(name, 0) for name in each.names)
        for name in each.objects:
            users[name] -= 1
            if users[name] == 0:
                kept -= contents.sizes.get(name, 0)
    return gone


def evict(blobs: BlobStore, contents: SharedContents, gone: list[Evictable]) -> int:
    """Remove stages and vectors; an object goes when no stage that stays lists it and nobody described it.

    Returns:
        Bytes removed.
    """
    stays = {name for each in contents.evictable if each not in gone for name in each.objects}
    described = {name for name in contents.sizes if name.startswith(f"{OBJECTS}/") and name.endswith(".json")}
    removed = 0
    for each in gone:
        keep = {name for name in each.objects if name in stays or f"{name}.json" in described}
        for name in (*each.names, *(name for name in each.objects if name not in keep)):
            blobs.remove(name)
            removed += contents.sizes.pop(name, 0)
    return removed


def evict_beyond(blobs: BlobStore, limit_bytes: int) -> int:
    """Evict what does not fit into `limit_bytes`; returns the bytes removed."""
    contents = shared_contents(blobs)
    removed = evict(blobs, contents, to_evict(contents, limit_bytes))
    if removed:
        log.warning(
            "The shared store was above its limit; %s bytes of old stages and vectors went.", f"{removed:,}"
        )
    return removed


def _objects(blobs: BlobStore, fact: BlobFact) -> tuple[str, ...]:
    """Names of the objects that an entry lists; none when it cannot be read."""
    with contextlib.suppress(FileNotFoundError, ValueError, KeyError, TypeError, AttributeError):
        files = json.loads(blobs.read(fact.name))["entry"]["files"]
        return tuple(sorted({object_name(str(each["sha256"])) for each in files.values()}))
    return ()


def _shown(name: str) -> str:
    """`stages/embedding/0123...` -> `embedding 0123...`, for people."""
    first, *middle, last = name.split("/")
    what = "vectors" if first == SEQUENCES else middle[-1]
    return f"{what} {last[:12]}"
