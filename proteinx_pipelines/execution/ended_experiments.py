"""Files of ended experiments on their way to the shared store: `experiments/<id>/<generation>/...`.

At the end of an experiment its files are linked into `outgoing/`, which takes milliseconds, so that the next
generation may replace them at once. A link is removed when its file has been sent, so an interrupted upload continues
where it stopped. `experiment.json`, whose index has the digest of every file, is sent last: from then on the experiment
exists in the store.
"""

import logging
import os
import secrets
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from proteinx_pipelines.contract.base import FileFact
from proteinx_pipelines.experiment_dir.files import file_sha256, write_json
from proteinx_pipelines.experiment_dir.index import file_names
from proteinx_pipelines.experiment_dir.layout import DOCUMENT, ExperimentDir
from proteinx_pipelines.files.blobs.folder import place
from proteinx_pipelines.files.blobs.interface import BlobStore
from proteinx_pipelines.files.shared.experiments import read_document
from proteinx_pipelines.files.shared.names import generation_folder
from proteinx_pipelines.files.shared.outgoing import Outgoing, building_name
from proteinx_pipelines.files.shared.store import put_whole
from proteinx_pipelines.settings import Settings

log = logging.getLogger(__name__)
_GROWING = ("logs/", "metrics/")
"""Files that are appended to: they are copied, since a link would grow with the next generation."""


def offer_experiment(settings: Settings, directory: ExperimentDir, generation: int) -> None:
    """Keep the files of an ended experiment for sending; does nothing without a shared store."""
    if settings.store is None:
        return
    outgoing = Outgoing(settings.paths.outgoing_dir)
    target = outgoing.experiment_dir(directory.experiment_id, generation)
    building = target.parent / building_name(f"{target.name}-{secrets.token_hex(4)}")
    keep_files(directory, file_names(directory), building, target)


def keep_files(directory: ExperimentDir, names: Iterable[str], building: Path, target: Path) -> None:
    """Link files of an experiment into a folder that appears whole, in place of an earlier one.

    Args:
        directory: of the experiment.
        names: of its files; those that grow are copied.
        building: the folder until it is whole; may have further files.
        target: its place.
    """
    try:
        for name in names:
            if name.startswith(_GROWING):
                (building / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(directory.path(name), building / name)
            else:
                place(directory.path(name), building / name)
        shutil.rmtree(target, ignore_errors=True)
        building.rename(target)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def send_experiment(blobs: BlobStore, experiment_id: str, generation: int, folder: Path) -> Iterator[int]:
    """Send the files of an experiment that have not been sent; yields the bytes of each.

    A file goes when it has been sent: two senders (the agent, and `proteinx store push`) share the work.

    Raises:
        BackendError: the store does not answer, or keeps a file in another size; the rest still waits.
    """
    document = folder / DOCUMENT
    below = generation_folder(experiment_id, generation)
    try:
        listed = read_document(document.read_bytes()).artifacts
        for name, fact in listed.items():
            n_bytes = _send_file(blobs, f"{below}/{name}", folder / name, document, name, fact)
            if n_bytes is not None:
                yield n_bytes
        size = document.stat().st_size
        put_whole(blobs, f"{below}/{DOCUMENT}", document, size)
        yield size
    except FileNotFoundError:
        if document.is_file():
            raise
        # All of it has been sent by another.


def _send_file(
    blobs: BlobStore, target: str, path: Path, document: Path, name: str, fact: FileFact
) -> int | None:
    """Send one file; its bytes, None where it was sent before, or by another just now."""
    try:
        found = _as_listed(path, name, fact)
        if found != fact:
            _amend(document, name, found)
        put_whole(blobs, target, path, found.size)
    except FileNotFoundError:
        if path.is_file():
            raise
        return None
    path.unlink(missing_ok=True)
    return found.size


def _as_listed(path: Path, name: str, fact: FileFact) -> FileFact:
    """Cut a log that has grown since the index was made; returns what the file is now."""
    if name.startswith(_GROWING) and path.stat().st_size > fact.size:
        os.truncate(path, fact.size)
    return FileFact(size=path.stat().st_size, sha256=file_sha256(path))


def _amend(document: Path, name: str, found: FileFact) -> None:
    """List a file as it is: it was replaced between the index and its link."""
    log.warning("%s was replaced after its experiment had ended; it is sent as it is.", name)
    before = read_document(document.read_bytes())
    after = before.model_copy(update={"artifacts": {**before.artifacts, name: found}})
    write_json(document, after.document())
