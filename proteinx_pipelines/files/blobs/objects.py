"""Blobs in an object store shared by machines: S3 and compatible servers, Google, Azure, memory.

The obstore package (extra `objects`) speaks the protocols. Servers differ in what they check, so only size and bytes
are used: digests are computed here while the bytes arrive.

Source: https://developmentseed.org/obstore/, "API".
"""

import hashlib
import logging
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from proteinx_pipelines.errors import BackendError, CorruptArtifact
from proteinx_pipelines.experiment_dir.files import write_atomic
from proteinx_pipelines.files.blobs.interface import SMALL_BYTES, BlobFact, checked_name
from proteinx_pipelines.files.blobs.watching import Watch, watched
from proteinx_pipelines.redaction import redact

if TYPE_CHECKING:
    from types import ModuleType

log = logging.getLogger(__name__)
_T = TypeVar("_T")
_BLOCK_BYTES = 1 << 18
_LONGEST = 10_000
TRIES = 3
"""Most tries of a transfer whose bytes break off. obstore itself goes on where they did, which fails for a blob that
was written anew meanwhile."""
_CODE = re.compile(r"<Code>\w{1,60}</Code>")


class _BrokenOff(BackendError):
    """A transfer has begun and not come to its end."""


class ObjectStore:
    """A `BlobStore` over one of obstore's stores.

    Args:
        store: such as `obstore.store.S3Store`; names begin below its prefix.
        shown: what it is called in messages, such as its URL.
    """

    def __init__(self, store: Any, shown: str) -> None:
        self._store, self._shown, self._api = store, shown, _obstore()

    def read(self, name: str, *, watch: Watch | None = None) -> bytes:
        """Read a small blob."""

        def read() -> bytes:
            blocks, size = [], 0
            for block in self._blocks(checked_name(name), watch):
                blocks.append(block)
                size += len(block)
                if size > SMALL_BYTES:
                    raise BackendError(f"{name} in {self._shown} has more than {SMALL_BYTES:,} bytes.")
            return b"".join(blocks)

        return _again(read)

    def write(self, name: str, content: bytes) -> None:
        """Store a small blob."""
        self._send(checked_name(name), content)

    def put(self, name: str, source: Path) -> None:
        """Store a local file, in parts if it is large."""
        self._send(checked_name(name), source)

    def get(self, name: str, target: Path, *, sha256: str | None = None, watch: Watch | None = None) -> None:
        """Put a blob at `target`, hashing it during the transfer."""

        def write(partial: Path) -> None:
            digest = hashlib.sha256()
            with partial.open("wb") as stream:
                for block in self._blocks(checked_name(name), watch):
                    digest.update(block)
                    stream.write(block)
            if sha256 is not None and digest.hexdigest() != sha256:
                raise CorruptArtifact(
                    f"{name} in {self._shown} has the SHA-256 {digest.hexdigest()[:12]}..., recorded is "
                    f"{sha256[:12]}..."
                )

        _again(lambda: write_atomic(target, write))

    def size(self, name: str) -> int | None:
        """Size of a blob in bytes, or None."""
        try:
            return int(self._ask("head", checked_name(name))["size"])
        except FileNotFoundError:
            return None

    def names(self, folder: str = "") -> Iterator[str]:
        """Names below a folder."""
        yield from (fact.name for fact in self.facts(folder))

    def facts(self, folder: str = "") -> Iterator[BlobFact]:
        """Name, size and time of each blob below a folder."""
        batches = iter(self._ask("list", prefix=checked_name(folder) if folder else None))
        while True:
            try:
                batch = next(batches, None)
            except FileNotFoundError:  # a server without the bucket
                return
            except self._api.exceptions.BaseError as error:
                raise self._trouble(error) from error
            if batch is None:
                return
            for found in batch:
                yield BlobFact(str(found["path"]), int(found["size"]), found["last_modified"].timestamp())

    def remove(self, name: str) -> None:
        """Delete a blob."""
        try:
            self._ask("delete", checked_name(name))
        except FileNotFoundError:
            return  # some stores raise an error if there was none

    def _ask(self, method: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._api, method)(self._store, *arguments, **options)
        except FileNotFoundError:
            raise
        except self._api.exceptions.BaseError as error:
            raise self._trouble(error) from error

    def _send(self, name: str, content: bytes | Path) -> None:
        try:
            self._ask("put", name, content)
        except FileNotFoundError as error:
            if isinstance(content, Path) and not content.is_file():
                raise
            raise self._trouble(error) from error  # the bucket is not there

    def _blocks(self, name: str, watch: Watch | None) -> Iterator[bytes]:
        return self._received(name) if watch is None else watched(lambda: self._received(name), watch)

    def _received(self, name: str) -> Iterator[bytes]:
        answer = self._ask("get", name)
        try:
            for block in answer.stream(min_chunk_size=_BLOCK_BYTES):
                yield bytes(block)
        except self._api.exceptions.BaseError as error:
            raise _BrokenOff(str(self._trouble(error))) from error

    def _trouble(self, error: Exception) -> BackendError:
        return BackendError(redact(f"{self._shown} did not answer as a store does: {_in_words(error)}"))


def _again(transfer: Callable[[], _T]) -> _T:
    """Do a transfer, from its beginning where its bytes broke off."""
    for _ in range(TRIES - 1):
        try:
            return transfer()
        except _BrokenOff as error:
            log.info("A transfer begins again: %s", error)
    return transfer()


def _in_words(error: Exception) -> str:
    """The first line of an error, and the code that an S3 server gave in its XML."""
    text = str(error)
    codes = _CODE.findall(text[:_LONGEST])
    return f"{text.splitlines()[0][:300]} {' '.join(codes)}".strip()


def open_objects(url: str, **options: Any) -> ObjectStore:
    """Open an object store by its URL: `s3://bucket/prefix`, `gs://...`, `az://...`, `memory://`.

    Args:
        url: of the store; names begin below its path.
        **options: such as `endpoint`, `region`; secrets come from the environment, as the provider names them.

    Raises:
        BackendError: obstore is not installed, or the URL or an option is none that it knows.
    """
    api = _obstore()
    try:
        return ObjectStore(api.store.from_url(url, **options), url)
    except (api.exceptions.BaseError, ValueError) as error:
        raise BackendError(f"{url} is no address of an object store: {str(error).splitlines()[0]}") from error


def _obstore() -> "ModuleType":
    try:
        import obstore
        import obstore.exceptions
        import obstore.store
    except ImportError as error:
        raise BackendError(
            "Object stores need the package obstore: `pip install 'proteinx-infra[objects]'`."
        ) from error
    return obstore
