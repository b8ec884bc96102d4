"""Files of evidence as given: bytes with their name, unpacked as text within limits."""

import gzip
import hashlib
import io
import zlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from proteinx_pipelines.errors import BadEvidence, MissingFile

KINDS = ("structure", "alignment")
ENDINGS = {
    "structure": (".pdb", ".ent", ".cif", ".mmcif", ".bcif"),
    "alignment": (".a2m", ".a3m", ".sto", ".stk", ".stockholm", ".fasta", ".fa", ".afa", ".aln"),
}
"""Endings of file names by kind, without `.gz`."""
DESCRIPTION_VERSION = "2"
"""Of what is kept of a structure; raise it when an array of `Evidence` comes or changes."""
MOST_BYTES = 500_000_000
"""Largest file, packed or unpacked: an alignment of half a million rows of a long protein."""
_GZIP = b"\x1f\x8b"
_BLOCK = 1 << 22


@dataclass(frozen=True)
class GivenFile:
    """One structure or alignment as its user gave it."""

    kind: str
    """`structure` or `alignment`."""
    name: str
    """Name of the file without folders; its ending says the format where the content does not."""
    content: bytes
    chain: str | None = None
    """Chain to take from a structure; the best match when None."""

    @cached_property
    def sha256(self) -> str:
        """Digest of the content as given."""
        return hashlib.sha256(self.content).hexdigest()

    @property
    def plain_name(self) -> str:
        """Name in lower case without `.gz`."""
        return self.name.lower().removesuffix(".gz")

    @cached_property
    def unpacked(self) -> bytes:
        """Content, unpacked if it is gzip.

        Raises:
            BadEvidence: damaged, or larger than `MOST_BYTES` once unpacked.
        """
        if not self.content.startswith(_GZIP):
            return self.content
        pieces, size = [], 0
        try:
            with gzip.open(io.BytesIO(self.content)) as stream:
                while block := stream.read(_BLOCK):
                    size += len(block)
                    if size > MOST_BYTES:
                        raise BadEvidence(
                            f"{self.name} unpacks to more than {MOST_BYTES:,} bytes; at most that is read. "
                            "Give fewer sequences or one assembly."
                        )
                    pieces.append(block)
        except (OSError, EOFError, zlib.error) as error:
            raise BadEvidence(f"{self.name} is damaged gzip ({error}). Pack it again.") from error
        return b"".join(pieces)

    def text(self) -> str:
        """Content as text.

        Raises:
            BadEvidence: not text, or empty.
        """
        try:
            found = self.unpacked.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadEvidence(
                f"{self.name} is not text (byte {error.start:,}); a {self.kind} is expected: "
                f"{expected(self.kind)}."
            ) from error
        if not found.strip():
            raise BadEvidence(f"{self.name} is empty; {expected(self.kind)} is expected.")
        return found


def expected(kind: str) -> str:
    """The formats of a kind, for messages."""
    if kind == "structure":
        return "PDB, mmCIF or BinaryCIF (.pdb, .cif, .bcif), with or without .gz"
    return "a2m, a3m, Stockholm or aligned FASTA (.a2m, .a3m, .sto, .fasta), with or without .gz"


def read_given(kind: str, path: Path, chain: str | None = None) -> GivenFile:
    """Read a file of evidence from disk.

    Raises:
        MissingFile: it is not there. BadEvidence: it is larger than `MOST_BYTES`.
    """
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise BadEvidence(f"{path} has {size:,} bytes; at most {MOST_BYTES:,} are read.")
        return GivenFile(kind, path.name, path.read_bytes(), chain)
    except OSError as error:
        raise MissingFile(f"`data.{kind}`: {path} cannot be read ({error.strerror}).") from error
