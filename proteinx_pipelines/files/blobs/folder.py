"""Blobs as files of a folder: each name is the file's path below it. Only a folder supports hard links.

A folder that machines share copies instead (`links=False`): a linked file that grows, such as a log, would change the
stored blob.
"""

import contextlib
import hashlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path

from proteinx_pipelines.errors import BackendError, CorruptArtifact
from proteinx_pipelines.experiment_dir.files import (
    PARTIAL_SUFFIX,
    file_sha256,
    sync_folder,
    write_atomic,
    write_bytes,
)
from proteinx_pipelines.files.blobs.interface import BlobFact, checked_name
from proteinx_pipelines.files.blobs.watching import Watch

_BLOCK_BYTES = 1 << 20


class FolderStore:
    """A `BlobStore` with `LocalFiles` below `root`, which is created on the first write.

    Args:
        root: the folder.
        links: false copies files, and follows no link that leads out of the folder.
    """

    def __init__(self, root: Path, *, links: bool = True) -> None:
        self.root = root
        self._links = links

    def path(self, name: str) -> Path:
        """Path of a blob's file, which need not exist."""
        path = self.root / checked_name(name)
        if not self._links and not path.resolve().is_relative_to(self.root.resolve()):
            raise ValueError(f"{name!r} is not a name of a content: a link leads out of {self.root}")
        return path

    def read(self, name: str, *, watch: Watch | None = None) -> bytes:  # noqa: ARG002  # no transfer to wait for
        """Read a small blob."""
        path = self.path(name)
        with self._answering(path):
            return path.read_bytes()

    def write(self, name: str, content: bytes) -> None:
        """Store a small blob."""
        with self._answering(self.path(name)):
            write_bytes(self.path(name), content)

    def put(self, name: str, source: Path) -> None:
        """Store a local file, by a hard link where the file system supports them."""
        if self._links:
            place(source, self.path(name))
            return
        with self._answering(self.path(name)):
            write_atomic(self.path(name), lambda partial: _copy(source, partial))

    def get(self, name: str, target: Path, *, sha256: str | None = None, watch: Watch | None = None) -> None:
        """Put a blob at `target`, by a hard link where the file system supports them."""
        source = self.path(name)
        if not self._links:
            write_atomic(target, lambda partial: self._copy_hashed(source, partial, sha256, watch))
            return
        if sha256 is not None:
            _refuse_other_bytes(source, file_sha256(source), sha256)
        place(source, target)

    def _copy_hashed(self, source: Path, partial: Path, sha256: str | None, watch: Watch | None) -> None:
        digest = hashlib.sha256()
        with self._answering(source), source.open("rb") as read, partial.open("wb") as written:
            while block := read.read(_BLOCK_BYTES):
                digest.update(block)
                written.write(block)
                if watch is not None:
                    watch(len(block))
        if sha256 is not None:
            _refuse_other_bytes(source, digest.hexdigest(), sha256)

    @contextlib.contextmanager
    def _answering(self, path: Path) -> Iterator[None]:
        """Tell a shared folder that does not work from a blob that is not there; errors of WORKDIR stay as they are."""
        try:
            yield
        except (NotADirectoryError, IsADirectoryError) as error:
            raise FileNotFoundError(f"{path} is not a file.") from error
        except FileNotFoundError:
            raise
        except OSError as error:
            if self._links:
                raise
            raise BackendError(f"{self.root} did not answer as a store does: {error}") from error

    def size(self, name: str) -> int | None:
        """Size of a blob in bytes, or None."""
        path = self.path(name)
        return path.stat().st_size if path.is_file() else None

    def names(self, folder: str = "") -> Iterator[str]:
        """Names below a folder, without partly written files."""
        yield from (fact.name for fact in self.facts(folder))

    def facts(self, folder: str = "") -> Iterator[BlobFact]:
        """Name, size and time of each blob below a folder, without partly written files."""
        start = self.path(folder) if folder else self.root
        for path in start.rglob("*"):
            if path.name.endswith(PARTIAL_SUFFIX):
                continue
            try:
                found = path.stat()
            except FileNotFoundError:  # removed meanwhile
                continue
            if stat.S_ISREG(found.st_mode):
                yield BlobFact(path.relative_to(self.root).as_posix(), found.st_size, found.st_mtime)

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


def _refuse_other_bytes(source: Path, found: str, sha256: str) -> None:
    if found != sha256:
        raise CorruptArtifact(f"{source} has the SHA-256 {found[:12]}..., recorded is {sha256[:12]}...")


def _copy(source: Path, target: Path) -> None:
    shutil.copyfile(source, target)
