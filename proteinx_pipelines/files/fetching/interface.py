"""What a fetcher of references does."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.files.blobs.watching import Watch

Fill = Callable[[Path, Watch | None], str]
"""(empty folder, watch) -> name of the file that is meant, after it was put into the folder, with others beside it.

Raises MissingFile (there is none), CorruptArtifact (other bytes than named), BackendError (no answer).
"""
Version = Callable[[], str]
"""Asks what is behind an address now: another text for another content. Raises as `Fill` does."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that has to be fetched; made without a network."""

    reference: str
    key: str
    """Its folder below `fetched/`."""
    fill: Fill
    version: Version | None = None
    """None where the reference names the content, which cannot change."""

    @property
    def may_change(self) -> bool:
        """True if another content may be behind the reference tomorrow."""
        return self.version is not None


def by_digest(sha256: str) -> str:
    """Key of a content."""
    return f"sha256-{sha256}"


def by_address(address: str) -> str:
    """Key of whatever is behind an address."""
    return f"address-{hashlib.sha256(address.encode('utf-8')).hexdigest()}"
