"""What the node asks of a store. A store of another kind (an object store) is a new class with these methods.

A *reference* is the text a message carries, such as `payload_ref`. Only the store knows what it means and
what it may reach; everybody else works with the local path that `fetch` gives.
"""

from pathlib import Path
from typing import BinaryIO, Protocol


class Storage(Protocol):
    """Data by reference, read-only."""

    def exists(self, reference: str) -> bool:
        """Whether there is a file behind the reference.

        Raises:
            PathNotAllowed: the reference leads where messages may not; change it or the node's settings.
        """

    def open(self, reference: str) -> BinaryIO:
        """Open the file to read its bytes.

        Raises:
            PathNotAllowed: the reference leads where messages may not; change it or the node's settings.
            MissingFile: there is nothing; put the file there, or mend the reference.
        """

    def fetch(self, reference: str, *, name: str = "reference") -> Path:
        """A path on this machine with the file's content: the file itself, or a copy of a remote one.

        `name` is what the reference is called in messages, such as `payload_ref`.

        Raises:
            PathNotAllowed: the reference leads where messages may not; change it or the node's settings.
            MissingFile: there is nothing; put the file there, or mend the reference.
        """
