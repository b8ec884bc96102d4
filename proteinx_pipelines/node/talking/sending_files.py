"""Sends the files of an ended experiment to a Master elsewhere: small ones together, large ones resumable."""

import hashlib
import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from proteinx_pipelines.client.calls import Content, InMemory
from proteinx_pipelines.client.http_link import MasterRefused
from proteinx_pipelines.contract.bundle import MEDIA_TYPE, MOST_BYTES, MOST_FILE_BYTES, MOST_FILES, pack
from proteinx_pipelines.experiment_dir.documents import read_experiment
from proteinx_pipelines.experiment_dir.files import file_sha256
from proteinx_pipelines.experiment_dir.index import file_names
from proteinx_pipelines.experiment_dir.layout import (
    DOCUMENT,
    PREDICTIONS,
    REPORT_HTML,
    REPORT_JSON,
    ExperimentDir,
)
from proteinx_pipelines.node.talking.master_http import MasterHttp
from proteinx_pipelines.node.talking.sent_notes import SentNote, SentNotes

log = logging.getLogger(__name__)
_FIRST = (REPORT_HTML, REPORT_JSON, DOCUMENT, PREDICTIONS)
_NOT_SENT = ("ckpts/", "embeddings/")
"""Folders that only serve to go on, or can be made again: they may have many gigabytes."""
_GOES_ON = 5
"""Most tries to send the rest of one file in one call."""
_ALONE = frozenset({405, 413, 422})
"""Refusals of a bundle after which its files go alone: an older Master knows none, or one file is the reason."""


@dataclass(frozen=True)
class _File:
    """A file that the Master has not got."""

    name: str
    size: int
    sha256: str


def send_files(
    master: MasterHttp,
    notes: SentNotes,
    note: SentNote,
    directory: ExperimentDir,
    is_wanted: Callable[[], bool],
) -> None:
    """Send every file that the Master has not got.

    Args:
        master: that they are sent to.
        notes: where it is kept which files it has.
        note: of the job.
        directory: of the experiment.
        is_wanted: whether to go on: the node stops, or a newer generation writes these files.

    Raises:
        MasterUnavailable, MasterRefused: the rest is sent by a later call.
    """
    for parcel in _parcels(list(_missing(note, directory))):
        if not is_wanted():
            return
        together = _send_together(master, note.job_id, directory, parcel) if len(parcel) > 1 else {}
        if together:
            note.files.update(together)
            notes.save(note)
        for each in parcel:
            if each.name in together:
                continue
            if not is_wanted():
                return
            try:
                note.files[each.name] = _send(master, note.job_id, directory.path(each.name), each)
            except FileNotFoundError:  # removed meanwhile
                continue
            notes.save(note)


def _missing(note: SentNote, directory: ExperimentDir) -> Iterator[_File]:
    """The files that the Master has not got, in the order of sending."""
    recorded = _recorded(directory)
    for name in sorted(_names(directory), key=lambda name: (_rank(name), name)):
        path = directory.path(name)
        try:
            sha256 = recorded.get(name) or file_sha256(path)
            if note.files.get(name) != sha256:
                yield _File(name, path.stat().st_size, sha256)
        except FileNotFoundError:  # removed meanwhile
            continue


def _parcels(files: Sequence[_File]) -> Iterator[list[_File]]:
    """Bundles of small files, then each large one alone."""
    bundle: list[_File] = []
    room = MOST_BYTES
    for each in (each for each in files if each.size < MOST_FILE_BYTES):
        if bundle and (each.size > room or len(bundle) == MOST_FILES):
            yield bundle
            bundle, room = [], MOST_BYTES
        bundle.append(each)
        room -= each.size
    if bundle:
        yield bundle
    yield from ([each] for each in files if each.size >= MOST_FILE_BYTES)


def _send_together(
    master: MasterHttp, job_id: str, directory: ExperimentDir, files: Sequence[_File]
) -> dict[str, str]:
    """Send a bundle; name -> SHA-256 of what the Master has now. Files that have to go alone are left out."""
    contents = {}
    for each in files:
        try:
            content = directory.path(each.name).read_bytes()
        except FileNotFoundError:  # removed meanwhile
            continue
        if len(content) == each.size:  # one that grew may not fit any more
            contents[each.name] = content
    if not contents:
        return {}
    body = pack(contents)
    facts = {"Content-Type": MEDIA_TYPE, "upload-sha256": hashlib.sha256(body).hexdigest()}
    try:
        master.put(f"/api/jobs/{job_id}/artifacts", InMemory(body), facts)
    except MasterRefused as error:
        if error.status not in _ALONE:
            raise
        log.debug("Files of %s go one by one: %s", job_id, error)
        return {}
    return {name: hashlib.sha256(content).hexdigest() for name, content in contents.items()}


def _send(master: MasterHttp, job_id: str, path: Path, file: _File) -> str:
    """Send one file, from where an earlier call left off; its SHA-256. A file that is too large is left out."""
    name, sha256 = file.name, file.sha256
    address = f"/api/jobs/{job_id}/artifacts/{quote(name)}"
    size = path.stat().st_size
    # A small file is sent again as fast as it is asked about.
    offset = _reached(master, address, size) if size >= MOST_FILE_BYTES else 0
    is_read_again = False
    for _ in range(_GOES_ON):
        facts = {"upload-offset": str(offset), "upload-length": str(size), "upload-sha256": sha256}
        try:
            master.put(address, Content(path, offset, size - offset), facts)
        except MasterRefused as error:
            if error.status == 409 and error.headers.get("upload-offset", "").isdecimal():
                offset = int(error.headers["upload-offset"])
                offset = offset if offset < size else 0
            elif error.status == 422 and not is_read_again:  # changed since its digest was recorded
                sha256, size, offset, is_read_again = file_sha256(path), path.stat().st_size, 0, True
            elif error.status in (413, 422):
                log.warning("%s of %s is left out: %s", name, job_id, error)
                return sha256
            else:
                raise
        else:
            return sha256
    log.warning("%s of %s could not be sent; it is left out.", name, job_id)
    return sha256


def _reached(master: MasterHttp, address: str, size: int) -> int:
    """Bytes of an upload that an earlier call has sent; 0 for a file that is complete there, or not begun."""
    try:
        headers = master.head(address)
    except MasterRefused as error:
        if error.status == 404:
            return 0
        raise
    reached = headers.get("upload-offset", "")
    is_complete = "etag" in headers
    return int(reached) if reached.isdecimal() and not is_complete and int(reached) < size else 0


def _recorded(directory: ExperimentDir) -> Mapping[str, str]:
    """Digests in `experiment.json`; empty where it cannot be read."""
    try:
        return {name: fact.sha256 for name, fact in read_experiment(directory).artifacts.items()}
    except (OSError, ValueError):
        return {}


def _names(directory: ExperimentDir) -> list[str]:
    return [name for name in file_names(directory) if not name.startswith(_NOT_SENT)]


def _rank(name: str) -> int:
    return _FIRST.index(name) if name in _FIRST else len(_FIRST) + name.startswith("artifacts/model/")
