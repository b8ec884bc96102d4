"""What is asked of a place where contents are kept by name. Stages, vectors and references stand on it.

A name is a relative POSIX path, such as `split/5e/5e...json`. Nothing is believed because of its name: whoever has
recorded a SHA-256 gives it to `get`, and gets these bytes or an error. A new kind of place is a new class with these
methods; `proteinx_pipelines_tests/files/test_blobs.py` says what they promise.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Protocol, runtime_checkable


class BlobStore(Protocol):
    """Contents by name. Several processes may use one at once; a reader never sees half a content.

    Every method raises `BackendError` when the place does not answer, and `ValueError` for a name that is none.
    """

    def read(self, name: str) -> bytes:
        """A small content, whole.

        Raises:
            FileNotFoundError: there is none of this name.
        """

    def write(self, name: str, content: bytes) -> None:
        """Keep a small content; what had the name before is replaced."""

    def put(self, name: str, source: Path) -> None:
        """Keep the content of a local file; what had the name before is replaced."""

    def get(self, name: str, target: Path, *, sha256: str | None = None) -> None:
        """Put a content at `target`, atomically.

        Args:
            name: of the content.
            target: a local file; replaced if it is there.
            sha256: of the bytes that are expected, in hexadecimal; None believes what comes.

        Raises:
            FileNotFoundError: there is none of this name.
            CorruptArtifact: the bytes have another digest; `target` is as it was.
        """

    def size(self, name: str) -> int | None:
        """Bytes of a content; None when there is none of this name."""

    def names(self, folder: str = "") -> Iterator[str]:
        """Names below a folder, in no order; all of them without one."""

    def remove(self, name: str) -> None:
        """Forget a content; nothing happens when there is none of this name."""


@runtime_checkable
class LocalFiles(Protocol):
    """What only a folder of this machine can do, for whoever knows better than to copy.

    A store that has this holds each content as one file, which may be mapped, linked and renamed.
    """

    def path(self, name: str) -> Path:
        """The file itself; it need not be there."""

    def add_folder(self, name: str, files: Mapping[str, Path], documents: Mapping[str, bytes]) -> bool:
        """Add several contents below a folder that appear together or not at all.

        Args:
            name: of the folder.
            files: name below it -> local file; linked where the file system has links.
            documents: name below it -> content.

        Returns:
            Whether they were added; false when somebody else was first, whose folder stays.
        """


def checked_name(name: str) -> str:
    """A name of a content, if it is one.

    Raises:
        ValueError: it is absolute, leads outside, or is not in its shortest form.
    """
    pure = PurePosixPath(name)
    if not name or pure.is_absolute() or ".." in pure.parts or pure.as_posix() != name or "\\" in name:
        raise ValueError(
            f"{name!r} is not a name of a content: a relative path in its shortest form is expected"
        )
    return name


def object_name(sha256: str) -> str:
    """Name of a content that is kept by its digest: `objects/<sha256>`."""
    return f"objects/{sha256}"
