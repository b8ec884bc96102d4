"""Blobs as files of a local folder: each name is the file's path below it. Only a local folder supports hard links."""

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

from proteinx_pipelines.errors import CorruptArtifact
from proteinx_pipelines.experiment_dir.files import (
    PARTIAL_SUFFIX,
    file_sha256,
    sync_folder,
    write_atomic,
    write_bytes,
)
from proteinx_pipelines.files.blobs.interface import checked_name


class FolderStore:
    """A `BlobStore` with `LocalFiles` below `root`, which is created on the first write."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def path(self, name: str) -> Path:
        """Path of a blob's file, which need not exist."""
        return self.root / checked_name(name)

    def read(self, name: str) -> bytes:
        """Read a small blob."""
        try:
            return self.path(name).read_bytes()
        except (NotADirectoryError, IsADirectoryError) as error:
            raise FileNotFoundError(f"{self.path(name)} is not a file.") from error

    def write(self, name: str, content: bytes) -> None:
        """Store a small blob."""
        write_bytes(self.path(name), content)

    def put(self, name: str, source: Path) -> None:
        """Store a local file, by a hard link where the file system supports them."""
        place(source, self.path(name))

    def get(self, name: str, target: Path, *, sha256: str | None = None) -> None:
        """Put a blob at `target`, by a hard link where the file system supports them."""
        source = self.path(name)
        if sha256 is not None and (found := file_sha256(source)) != sha256:
            raise CorruptArtifact(f"{source} has the SHA-256 {found[:12]}..., recorded is {sha256[:12]}...")
        place(source, target)

    def size(self, name: str) -> int | None:
        """Size of a blob in bytes, or None."""
        path = self.path(name)
        return path.stat().st_size if path.is_file() else None

    def names(self, folder: str = "") -> Iterator[str]:
        """Names below a folder, without partly written files."""
        start = self.path(folder) if folder else self.root
        for path in start.rglob("*"):
            if path.is_file() and not path.name.endswith(PARTIAL_SUFFIX):
                yield path.relative_to(self.root).as_posix()

    def remove(self, name: str) -> None:
        """Delete a blob."""
        self.path(name).unlink(missing_ok=True)

    def add_folder(self, name: str, files: Mapping[str, Path], documents: Mapping[str, bytes]) -> bool:
        """Add several blobs by renaming the folder that holds them: the first writer wins."""
        target = self.path(name)
        building = target.parent / f".{target.name}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
        try:
            for inner, source in files.items():
                place(source, building / inner)
            for inner, content in documents.items():
                write_bytes(building / inner, content)
            sync_folder(building)
            with contextlib.suppress(OSError):
                building.rename(target)
                sync_folder(target.parent)
                return True
            return False
        finally:
            shutil.rmtree(building, ignore_errors=True)


def place(source: Path, target: Path) -> None:
    """Put `source` at `target` atomically: a hard link, or a copy across file systems."""
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.parent / f".{target.name}-{secrets.token_hex(4)}{PARTIAL_SUFFIX}"
    try:
        os.link(source, partial)
    except OSError:
        write_atomic(target, lambda copy: _copy(source, copy))
        return
    try:
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)  # if the target already is the same file, renaming does nothing


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
