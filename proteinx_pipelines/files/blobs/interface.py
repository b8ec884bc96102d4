"""Interface of a place that stores blobs by name; stages, vectors and references use it.

A name is a relative POSIX path, such as `split/5e/5e...json`. Contents are verified, not trusted: a caller passes the
recorded SHA-256 to `get`, and gets these bytes or an error. A new kind of storage is a new class with these methods;
`proteinx_pipelines_tests/files/test_blobs.py` tests their guarantees.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable

from proteinx_pipelines.files.blobs.watching import Watch

SMALL_BYTES = 64 << 20
"""Largest blob that `read` returns."""


@dataclass(frozen=True)
class BlobFact:
    """One stored blob, as a listing tells it."""

    name: str
    size: int
    """Bytes."""
    modified: float
    """Time of the last write, in seconds since the epoch, by the storage's clock."""


class BlobStore(Protocol):
    """Blobs by name. Several processes may use one store at once; a reader never sees a partly written blob.

    Every method raises `BackendError` when the storage does not answer, and `ValueError` for an invalid name.
    """

    def read(self, name: str, *, watch: Watch | None = None) -> bytes:
        """Read a small blob.

        Args:
            name: of the content.
            watch: told of the transfer, which it may give up by raising.

        Raises:
            FileNotFoundError: there is none of this name.
            BackendError: it is larger than `SMALL_BYTES`.
        """

    def write(self, name: str, content: bytes) -> None:
        """Store a small blob, replacing one of the same name."""

    def put(self, name: str, source: Path) -> None:
        """Store a local file, replacing a blob of the same name."""

    def get(self, name: str, target: Path, *, sha256: str | None = None, watch: Watch | None = None) -> None:
        """Put a blob at `target`, atomically.

        Args:
            name: of the content.
            target: a local file; replaced if it is there.
            sha256: of the bytes that are expected, in hexadecimal; None believes what comes.
            watch: told of the transfer, which it may give up by raising.

        Raises:
            FileNotFoundError: there is none of this name.
            CorruptArtifact: the bytes have another digest; `target` is as it was.
        """

    def size(self, name: str) -> int | None:
        """Size of a blob in bytes; None if there is none of this name."""

    def names(self, folder: str = "") -> Iterator[str]:
        """Names below a folder, in no order; all names if no folder is given."""

    def facts(self, folder: str = "") -> Iterator[BlobFact]:
        """Name, size and time of each blob below a folder, in no order."""

    def remove(self, name: str) -> None:
        """Delete a blob; does nothing if there is none of this name."""


@runtime_checkable
class LocalFiles(Protocol):
    """Additional operations of a local folder, for callers that can avoid copies.

    A store with this interface holds each blob as one file, which may be mapped, linked and renamed.
    """

    def path(self, name: str) -> Path:
        """Path of the file, which need not exist."""

    def add_folder(self, name: str, files: Mapping[str, Path], documents: Mapping[str, bytes]) -> bool:
        """Add several blobs below a folder; either all of them appear or none.

        Args:
            name: of the folder.
            files: name below it -> local file; linked where the file system has links.
            documents: name below it -> content.

        Returns:
            Whether they were added; false when somebody else was first, whose folder stays.
        """


def checked_name(name: str) -> str:
    """Check the name of a blob and return it.

    Raises:
        ValueError: it is absolute, leads outside, or is not in its shortest form.
    """
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or ".." in pure.parts or pure.as_posix() != name or "\\" in name:
        raise ValueError(
            f"{name!r} is not a name of a content: a relative path in its shortest form is expected"
        )
    return name
