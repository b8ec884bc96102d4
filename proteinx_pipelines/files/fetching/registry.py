"""Scheme of a reference -> what fetches it. A new kind of reference is a row here."""

import importlib
from collections.abc import Callable
from pathlib import Path

from proteinx_pipelines.experiment_dir.files import write_text
from proteinx_pipelines.files.blobs.watching import Watch
from proteinx_pipelines.files.fetched import FetchedFiles
from proteinx_pipelines.files.fetching.interface import RemoteFile
from proteinx_pipelines.settings import Settings
from proteinx_pipelines.store_address import OBJECT_SCHEMES, name_inside

Recognize = Callable[[Settings, str, str], RemoteFile]
"""(settings, reference, how messages show it) -> the file; raises PathNotAllowed. Asks no network."""

_FETCHING = "proteinx_pipelines.files.fetching"
FETCHERS: dict[str, tuple[str, str]] = {
    "px": (f"{_FETCHING}.from_store", "file_by_digest"),
    **dict.fromkeys((*OBJECT_SCHEMES, "memory"), (f"{_FETCHING}.from_store", "file_by_address")),
    "http": (f"{_FETCHING}.from_master", "master_dataset"),
    "https": (f"{_FETCHING}.from_master", "master_dataset"),
}
"""Scheme -> module and name of its `Recognize`, imported with the first such reference: most commands meet none."""
_VERSION = ".version"


def remote_file(settings: Settings, reference: str, shown: str | None = None) -> RemoteFile | None:
    """The file to fetch for a reference; None for a path of this machine.

    Raises:
        PathNotAllowed: it is a reference of a kind that is fetched, and none that may be.
    """
    scheme = reference.partition(":")[0].lower() if "://" in reference else ""
    if scheme == "file" and settings.store is not None and name_inside(settings.store, reference) is not None:
        scheme = "memory"
    if scheme not in FETCHERS:
        return None
    module, name = FETCHERS[scheme]
    recognize: Recognize = getattr(importlib.import_module(module), name)
    return recognize(settings, reference, shown or repr(reference))


def fetched_files(settings: Settings) -> FetchedFiles:
    """The fetched files of a node."""
    return FetchedFiles(settings.paths.fetched_dir, int(settings.cache_max_gb * 1e9))


def fetch(settings: Settings, remote: RemoteFile, watch: Watch | None = None) -> Path:
    """The file of a reference on this machine; fetched when it is not there, or is another one now.

    Args:
        settings: of the node.
        remote: from `remote_file`.
        watch: told of the transfer.

    Raises:
        MissingFile: there is no such file.
        CorruptArtifact: it came with other bytes than its reference names.
        BackendError: the store, or the Master, does not answer; worth another try.
    """
    files = fetched_files(settings)
    if remote.version is None:
        return (
            files.path(remote.key) if files.has(remote.key) else files.add(remote.key, _filled(remote, watch))
        )
    version, note = remote.version(), files.root / remote.key / _VERSION
    if files.has(remote.key) and note.is_file() and note.read_text(encoding="utf-8") == version:
        return files.path(remote.key)

    def fill(folder: Path) -> str:
        write_text(folder / _VERSION, version)
        return remote.fill(folder, watch)

    return files.add(remote.key, fill, replace=True)


def _filled(remote: RemoteFile, watch: Watch | None) -> Callable[[Path], str]:
    return lambda folder: remote.fill(folder, watch)
