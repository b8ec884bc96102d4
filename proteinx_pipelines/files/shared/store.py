"""The shared store as a node or a Master holds it: its blobs, and the rule that a store in trouble costs no time.

Questions of a running experiment go through `ask`: while the store is noted as away, they are answered with None at
once. Uploads go through `blobs` of a store opened for `patient` use, in the background.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TypeVar

from proteinx_pipelines.errors import BackendError
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.blobs.opening import SILENCE_S, open_blobs
from proteinx_pipelines.files.shared.away import AwayNote
from proteinx_pipelines.settings import Settings

PATIENCE_S = 60.0
"""Seconds without a byte after which an upload in the background has failed."""
Answer = TypeVar("Answer")


@dataclass(frozen=True)
class SharedStore:
    """The store that `PROTEINX_STORE` names."""

    url: str
    blobs: BlobStore
    away: AwayNote

    def ask(self, question: Callable[[BlobStore], Answer]) -> Answer | None:
        """Ask a question that an experiment waits for; None when the store does not answer, or did not just now.

        Raises:
            FileNotFoundError, CorruptArtifact: as the question says.
        """
        if self.away.reason() is not None:
            return None
        try:
            return question(self.blobs)
        except BackendError as error:
            self.away.write(error)
            return None


def shared_store(settings: Settings, *, silence_s: float | None = None) -> SharedStore | None:
    """Open the shared store of a node; None where the settings name none. One connection pool for each process.

    Args:
        settings: of the node.
        silence_s: seconds without a byte after which a request fails; None is for questions that an experiment asks.

    Raises:
        BackendError: it cannot be opened: a package is missing, or its address is none.
    """
    if settings.store is None:
        return None
    limit = SILENCE_S if silence_s is None else silence_s
    # A forked process must not use its parent's connections.
    return _opened(settings.store, settings.paths.store_away, limit, os.getpid())


@lru_cache(maxsize=8)
def _opened(url: str, note: Path, silence_s: float, _pid: int) -> SharedStore:
    return SharedStore(url, open_blobs(url, silence_s=silence_s), AwayNote(note))


def put_whole(blobs: BlobStore, name: str, path: Path, size: int) -> None:
    """Put a file, and check the size that the store keeps.

    Raises:
        BackendError: it is another one.
    """
    blobs.put(name, path)
    if (found := blobs.size(name)) != size:
        raise BackendError(f"{name} has {found} bytes in the store after {size:,} were sent.")
