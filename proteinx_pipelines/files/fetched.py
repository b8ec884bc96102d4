"""Files fetched by reference, kept in `<WORKDIR>/fetched/` within a size: the least recently used go.

    fetched/sha256-<digest>/<name>      content that its reference names by digest; never changes
    fetched/address-<digest>/<name>     content behind an address, as it was when it was looked at last

A folder appears whole, by a rename. `main` in it has the name of the file that the reference means; others, such as a
template, lie beside it.
"""

import contextlib
import os
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from proteinx_pipelines.experiment_dir.files import PARTIAL_SUFFIX, write_text

MAIN = ".main"
IN_USE_S = 3600.0
"""Seconds after its last use during which a file is not evicted: an experiment may be reading it."""
_BY_DIGEST = re.compile("sha256-([0-9a-f]{64})")


@dataclass(frozen=True)
class FetchedFiles:
    """The fetched files of one WORKDIR."""

    root: Path
    most_bytes: int

    def path(self, key: str) -> Path:
        """The file of a key; it need not be there yet, and has its own name once it is."""
        folder = self.root / key
        with contextlib.suppress(OSError):
            return folder / (folder / MAIN).read_text(encoding="utf-8")
        return folder / "content"

    def has(self, key: str) -> bool:
        """True if the file is there; it counts as used now."""
        if not self.path(key).is_file():
            return False
        with contextlib.suppress(OSError):
            os.utime(self.root / key)
        return True

    def add(self, key: str, fill: Callable[[Path], str], *, replace: bool = False) -> Path:
        """Fetch a file.

        Args:
            key: `sha256-<digest>` or `address-<digest>`.
            fill: puts files into an empty folder and returns the name of the one that is meant.
            replace: true puts it in the place of one that is there.

        Returns:
            The file. Of two processes that fetch it at once, one wins.
        """
        building = self.root / f".{key}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
        building.mkdir(parents=True)
        try:
            write_text(building / MAIN, fill(building))
            if replace:
                shutil.rmtree(self.root / key, ignore_errors=True)
            with contextlib.suppress(OSError):
                building.rename(self.root / key)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        self.evict(keep=key)
        return self.path(key)

    def evict(self, keep: str = "") -> list[str]:
        """Remove the least recently used files until the rest fits; returns their keys."""
        found = sorted(self._folders())
        total, gone = sum(size for _, size, _ in found), []
        for used_at, size, folder in found:
            if total <= self.most_bytes:
                break
            if folder.name != keep and used_at < time.time() - IN_USE_S:
                shutil.rmtree(folder, ignore_errors=True)
                total -= size
                gone.append(folder.name)
        return gone

    def n_bytes(self) -> int:
        """Size of all fetched files."""
        return sum(size for _, size, _ in self._folders())

    def _folders(self) -> Iterator[tuple[float, int, Path]]:
        for folder in self.root.iterdir() if self.root.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
                yield folder.stat().st_mtime, size, folder


def digest_of_fetched(path: Path, root: Path) -> str | None:
    """The SHA-256 that a reference names, of a file below `fetched/` (there or not); None for any other file."""
    if path.parent.parent != root:
        return None
    found = _BY_DIGEST.fullmatch(path.parent.name)
    return found[1] if found else None
