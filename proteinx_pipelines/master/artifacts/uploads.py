"""Files on their way in: appended to at an offset, resumed after a loss, checked, and put in place whole.

upload = Upload.of(settings, job_id, path)
upload.begin(offset)            refuses another offset than the one reached
upload.append(block)            as often as blocks come
upload.finish(sha256)           the file is in place below its digest
record(connection, ...)         the job has it
"""

import hashlib
import os
import shutil
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import Connection, delete, insert

from proteinx_pipelines.clock import timestamp
from proteinx_pipelines.errors import InputError
from proteinx_pipelines.experiment_dir.files import PARTIAL_SUFFIX, sync_folder
from proteinx_pipelines.master.database.job_tables import artifacts
from proteinx_pipelines.master.settings import MasterSettings


class WrongOffset(InputError):
    """An upload continues at another offset than the one that was reached."""

    code = "wrong_offset"

    def __init__(self, given: int, reached: int) -> None:
        self.reached = reached
        super().__init__(
            f"`upload-offset` is {given:,}; {reached:,} bytes have arrived. Continue there, or begin again at 0."
        )


class TakenOver(InputError):
    """A newer request sends the same file."""

    code = "taken_over"


class WrongDigest(InputError):
    """The bytes that arrived are not those that were announced."""

    code = "wrong_digest"


@dataclass
class Upload:
    """One file on its way in."""

    part: Path
    """What has arrived; survives a restart."""
    settings: MasterSettings
    stream: BinaryIO | None = field(default=None, repr=False)
    _is_given_up: bool = False
    _writing: threading.Lock = field(default_factory=threading.Lock, repr=False)

    @classmethod
    def of(cls, settings: MasterSettings, *names: str) -> "Upload":
        """The upload of a job's file, or of anything else with names of its own."""
        key = hashlib.sha256("\0".join(names).encode("utf-8")).hexdigest()
        return cls(settings.uploads_dir / f"{key}{PARTIAL_SUFFIX}", settings)

    @property
    def reached(self) -> int:
        """Bytes that have arrived."""
        return self.part.stat().st_size if self.part.is_file() else 0

    def begin(self, offset: int, complete: Path | None = None) -> None:
        """Continue at an offset; 0 begins again.

        Args:
            offset: where the next byte belongs.
            complete: a complete file of this name, to which bytes may be appended.

        Raises:
            WrongOffset: another offset was reached.
        """
        self.part.parent.mkdir(parents=True, exist_ok=True)
        if offset and not self.part.is_file() and complete is not None and complete.stat().st_size == offset:
            shutil.copyfile(complete, self.part)
        if offset not in (0, self.reached):
            raise WrongOffset(offset, self.reached)
        # Unbuffered: nothing is written after a newer request has taken over.
        self.stream = self.part.open("r+b" if offset else "wb", buffering=0)
        self.stream.seek(offset)

    def append(self, block: bytes) -> None:
        """Write a block.

        Raises:
            TakenOver: a newer request sends this file.
        """
        with self._writing:
            if self._is_given_up:
                raise TakenOver("A newer request sends this file; this one may stop.")
            assert self.stream is not None
            rest = memoryview(block)
            while rest:
                rest = rest[self.stream.write(rest) :]

    def give_up(self) -> None:
        """Write nothing more: a newer request continues."""
        with self._writing:
            self._is_given_up = True

    def pause(self) -> None:
        """Keep what has arrived."""
        with self._writing:
            if self.stream is not None:
                self.stream.close()
                self.stream = None

    def discard(self) -> None:
        """Remove what has arrived."""
        self.pause()
        self.part.unlink(missing_ok=True)

    def finish(self, sha256: str | None = None) -> tuple[int, str]:
        """Put the file in place below its digest.

        Args:
            sha256: of the bytes that are expected, in hexadecimal; None believes what came.

        Returns:
            Size and SHA-256.

        Raises:
            WrongDigest: other bytes came; they are removed.
        """
        self.pause()
        with self.part.open("rb") as stream:
            os.fsync(stream.fileno())
            found = hashlib.file_digest(stream, "sha256").hexdigest()
        try:
            check_digest(found, sha256)
        except WrongDigest:
            self.discard()
            raise
        size = self.part.stat().st_size
        target = self.settings.stored(found)
        target.parent.mkdir(parents=True, exist_ok=True)
        self.part.replace(target)
        sync_folder(target.parent)
        return size, found


def check_digest(found: str, announced: str | None) -> None:
    """Compare the digest of what arrived with the announced one, if there is one.

    Raises:
        WrongDigest: they differ.
    """
    if announced is not None and announced.lower() != found:
        raise WrongDigest(
            f"The SHA-256 of the bytes that arrived is {found[:16]}..., announced was {announced[:16]}... Send the "
            "file again from its beginning."
        )


def record(connection: Connection, job_id: str, files: Mapping[str, tuple[int, str]]) -> list[dict[str, Any]]:
    """Note that a job has files, in the places of earlier ones of the same paths.

    Args:
        connection: a transaction that writes.
        job_id: whose files they are.
        files: path -> size and SHA-256.

    Returns:
        The files as the index lists them.
    """
    documents = [{"path": path, "size": size, "sha256": sha256} for path, (size, sha256) in files.items()]
    connection.execute(delete(artifacts).where(artifacts.c.job_id == job_id, artifacts.c.path.in_(files)))
    connection.execute(
        insert(artifacts), [{"job_id": job_id, "stored_at": timestamp(), **each} for each in documents]
    )
    return documents
