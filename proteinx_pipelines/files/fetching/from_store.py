"""References to files in the shared store: `px://sha256/<digest>` and the store's own addresses."""

import json
import re
from collections.abc import Mapping
from pathlib import Path, PurePosixPath

from proteinx_pipelines.contract.references import digest_and_name, digest_problem, is_file_name
from proteinx_pipelines.errors import CorruptArtifact, MissingFile, PathNotAllowed
from proteinx_pipelines.files.blobs.interface import BlobStore, checked_name
from proteinx_pipelines.files.blobs.watching import Watch
from proteinx_pipelines.files.fetching.from_master import has_master, object_here, object_of_master
from proteinx_pipelines.files.fetching.interface import RemoteFile, by_address, by_digest
from proteinx_pipelines.files.shared.experiments import sent_document
from proteinx_pipelines.files.shared.names import EXPERIMENTS, OBJECTS, description_name, object_name
from proteinx_pipelines.files.shared.store import shared_store
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.store_address import name_inside

SILENCE_S = 20.0
"""Seconds without a byte after which a fetch fails: the experiment needs the file, and is tried again."""
_DIGEST = re.compile("[0-9a-f]{64}")
_ENDINGS = {b"PAR1": ".parquet", b"SQLite format 3\0": ".db", b"\x1f\x8b": ".csv.gz", b"PK\x03\x04": ".xlsx"}
"""First bytes -> ending of a file whose name nobody told."""


def file_by_digest(settings: Settings, reference: str, shown: str) -> RemoteFile:
    """`px://sha256/<digest>`, or `px://sha256/<digest>/<name>`, which says what the file is called.

    It is taken from a Master on this machine, from the store, or from the configured Master: whoever has it.

    Raises:
        PathNotAllowed: it is not of this form, or there is neither a store nor a Master.
    """
    found = digest_and_name(reference)
    if found is None:
        raise PathNotAllowed(digest_problem(shown))
    digest, name = found
    if not has_master(settings):
        _refuse_without_store(settings, shown)
    stored = _object(settings, reference, digest, name) if settings.store is not None else None

    def fill(folder: Path, watch: Watch | None) -> str:
        found = object_here(settings, digest, name, folder)
        if found is not None:
            return found
        if stored is not None:
            try:
                return stored.fill(folder, watch)
            except MissingFile:
                if settings.master is None:
                    raise
        return object_of_master(settings, reference, digest, name, folder, watch)

    return RemoteFile(reference, by_digest(digest), fill)


def file_by_address(settings: Settings, reference: str, shown: str) -> RemoteFile:
    """An address inside the store, such as `s3://bucket/prefix/data/gb1.csv`.

    Raises:
        PathNotAllowed: it lies outside of the store, or no store is configured.
    """
    _refuse_without_store(settings, shown)
    name = name_inside(settings.store or "", reference)
    if name is None:
        raise PathNotAllowed(
            f"{shown} lies outside of this node's store, {settings.store}; only the store's own addresses are fetched."
        )
    try:
        parts = PurePosixPath(checked_name(name)).parts
    except ValueError as error:
        raise PathNotAllowed(f"{shown} is not the address of a file: {error}.") from error
    if not is_file_name(parts[-1]):
        raise PathNotAllowed(
            f"{shown} ends with what is no name of a file: letters, digits and `._+@=-` are expected."
        )
    if parts[0] == OBJECTS and len(parts) == 2 and _DIGEST.fullmatch(parts[1]):
        return _object(settings, reference, parts[1], "")

    def fill(folder: Path, watch: Watch | None) -> str:
        blobs = _blobs(settings)
        sha256 = _listed_digest(blobs, parts)
        try:
            blobs.get(name, folder / parts[-1], sha256=sha256, watch=watch)
        except FileNotFoundError as error:
            raise _missing(settings, reference) from error
        return parts[-1]

    def version() -> str:
        found = [fact for fact in _blobs(settings).facts(_folder(name)) if fact.name == name]
        if not found:
            raise _missing(settings, reference)
        return f"{found[0].size} {found[0].modified}"

    return RemoteFile(reference, by_address(reference), fill, version)


def _object(settings: Settings, reference: str, digest: str, name: str) -> RemoteFile:
    def fill(folder: Path, watch: Watch | None) -> str:
        blobs = _blobs(settings)
        described = _description(blobs, digest)
        called = name or str(described.get("name", ""))
        first = folder / (called if is_file_name(called) else "content")
        _get(blobs, digest, first, watch, settings, reference)
        others = described.get("beside")
        for beside, other in others.items() if isinstance(others, dict) else ():
            if is_file_name(beside) and _DIGEST.fullmatch(str(other)):
                _get(blobs, str(other), folder / beside, watch, settings, reference)
        if first.name == "content":
            first = first.rename(folder / f"{digest[:12]}{_ending(first)}")
        return first.name

    return RemoteFile(reference, by_digest(digest), fill)


def _get(
    blobs: BlobStore, digest: str, target: Path, watch: Watch | None, settings: Settings, reference: str
) -> None:
    try:
        blobs.get(object_name(digest), target, sha256=digest, watch=watch)
    except FileNotFoundError as error:
        raise _missing(settings, reference) from error


def _description(blobs: BlobStore, digest: str) -> Mapping[str, object]:
    """What `proteinx store push` wrote about a file; empty where it came in another way."""
    try:
        found = json.loads(blobs.read(description_name(digest)))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _listed_digest(blobs: BlobStore, parts: tuple[str, ...]) -> str | None:
    """Digest of a file of an ended experiment, from its index; None for a file without a recorded digest."""
    if parts[0] != EXPERIMENTS or len(parts) < 4 or not parts[2].isdigit():
        return None
    listed = sent_document(blobs, parts[1], int(parts[2])).artifacts
    name = "/".join(parts[3:])
    if name not in listed:
        raise CorruptArtifact(f"{'/'.join(parts)} is not listed by its experiment.json.")
    return listed[name].sha256


def _ending(path: Path) -> str:
    with path.open("rb") as stream:
        start = stream.read(16)
    return next((ending for magic, ending in _ENDINGS.items() if start.startswith(magic)), ".csv")


def _folder(name: str) -> str:
    parent = PurePosixPath(name).parent.as_posix()
    return "" if parent == "." else parent


def _blobs(settings: Settings) -> BlobStore:
    store = shared_store(settings, silence_s=SILENCE_S)
    assert store is not None
    return store.blobs


def _refuse_without_store(settings: Settings, shown: str) -> None:
    if settings.store is None:
        raise PathNotAllowed(
            f"{shown} names a file of a store, and this node has none: set PROTEINX_STORE to its address."
        )


def _missing(settings: Settings, reference: str) -> MissingFile:
    return MissingFile(
        f"{reference} is not in the store {settings.store}. Put it there with `proteinx store push FILE`."
    )
